"""From an audio file to blocks of samples, by libsndfile or, where it is installed, FFmpeg."""

import contextlib
import errno
import os
import re
import stat
import struct
import threading
from collections.abc import Iterator

import numpy as np
import soundfile

from ._errors import BadClipError

#: What is read: sample rate and number of the first frame, then the frames, block by block.
Blocks = Iterator[tuple[int, int, np.ndarray]]

# Numbers read at a time: 4 MiB of float32, however many channels a header promises.
_BLOCK = 2**20

#: Sample rates in Hz that a file may have; others are damage.
RATES = range(1_000, 1_000_001)

# What the headers of MPEG 1 and 2, layer 3, encode.
_MP3_RATES = (44_100, 48_000, 32_000, 2**31)
_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# More frames than this mean that libsndfile doesn't know how many there are.
_UNKNOWN = 2**60

# What is no file of its own, such as a play list, must not make FFmpeg open others.
_NO_OTHER_FILES = {"protocol_whitelist": "none"}

# The first bytes of files that came in place of audio, and that no program makes audio of.
_NO_AUDIO = {
    r"\s*<": "a web page or another text with markup (HTML, XML)",
    r"\{|\[": "JSON or another text",
    r"\xff\xd8\xff|\x89PNG|GIF8": "a picture",
    r"%PDF": "a PDF document",
    r"PK\x03\x04|\x1f\x8b|Rar!|7z": "an archive or a compressed file",
    r"#EXTM3U|\[playlist\]": "a list of files to play",
    r"\x00{16}": "zeros, as an interrupted download or a damaged disk leaves them",
}

# Those of audio that libsndfile doesn't read, or not all of it.
_OTHER_AUDIO = {
    r"....ftyp": "MPEG-4 audio or video (m4a, mp4, aac)",
    r"\x30\x26\xb2\x75": "Windows Media (wma, asf)",
    r"\x1a\x45\xdf\xa3": "Matroska (webm, mka)",
    r"wvpk": "WavPack (wv)",
    r"MAC ": "Monkey's Audio (ape)",
    r"\x0b\x77": "Dolby Digital (ac3)",
    r"FLV|RIFF....AVI": "video",
    r"MThd": "MIDI, notes without sound",
    r"#!AMR": "AMR speech",
    r"DSD |FRM8": "DSD audio",
    r"\xff[\xf0\xf1\xf8\xf9]": "bare AAC (aac)",
    r"ID3|\xff[\xe2-\xff]": "mp3, but without sound that can be decoded",
    r"OggS": "Ogg with contents of another kind, or damaged",
    r"RIFF|RIFX|RF64|fLaC|FORM|\.snd|caff": "audio of a known kind, but damaged or of an unusual "
    "coding",
}

# What wav and aiff files begin with, and the order of their bytes.
_CHUNKED = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">", b"FORM": ">"}

# Sizes of sound by which programs that write into a pipe say that they don't know it yet.
_PLACEHOLDERS = (range(1), range(0x7FFFF000, 0x80000001), range(0xFFFFF000, 2**32))

# More bytes than a page of Ogg has.
_OGG_PAGE = 2**16

# Seconds that may be missing at the end of a file: programs count some bytes of the header in.
_SLIGHT = 0.1


def read_blocks(path, start: int, stop: float | None) -> Blocks:
    """Read a file from a second to another, or to its end.

    Parameters
    ----------
    path : str or Path
        The file.
    start : int
        Second at which to begin.
    stop : float or None
        Second at which to end; a little more may come.

    Yields
    ------
    rate : int
        Sample rate in Hz.
    position : int
        Number of the block's first frame in the file.
    channels : ndarray of shape (n_frames, n_channels), dtype float32
        Samples. A file that ends before `start` yields one block without frames, at its end.
    """
    begun = False
    try:
        for block in _by_libsndfile(path, start, stop):
            begun = True
            yield block
        return
    except soundfile.LibsndfileError:
        if begun:
            raise BadClipError(
                path,
                "could not be decoded: the file is damaged or cut off within the part that is "
                "read; fetch it again, read another part of it, or leave it out",
            ) from None
    kind, advice = _looks_like(path)
    try:
        import av  # FFmpeg's libraries, an optional dependency
    except ImportError:
        advice = advice or (
            "accepted are wav, flac, ogg, opus, mp3, aiff and others that libsndfile reads: "
            "convert the file, for example with ffmpeg -i FILE clip.flac, or install what reads "
            "nearly all others, pip install 'sklearn-genremoe[ffmpeg]', or leave it out"
        )
        raise BadClipError(path, f"could not be decoded: the file {kind}; {advice}") from None
    try:
        yield from _by_ffmpeg(av, path, start, stop)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        if isinstance(error, BadClipError):
            raise
        raise BadClipError(
            path,
            f"could not be decoded, neither by libsndfile nor by FFmpeg: the file {kind}; "
            f"{advice or 'fetch it again, convert it, or leave it out'}",
        ) from None


def require_file(path) -> None:
    """Raise unless the path is that of a file with something in it, which may be read."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            os.close(os.open(path, os.O_RDONLY))
    except (OSError, ValueError) as error:
        raise BadClipError(path, _why_not(path, error)) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise BadClipError(
            path, f"is not a file but {kind}; give the path of one audio file per clip"
        )
    if status.st_size == 0:
        raise BadClipError(path, "the file is empty (0 bytes); fetch it again or leave it out")


def seconds_of_file(path) -> float | None:
    """Return the length of a file as its header has it or lets it be estimated, if it does."""
    with (
        contextlib.suppress(soundfile.LibsndfileError, OSError),
        _SoundFile(os.open(path, os.O_RDONLY), closefd=True) as file,
    ):
        return file.frames / file.samplerate if file.frames < _UNKNOWN else None
    with contextlib.suppress(Exception):
        import av

        with _nameless(path) as stream, av.open(stream, options=_NO_OTHER_FILES) as container:
            return container.duration / av.time_base
    return None


def _why_not(path, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return (
            "may not be read: you lack the permission for the file or for a folder above it; ask "
            "for it (chmod), or leave the clip out"
        )
    if number == errno.ENAMETOOLONG:
        return "no such file: the name is longer than a file system takes; check the path"
    if number in (errno.ENOENT, errno.ENOTDIR) or isinstance(error, ValueError):
        if path and os.path.islink(path):
            return f"no such file: a link to {os.readlink(path)}, which isn't there; mend the link"
        if re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE):
            return (
                "is an address, and only paths on this machine are read; download it and pass the "
                "path of the file, or of file:// the part behind"
            )
        return "no such file; check the path and the working directory"
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"could not be opened ({reason}); check the path, or leave the clip out"


def _looks_like(path) -> tuple[str, str]:
    """Say what is in a file by its first bytes, and what to do about it if there is no audio."""
    with open(path, "rb") as file:
        head = file.read(64)
    advice = "fetch it again, or leave it out"
    for pattern, kind in (_NO_AUDIO | _OTHER_AUDIO).items():
        if re.match(pattern.encode("latin-1"), head, re.DOTALL):
            return f"looks like {kind}", advice if pattern in _NO_AUDIO else ""
    if all(byte in b"\t\n\r\f" or byte >= 32 for byte in head):
        return "looks like text", advice
    return (
        f"begins with the bytes {head[:8].hex(' ')}, which are those of no known audio format",
        "",
    )


class _SoundFile(soundfile.SoundFile):
    """A file that is read from one end to the other."""

    def seekable(self) -> bool:
        return False  # else soundfile seeks after each read, to where it already is

    def skip_to(self, frame: int) -> int:
        """Go to a frame if that is possible and safe, and return where the file is now."""
        frame = min(frame, self.frames)
        return super().seek(frame) if frame > 0 and self.frames < _UNKNOWN else 0


def _by_libsndfile(path, start, stop) -> Blocks:
    with _open(path) as file:
        rate = file.samplerate
        _require_rate(path, rate)
        position = 0 if file.format == "MP3" else file.skip_to(start * rate)
        end = None if stop is None else stop * rate
        step = max(1, _BLOCK // file.channels)
        yield rate, position, np.empty((0, file.channels), np.float32)
        while end is None or position < end:
            n_frames = step if end is None else min(step, int(end - position) + 1)
            channels = file.read(n_frames, dtype="float32", always_2d=True)
            if not len(channels):
                _require_complete(path, position / rate)
                break
            yield rate, position, channels
            position += len(channels)


def _require_complete(path, seconds: float) -> None:
    """Raise if a wav, aiff, au or ogg file is cut off, since libsndfile doesn't mind."""
    promised, there = _bytes_of_sound(path)
    total = seconds * promised / max(1, there)
    if total - seconds > _SLIGHT or _last_page_is_cut_off(path):
        of_total = f" of {total:.2f} s" if total > seconds else ", in the middle of a page of Ogg"
        raise BadClipError(
            path,
            f"is cut off after {seconds:.2f} s{of_total}; fetch it again, read a part of it "
            "before that, or leave it out",
        )


def _last_page_is_cut_off(path) -> bool:
    """Tell whether an ogg file ends before its last page does."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = file.seek(0, os.SEEK_END)
        tail_start = file.seek(max(0, size - 2 * _OGG_PAGE))
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:  # nothing but what a program has put behind it
        return False
    n_segments = tail[page + 26] if page + 26 < len(tail) else 255
    segments = tail[page + 27 : page + 27 + n_segments]
    end = page + 27 + n_segments + sum(segments)
    return len(segments) < n_segments or tail_start + end > size


def _bytes_of_sound(path) -> tuple[int, int]:
    """Return how many bytes of sound a wav, aiff or au file promises, and how many it has."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] == b".snd" and len(head) == 12:
            start, size = struct.unpack(">2I", head[4:])
            known = not any(size in sizes for sizes in _PLACEHOLDERS)
            return size if known else 0, os.path.getsize(path) - start
        order = _CHUNKED.get(head[:4])
        long = 0  # the size in RF64, where 32 bits are not enough
        while order and len(head := file.read(8)) == 8:
            name, size = struct.unpack(f"{order}4sI", head)
            start = file.tell()
            if name == b"ds64":
                long = int.from_bytes(file.read(16)[8:], "little")
            if name in (b"data", b"SSND"):
                unknown = any(size in sizes for sizes in _PLACEHOLDERS)
                size = long % (2**64 - 1) if unknown else size  # all ones are a placeholder too
                return size, os.path.getsize(path) - start
            file.seek(start + size + size % 2)
    return 0, 0


@contextlib.contextmanager
def _open(path) -> Iterator[_SoundFile]:
    """Open a file by its contents, whatever its name is and ends with.

    An mp3 comes through a pipe. Where an mp3 doesn't say how many frames it has, libsndfile
    estimates it and stops there; and where it jumps, libmpg123 complains about what it jumped over.
    """
    if os.name == "nt":  # descriptors don't cross the borders of C libraries
        with open(path, "rb") as stream, _SoundFile(stream) as file:
            yield file
        return
    try:
        file = _SoundFile(os.open(path, os.O_RDONLY), closefd=True)
    except soundfile.LibsndfileError:
        if not os.fspath(path).lower().endswith(".mp3"):
            raise
    else:
        with file:
            if file.format != "MP3":
                yield file
                return
    reader, writer = os.pipe()
    threading.Thread(target=_feed, args=(path, writer), daemon=True).start()
    with _SoundFile(reader, closefd=True) as file:
        yield file


def _feed(path, writer: int) -> None:
    """Write an mp3 into a pipe, without tags and whatever else precedes its sound."""
    with contextlib.suppress(OSError), open(path, "rb") as source, open(writer, "wb", 0) as target:
        head = source.read(10)
        while head[:3] == b"ID3" and len(head) == 10:
            size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
            source.seek(size, os.SEEK_CUR)
            head = source.read(10)
        block = head + source.read(2**16)
        block = block[_first_frame(block) :]
        while block:
            target.write(block)
            block = source.read(2**16)


def _first_frame(block: bytes) -> int:
    """Return where two frames of an mp3 follow each other; 0 if that is nowhere."""
    for sync in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", block, re.DOTALL):
        start = sync.start()
        version, coding = block[start + 1], block[start + 2]
        is_1 = version >= 0xFA
        kilobits = (_KILOBITS_1 if is_1 else _KILOBITS_2)[coding >> 4]
        rate = _MP3_RATES[coding >> 2 & 3] >> (not is_1) >> (version < 0xF0)
        length = (144_000 if is_1 else 72_000) * kilobits // rate + (coding >> 1 & 1)
        if block[start + length : start + length + 2] == sync[0][:2]:
            return start
    return 0


def _nameless(path):
    """Open a file so that FFmpeg judges it by its contents, and not by what its name ends with."""
    return open(os.open(path, os.O_RDONLY), "rb")


def _by_ffmpeg(av, path, start, stop) -> Blocks:
    with (
        _nameless(path) as stream,
        av.open(stream, options=_NO_OTHER_FILES, metadata_errors="ignore") as container,
    ):
        position, resampler = 0, None
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                continue  # a damaged packet: take the others
            for frame in frames:
                if resampler is None:
                    rate = frame.sample_rate
                    _require_rate(path, rate)
                    resampler = av.AudioResampler("flt", frame.layout.name, rate)
                for converted in resampler.resample(frame):
                    channels = converted.to_ndarray().reshape(-1, frame.layout.nb_channels)
                    yield rate, position, channels
                    position += len(channels)
            if resampler is not None and stop is not None and position >= stop * rate:
                return
        if resampler is None:
            raise ValueError("no sound")


def _require_rate(path, rate: int) -> None:
    if rate not in RATES:
        raise BadClipError(
            path,
            f"claims a sample rate of {rate} Hz; accepted are {RATES[0]:,} to {RATES[-1]:,} Hz: "
            "the file is damaged, fetch it again or leave it out",
        )
