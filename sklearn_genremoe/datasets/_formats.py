"""Which file name endings are clips."""

from importlib.util import find_spec

#: What libsndfile decodes without further programs, by the usual file name endings.
AUDIO_EXTENSIONS = (
    ".wav",
    ".wave",
    ".bwf",
    ".rf64",
    ".w64",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".mp2",
    ".mpga",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".snd",
    ".caf",
    ".voc",
    ".paf",
    ".avr",
    ".svx",
    ".8svx",
    ".sph",
)

#: What takes FFmpeg's libraries, which PyAV brings along.
FFMPEG_EXTENSIONS = (
    ".m4a",
    ".m4b",
    ".mp4",
    ".aac",
    ".adts",
    ".wma",
    ".asf",
    ".webm",
    ".weba",
    ".mka",
    ".wv",
    ".ape",
    ".mpc",
    ".mpp",
    ".tta",
    ".tak",
    ".shn",
    ".amr",
    ".3gp",
    ".3ga",
    ".ac3",
    ".eac3",
    ".dts",
    ".dsf",
    ".dff",
    ".ra",
    ".rm",
    ".spx",
)

#: Music as notes for synthesizers and trackers, which has to be rendered first.
SCORE_EXTENSIONS = (".mid", ".midi", ".mod", ".xm", ".s3m", ".it")


def decodable_extensions() -> tuple[str, ...]:
    """Return the endings of the files that can be decoded with what is installed."""
    return AUDIO_EXTENSIONS + (FFMPEG_EXTENSIONS if find_spec("av") else ())


def undecodable_extensions() -> tuple[str, ...]:
    """Return the endings of music that can't be decoded with what is installed."""
    return SCORE_EXTENSIONS + (() if find_spec("av") else FFMPEG_EXTENSIONS)
