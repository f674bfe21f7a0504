"""From an audio file to blocks of samples, by libsndfile or, where it is installed, FFmpeg."""

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import soundfile

from ._errors import BadClipError
from ._mp3_pipe import first_frame, mp3_pipe, skip_tags

#: What is read: sample rate and number of the first frame, then the frames, block by block.
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

# More bytes than a page of Ogg has.
_OGG_PAGE = 2**16

# Seconds that may be missing at the end of a file: programs count some bytes of the header in.
_SLIGHT = 0.1

# FFmpeg's flag of formats without an index, which begin and end anywhere.
_GENERIC_INDEX = 0x100

# What to do about a file.
_CONVERT = (
    "fetch it again, convert it, for example with ffmpeg -i FILE clip.flac (one by one, if it was "
    "joined of several), or leave it out"
)
_INSTALL = (
    "libsndfile alone reads wav, flac, ogg, opus, mp3, aiff and others. Install what reads nearly "
    f"all files, pip install av; or {_CONVERT}"
)


class _GoesOn(Exception):
    """A file has more sound than libsndfile reads of it."""


def read_blocks(source, start: int, stop: float | None) -> Blocks:
    """Read a file from a second to another, or a little further, or to its end.

    Yields sample rate, number of the first frame in the file, and float32 samples of shape
    (n_frames, n_channels), block by block. A file that ends before `start` yields one block without
    frames, at its end.
    """
    rate, done = None, 0
    try:
        for rate, position, channels in _by_libsndfile(source, start, stop):
            yield rate, position, channels
            done = position + len(channels)
        return
    except _GoesOn:
        reason = f"libsndfile stops after {done / (rate or 1):.2f} s, before the end of the file"
    except soundfile.LibsndfileError:
        if rate is not None:
            raise BadClipError(
                source,
                "could not be decoded: the file is damaged or cut off within the part that is "
                "read; fetch it again, read another part of it, or leave it out",
            ) from None
        reason = "could not be decoded"
    try:
        import av
    except ImportError:
        raise BadClipError(source, f"{reason}{_found(source, rate, _INSTALL)}") from None
    try:
        yield from _by_ffmpeg(av, source, stop, rate, done)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        if isinstance(error, BadClipError):
            raise
        reason += ", neither by libsndfile nor by FFmpeg" if rate is None else ", and FFmpeg fails"
        raise BadClipError(source, f"{reason}{_found(source, rate, _CONVERT)}") from None


def require_file(source) -> None:
    """Raise unless this is a file with something in it, which may be read."""
    is_open = hasattr(source, "read")
    if not is_open and not isinstance(source, str | os.PathLike):
        raise BadClipError(
            source,
            f"is of the type {type(source).__name__}; expected a path or a binary file: put bytes "
            "into io.BytesIO",
        )
    try:
        if not is_open and not stat.S_ISREG(mode := os.stat(source).st_mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
            raise BadClipError(
                source, f"is not a file but {kind}; give the path of one audio file per clip"
            )
        with opened(source) as stream:
            is_binary, size = isinstance(stream.read(0), bytes), stream.seek(0, os.SEEK_END)
    except BadClipError:
        raise
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadClipError(source, _why_not(source, error)) from None
    if not is_binary:
        raise BadClipError(source, "gives no bytes; open the file in binary mode, with 'rb'")
    if size == 0:
        raise BadClipError(source, "the file is empty (0 bytes); fetch it again or leave it out")


def seconds_of_file(path) -> float | None:
    """Return the length of a file as its header has it or lets it be estimated, if it does."""
    with (
        contextlib.suppress(soundfile.LibsndfileError, OSError),
        _SoundFile(os.open(path, os.O_RDONLY), closefd=True) as file,
    ):
        return file.frames / file.samplerate if file.frames < _UNKNOWN else None
    with contextlib.suppress(Exception):
        import av

        with opened(path) as stream, av.open(stream, options=_NO_OTHER_FILES) as container:
            return container.duration / av.time_base
    return None


def _why_not(source, error: Exception) -> str:
    if hasattr(source, "read"):
        return f"can't be wound back ({error}); open it, or give io.BytesIO(file.read())"
    if isinstance(error, PermissionError):
        return (
            "may not be read: you lack the permission for the file or for a folder above it; ask "
            "for it (chmod), or leave the clip out"
        )
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(source), re.IGNORECASE):
        return (
            "is an address, and only paths on this machine are read; download it and pass the "
            "path of the file, or of file:// the part behind"
        )
    with contextlib.suppress(OSError, ValueError):
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
    again = "fetch it again, or leave it out"
    if not any(head):
        return f": the file begins with zeros, as interrupted downloads leave them; {again}"
    text = re.sub(r"[^ -~]+", ".", head[:16].decode("latin-1")).strip()
    if all(byte in b"\t\n\r\f" or byte >= 32 for byte in head):
        kind = "text, such as a web page, JSON or a play list"
        return f": the file looks like {kind}, and begins with {text!r}; {again}"
    return f": the file begins with {text!r}; {advice}"


@contextlib.contextmanager
def opened(source):
    """Open a file at its beginning; one that is open already is left where it was."""
    if hasattr(source, "read"):
        place = source.tell()
        source.seek(0)
        try:
            yield source
        finally:
            source.seek(place)
        return
    # By its number, so that FFmpeg judges it by its contents and not by its name.
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as stream:
        yield stream


class _SoundFile(soundfile.SoundFile):
    """A file that is read from one end to the other."""

    def seekable(self) -> bool:
        return False  # else soundfile seeks after each read, to where it already is

    def skip_to(self, frame: int) -> int:
        """Go to a frame if that is possible and safe, and return where the file is now."""
        frame = min(frame, self.frames)
        return super().seek(frame) if frame > 0 and self.frames < _UNKNOWN else 0


def _by_libsndfile(source, start, stop) -> Blocks:
    with _open(source) as (file, rest):
        rate = file.samplerate
        _require_rate(source, rate)
        in_order = file.format == "MP3" or (file.format == "OGG" and start and _is_chained(source))
        position = 0 if in_order else file.skip_to(start * rate)
        end = None if stop is None else stop * rate
        step = max(1, _BLOCK // file.channels)
        yield rate, position, np.empty((0, file.channels), np.float32)
        while end is None or position < end:
            n_frames = step if end is None else min(step, int(end - position) + 1)
            # Not beyond the end: a tag behind it would be an error in a flac.
            n_frames = min(n_frames, file.frames - position)
            try:
                channels = file.read(n_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                if file.format == "FLAC" and file.frames > _UNKNOWN:  # is it a tag behind it?
                    raise _GoesOn from None
                raise
            if not len(channels):
                _require_end(source, file, rest, position)
                break
            yield rate, position, channels
            position += len(channels)


def _require_end(source, file: _SoundFile, rest, position: int) -> None:
    """Raise if a file goes on where libsndfile stops, or should go on."""
    if position == 0:  # the header of a recording that was never finished, perhaps
        goes_on = bool(next(rest, b""))
    elif file.format == "MP3":
        goes_on = any(first_frame(block) is not None for block in rest)
    elif file.format == "OGG":
        goes_on = _is_chained(source)
    elif file.format == "FLAC" and next(rest, b""):  # a tag, or another flac
        goes_on = sum(1 for _ in _find_all(source, rb"fLaC[\0\x80]\0\0\x22", 8)) > 1
    else:
        goes_on = False
    if goes_on:
        raise _GoesOn
    if position == 0:
        raise BadClipError(source, "holds no samples; fetch it again or leave it out")
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
    if total - seconds > _SLIGHT or _last_page_is_cut_off(source):
        of_total = f" of {total:.2f} s" if total > seconds else ", in the middle of a page of Ogg"
        raise BadClipError(
            source,
            f"is cut off after {seconds:.2f} s{of_total}; fetch it again, read a part of it "
            "before that, or leave it out",
        )


def _is_chained(source) -> bool:
    """Tell whether a stream of an ogg file begins behind another, as in a saved radio program."""
    begins = (bool(page[5] & 2) for page in _find_all(source, rb"OggS\0.", 6))
    return any(itertools.dropwhile(bool, begins))


def _find_all(source, pattern: bytes, length: int) -> Iterator[bytes]:
    """Yield what a pattern for some number of bytes matches in a file."""
    with opened(source) as stream:
        block = b""
        while more := stream.read(_BLOCK):
            block = block[1 - length :] + more
            yield from (match[0] for match in re.finditer(pattern, block, re.DOTALL))


def _last_page_is_cut_off(source) -> bool:
    """Tell whether an ogg file ends before its last page does."""
    with opened(source) as stream:
        if stream.read(4) != b"OggS":
            return False
        size = stream.seek(0, os.SEEK_END)
        tail_start = stream.seek(max(0, size - 2 * _OGG_PAGE))
        tail = stream.read()
    page = tail.rfind(b"OggS")
    if page < 0:  # nothing but what a program has put behind it
        return False
    n_segments = tail[page + 26] if page + 26 < len(tail) else 255
    segments = tail[page + 27 : page + 27 + n_segments]
    end = page + 27 + n_segments + sum(segments)
    return len(segments) < n_segments or tail_start + end > size


@contextlib.contextmanager
def _open(source):
    """Open a file by its contents; yield it, and blocks of bytes that libsndfile leaves unread."""
    with contextlib.ExitStack() as stack:
        file = None
        begin = _first_frame(source)
        if begin != 0:
            try:
                file, rest = stack.enter_context(_open_directly(source))
            except soundfile.LibsndfileError:
                if begin is None:
                    raise
        if file is None or (file.format == "MP3" and os.name == "posix"):
            reader = stack.enter_context(mp3_pipe(partial(opened, source)))
            file = stack.enter_context(_SoundFile(reader, closefd=False))
            rest = iter(partial(os.read, reader, _BLOCK), b"")
        yield file, rest


def _first_frame(source) -> int | None:
    """Return where an mp3 begins behind its tags; None if this isn't one, or there are no pipes."""
    with opened(source) as stream:
        skip_tags(stream)
        return first_frame(stream.read(2**16)) if os.name == "posix" else None


@contextlib.contextmanager
def _open_directly(source):
    if os.name == "posix" and not hasattr(source, "read"):
        descriptor = os.open(source, os.O_RDONLY)
        with _SoundFile(descriptor, closefd=True) as file:
            yield file, iter(partial(os.read, descriptor, _BLOCK), b"")
    else:  # descriptors don't cross the borders of C libraries on Windows
        with opened(source) as stream, _SoundFile(stream) as file:
            yield file, iter(partial(stream.read, _BLOCK), b"")


def _by_ffmpeg(av, source, stop, rate: int | None, done: int) -> Blocks:
    """Read a file from its beginning, but for `done` frames at a rate that libsndfile has read."""
    begun, position = rate is not None, 0
    with (
        opened(source) as stream,
        av.open(stream, options=_NO_OTHER_FILES, metadata_errors="ignore") as container,
    ):
        is_damaged = False
        for frame in _ffmpeg_frames(av, container, rate):
            is_damaged = frame is None
            if frame is None:
                continue
            if rate is None:
                rate = frame.sample_rate
                _require_rate(source, rate)
            channels = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            yield rate, max(position, done), channels[max(0, done - position) :]
            position += len(channels)
            if stop is not None and position >= stop * rate:
                return
        if rate is None:
            raise ValueError("no sound")
        total = _promised_seconds(container)
    if begun and is_damaged and container.format.name == "flac":
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
    if len(container.streams) > 1 or container.duration is None:
        return 0.0
    return (container.duration - max(0, container.start_time or 0)) / 1e6


def _ffmpeg_frames(av, container, rate: int | None):
    """Yield frames of float32 in the layout of the first and at a rate, None if damaged."""
    layout = kind = None
    resampler: Any = None
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            yield None
            continue
        for frame in frames:
            if layout is None:
                layout, rate = frame.layout.name, rate or frame.sample_rate
            this_kind = frame.layout.name, frame.sample_rate, frame.format.name
            if kind != this_kind:  # pieces of a joined file
                if resampler is not None:
                    yield from resampler.resample(None)
                kind, resampler = this_kind, av.AudioResampler("flt", layout, rate)
            yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _require_rate(source, rate: int) -> None:
    if rate not in RATES:
        raise BadClipError(
            source,
            f"claims a sample rate of {rate} Hz; accepted are {RATES[0]:,} to {RATES[-1]:,} Hz: "
            "the file is damaged, fetch it again or leave it out",
        )
