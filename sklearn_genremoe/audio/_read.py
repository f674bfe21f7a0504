"""From an audio file to blocks of samples, by libsndfile or, where it is installed, FFmpeg."""

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from operator import attrgetter

import numpy as np
import soundfile

from ._bytes import first_frame, is_joined, last_page_is_cut_off, mp3_pipe, mp3_start, opened
from ._errors import BadClipError

#: What is read, block by block: sample rate, number of the frame behind the block, and the frames.
Blocks = Iterator[tuple[int, int, np.ndarray]]

# Numbers read at a time: 4 MiB of float32, however many channels a header promises.
_BLOCK = 2**20

#: Sample rates in Hz that a file may have; others are damage.
RATES = range(1_000, 1_000_001)

# More frames than this mean that libsndfile doesn't know how many there are.
_UNKNOWN = 2**60

# What is no file of its own, such as a play list, must not make FFmpeg open others.
_NO_OTHER_FILES = {"protocol_whitelist": "none"}

# How libsndfile's log says that a file has less sound than its header promises.
_SHORTER = re.compile(
    r"(?:data|SSND|BODY|Data Size|riff) *: (?P<promised>\d+) \(should be (?P<found>\d+)\)"
    r"|frame count (?P<frames>\d+) does not match value from 'ds64' chunk of (?P<ds64>\d+)"
)

# Seconds that may be missing at the end of a file: programs count some bytes of the header in.
_SLIGHT = 0.1

# FFmpeg's flag of formats without an index, which begin and end anywhere.
_GENERIC_INDEX = 0x100

# What to do about a file.
_AGAIN = "fetch it again, or leave it out"
_CONVERT = "fetch it again, or convert it (joined files one by one): ffmpeg -i FILE clip.flac"
_INSTALL = f"install what reads nearly all files, pip install av; or {_CONVERT}"


class _GoesOn(Exception):
    """A file has more sound than libsndfile reads of it."""


def read_blocks(source, start: int, stop: float) -> Blocks:
    """Read a file from a second to another, or a little further; infinity means to its end.

    Yields sample rate, number in the file of the frame behind the block, and float32 samples of
    shape (n_frames, n_channels). A file that ends before `start` yields blocks without frames.
    """
    rate, done = None, 0
    try:
        for rate, done, channels in _by_libsndfile(source, start, stop):
            yield rate, done, channels
        return
    except _GoesOn:
        reason = f"libsndfile stops after {done / (rate or 1):.2f} s, before the end of the file"
    except soundfile.LibsndfileError:
        reason = "could not be decoded"
        if rate is not None:
            reason += ": the file is damaged or cut off within the part that is read; " + _AGAIN
            raise BadClipError(source, reason) from None
    advice = _INSTALL
    try:
        import av

        yield from _by_ffmpeg(av, source, start, stop, rate, done)
        return
    except BadClipError:
        raise
    except ImportError:
        pass
    except (av.FFmpegError, OSError, ValueError, IndexError):
        reason += ", neither by libsndfile nor by FFmpeg" if rate is None else ", and FFmpeg fails"
        advice = _CONVERT
    raise BadClipError(source, reason + _found(source, rate, advice))


def require_file(source):
    """Return a file; raise unless there is something in it, which may be read."""
    is_open, reason = hasattr(source, "read"), None
    if not is_open and not isinstance(source, str | os.PathLike):
        reason = f"is of the type {type(source).__name__}; expected a path, or io.BytesIO(bytes)"
        raise BadClipError(repr(source)[:40], reason)  # bytes may be a whole file
    try:
        if not is_open and not stat.S_ISREG(mode := os.stat(source).st_mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
            reason = f"is not a file but {kind}; give the path of one audio file per clip"
        else:
            with opened(source) as stream:
                if not isinstance(stream.read(0), bytes):
                    reason = "gives no bytes; open the file in binary mode, with 'rb'"
                elif not stream.seek(0, os.SEEK_END):
                    reason = f"the file is empty (0 bytes); {_AGAIN}"
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = _why_not(source, error)
    if reason is not None:
        raise BadClipError(source, reason)
    return source


def _why_not(source, error: Exception) -> str:
    if hasattr(source, "read"):
        return f"can't be wound back ({error}); open it, or give io.BytesIO(file.read())"
    if isinstance(error, PermissionError):
        return "may not be read: you lack the permission; ask for it (chmod), or leave the clip out"
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(source), re.IGNORECASE):
        return "is an address; download it, and give the path of the file on this machine"
    if os.path.islink(source):
        return f"no such file: a link to {os.readlink(source)}, which isn't there; mend the link"
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return "no such file; check the path and the working directory"
    return f"could not be opened ({getattr(error, 'strerror', error)}); check the path"


def _found(source, rate: int | None, advice: str) -> str:
    """Say what a file begins with, since most formats have their name there, and what to do."""
    if rate is not None:  # it is audio
        return f"; {advice}"
    with opened(source) as stream:
        head = stream.read(64)
    text = re.sub(r"[^ -~]+", ".", head[:16].decode("latin-1")).strip()
    what = f"begins with {text!r}"
    if not any(head):
        what, advice = "begins with zeros, as interrupted downloads leave them", _AGAIN
    elif all(byte in b"\t\n\r\f" or byte >= 32 for byte in head):
        what, advice = f"looks like text, such as a web page, JSON or a play list: {what}", _AGAIN
    return f": the file {what}; {advice}"


def seconds_of_file(path) -> dict[str, float]:
    """Return, by its path, the length of a file as its header lets it be estimated, if it does."""
    with contextlib.suppress(Exception), _sound_file(opened, path) as (file, _):
        return {path: file.frames / file.samplerate} if file.frames < _UNKNOWN else {}
    with contextlib.suppress(Exception):
        import av

        with opened(path) as stream, av.open(stream, "r", options=_NO_OTHER_FILES) as container:
            return {path: float(container.duration) / av.time_base}  # type: ignore[arg-type]
    return {}


class _SoundFile(soundfile.SoundFile):
    """A file that is read from one end to the other."""

    def seekable(self) -> bool:
        return False  # else soundfile seeks after each read, to where it already is


@contextlib.contextmanager
def _sound_file(opening, source):
    """Yield what libsndfile makes of an opened file, and the stream, to see what it leaves."""
    with opening(source) as stream:
        # Descriptors don't cross the borders of C libraries on Windows.
        by_number = os.name == "posix" and (opening is mp3_pipe or not hasattr(source, "read"))
        with _SoundFile(stream.fileno() if by_number else stream, closefd=False) as file:
            yield file, stream


def _open(stack: contextlib.ExitStack, source):
    """Open a file by its contents: one that is an mp3, or has one within it, through a pipe."""
    start = mp3_start(source)
    if start != 0:
        try:
            file, stream = stack.enter_context(_sound_file(opened, source))
            if file.format != "MP3" or os.name != "posix":
                return file, stream
        except soundfile.LibsndfileError:
            if start is None:
                raise
    return stack.enter_context(_sound_file(mp3_pipe, source))


def _by_libsndfile(source, start: int, stop: float) -> Blocks:
    with contextlib.ExitStack() as stack:
        file, stream = _open(stack, source)
        rate, position = file.samplerate, 0
        _require_rate(source, rate)
        can_jump = start and file.format != "MP3" and file.frames < _UNKNOWN
        if can_jump and not (file.format == "OGG" and is_joined(source, "OGG")):
            position = file.seek(min(start * rate, file.frames))
        yield rate, position, np.empty((0, file.channels), np.float32)
        step = max(1, _BLOCK // file.channels)
        while position < stop * rate:
            # Not beyond the end: a tag behind it would be an error in a flac.
            n_frames = min(step, stop * rate - position + 1, file.frames - position)
            try:
                channels = file.read(int(n_frames), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                if file.format == "FLAC" and file.frames > _UNKNOWN:  # is it a tag behind it?
                    raise _GoesOn from None
                raise
            if not len(channels):
                _require_end(source, file, stream, position)
                break
            begin = max(0, start * rate - position)
            position += len(channels)
            yield rate, position, channels[begin:]


def _require_end(source, file: _SoundFile, stream, position: int) -> None:
    """Raise if a file goes on where libsndfile stops, or should go on."""
    unread = iter(partial(stream.read, _BLOCK), b"")
    if position == 0:  # the header of a recording that was never finished, perhaps
        goes_on = any(unread)
    elif file.format == "MP3":
        goes_on = any(first_frame(block) is not None for block in unread)
    else:
        is_flac = file.format == "FLAC" and any(unread)
        goes_on = (is_flac or file.format == "OGG") and is_joined(source, file.format)
    if goes_on:
        raise _GoesOn
    if position == 0:
        raise BadClipError(source, f"holds no samples; {_AGAIN}")
    seconds = total = position / file.samplerate
    if file.format == "MP3" and file.frames < _UNKNOWN:
        total = file.frames / file.samplerate
    elif shorter := _SHORTER.search(file.extra_info):
        promised, found = (int(n) for n in shorter.groups() if n)
        if shorter["ds64"]:
            promised, found = found, promised
        # Programs that write into a pipe promise 0 bytes, or nearly 2 or 4 GB.
        if 0 < promised & 0x7FFFFFFF < 0x7FFFF000:
            total = seconds * promised / max(1, found)
    _require_whole(source, seconds, total)


def _require_whole(source, seconds: float, total: float) -> None:
    """Raise if a file has less sound than it promises, or ends within a page of Ogg."""
    if total - seconds > _SLIGHT or last_page_is_cut_off(source):
        of_total = f" of {total:.2f} s" if total > seconds else ", in the middle of a page of Ogg"
        raise BadClipError(source, f"is cut off after {seconds:.2f} s{of_total}; {_AGAIN}")


def _by_ffmpeg(av, source, start: int, stop: float, rate: int | None, done: int) -> Blocks:
    """Read a file from its beginning, but for `done` frames at a rate that libsndfile has read."""
    begun, position = rate is not None, 0
    damaged: list = []
    with (
        opened(source) as stream,
        av.open(stream, options=_NO_OTHER_FILES, metadata_errors="ignore") as container,
    ):
        for frame in _ffmpeg_frames(av, container, rate, damaged):
            if rate is None:
                rate = frame.sample_rate
                _require_rate(source, rate)
            channels = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            begin = max(0, done - position, start * rate - position)
            position += len(channels)
            yield rate, max(position, done), channels[begin:]
            if position >= stop * rate:
                return
        if rate is None:
            raise ValueError("no sound")
        total = _promised_seconds(container)
    if begun and damaged and container.format.name == "flac":
        raise ValueError("cut off, since this is no mp3 with a tag behind it")
    seconds = position / rate
    _require_whole(source, seconds, total if seconds < 0.98 * total else 0.0)


def _promised_seconds(container) -> float:
    """Return the length of the sound by the file's header; 0 where FFmpeg would guess it."""
    sound = container.streams.audio[0]
    if container.format.flags & _GENERIC_INDEX:
        return 0.0
    if sound.duration is not None:
        return float(sound.duration * sound.time_base)
    is_all = len(container.streams) == 1 and container.duration is not None
    return (container.duration - max(0, container.start_time or 0)) / 1e6 if is_all else 0.0


def _ffmpeg_frames(av, container, rate: int | None, damaged: list):
    """Yield frames of float32 in the layout of the first and at a rate; note damage behind them."""

    def decoded():
        for packet in container.demux(container.streams.audio[0]):
            try:
                for frame in packet.decode():
                    damaged.clear()
                    yield frame
            except av.InvalidDataError:
                damaged.append(packet)

    layout = None
    kind = attrgetter("layout.name", "sample_rate", "format.name")
    for _, piece in itertools.groupby(decoded(), kind):  # of a joined file
        first = next(piece)
        layout, rate = layout or first.layout.name, rate or first.sample_rate
        resampler = av.AudioResampler("flt", layout, rate)
        for frame in itertools.chain([first], piece, [None]):
            yield from resampler.resample(frame)


def _require_rate(source, rate: int) -> None:
    if rate not in RATES:
        reason = f"claims a sample rate of {rate} Hz, accepted are {RATES[0]:,} to {RATES[-1]:,} Hz"
        raise BadClipError(source, f"{reason}; {_AGAIN}")
