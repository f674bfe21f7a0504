"""From audio files to waveforms."""

from ._decode import REST as REST
from ._decode import SILENCE as SILENCE
from ._decode import Segment as Segment
from ._decode import SourceExcerpt as SourceExcerpt
from ._decode import decode_audio, fix_length
from ._decode import decode_parts as decode_parts
from ._decode import load_parts as load_parts
from ._decode import process_clips as process_clips
from ._decode import read_excerpts as read_excerpts
from ._errors import BadClipError, BadClipWarning
from ._errors import warn_of_long_files as warn_of_long_files
from ._transformers import AudioLoader
from ._transformers import ClipTransformer as ClipTransformer

__all__ = [
    "AudioLoader",
    "BadClipError",
    "BadClipWarning",
    "decode_audio",
    "fix_length",
]
