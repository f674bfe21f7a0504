"""What the bytes of an audio file tell that the libraries don't, and a pipe for mp3.

Where an mp3 doesn't say how many frames it has, libsndfile estimates it and stops there if it can
jump in the file; and where it jumps, libmpg123 complains about what it jumped over.
"""

import contextlib
import itertools
import os
import re
import shutil
import threading
from collections.abc import Iterator
from typing import BinaryIO

# What the headers of MPEG 1 and 2, layer 3, encode.
_RATES = (44_100, 48_000, 32_000)
_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@contextlib.contextmanager
def opened(source) -> Iterator[BinaryIO]:
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


@contextlib.contextmanager
def mp3_pipe(source) -> Iterator[BinaryIO]:
    """Yield the reading end of a pipe with the sound of an mp3 in it."""
    reader, writer = os.pipe()
    feeder = threading.Thread(target=_feed, args=(source, writer), daemon=True)
    feeder.start()
    try:
        with open(reader, "rb", buffering=0) as stream:
            yield stream
    finally:
        feeder.join()


def _feed(source, writer: int) -> None:
    with (
        contextlib.suppress(OSError, ValueError),
        open(writer, "wb") as target,  # buffered: a signal may cut a write short
        opened(source) as stream,
    ):
        block = _first_block(stream)
        target.write(block[first_frame(block) or 0 :])
        shutil.copyfileobj(stream, target)


def mp3_start(source) -> int | None:
    """Return where an mp3 begins behind its tags; None if this isn't one, or there are no pipes."""
    with opened(source) as stream:
        return first_frame(_first_block(stream)) if os.name == "posix" else None


def _first_block(stream: BinaryIO) -> bytes:
    """Read what follows the ID3v2 tags with which a file begins."""
    head = stream.read(10)
    while head[:3] == b"ID3" and len(head) == 10:
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
        stream.seek(size, os.SEEK_CUR)
        head = stream.read(10)
    return head + stream.read(2**16)


def first_frame(block: bytes) -> int | None:
    """Return where two frames of an mp3 follow each other."""
    for sync in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", block, re.DOTALL):
        start = sync.start()
        version, coding = block[start + 1], block[start + 2]
        if coding & 0xC == 0xC:  # a rate that doesn't exist
            continue
        is_1 = version >= 0xFA
        kilobits = (_KILOBITS_1 if is_1 else _KILOBITS_2)[coding >> 4]
        rate = _RATES[coding >> 2 & 3] >> (not is_1) >> (version < 0xF0)
        length = (144_000 if is_1 else 72_000) * kilobits // rate + (coding >> 1 & 1)
        if block[start + length : start + length + 2] == sync[0][:2]:
            return start
    return None


def is_joined(source, kind: str) -> bool:
    """Tell whether an ogg, such as a saved radio program, or a flac has another one behind it."""
    pattern, length = (rb"OggS\0.", 6) if kind == "OGG" else (rb"fLaC[\0\x80]\0\0\x22", 8)
    found = _find_all(source, pattern, length)
    if kind == "OGG":  # the streams of one ogg begin together
        return any(itertools.dropwhile(bool, (page[5] & 2 for page in found)))
    return any(itertools.islice(found, 1, None))


def _find_all(source, pattern: bytes, length: int) -> Iterator[bytes]:
    """Yield what a pattern for some number of bytes matches in a file."""
    with opened(source) as stream:
        block = b""
        while more := stream.read(2**20):
            block = block[1 - length :] + more
            yield from (match[0] for match in re.finditer(pattern, block, re.DOTALL))


def last_page_is_cut_off(source) -> bool:
    """Tell whether an ogg file ends before its last page does."""
    with opened(source) as stream:
        is_ogg = stream.read(4) == b"OggS"
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 2**17))  # two pages of Ogg
        _, mark, page = stream.read().rpartition(b"OggS")
    if not is_ogg or not mark:  # or nothing but what a program has put behind it
        return False
    n_segments = page[22] if len(page) > 22 else 255
    segments = page[23 : 23 + n_segments]
    return len(page) < 23 + n_segments + sum(segments)
