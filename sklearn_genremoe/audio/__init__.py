"""From audio files to waveforms."""

from ._decode import Part as Part
from ._decode import decode_audio, fix_length
from ._decode import decode_parts as decode_parts
from ._errors import BadClipError, BadClipWarning
from ._loader import AudioLoader

__all__ = [
    "AudioLoader",
    "BadClipError",
    "BadClipWarning",
    "decode_audio",
    "fix_length",
]
