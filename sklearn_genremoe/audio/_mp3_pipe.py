"""An mp3 through a pipe, which makes libsndfile read all of it.

Where an mp3 doesn't say how many frames it has, libsndfile estimates it and stops there if it can
jump in the file; and where it jumps, libmpg123 complains about what it jumped over.
"""

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

# What the headers of MPEG 1 and 2, layer 3, encode.
_RATES = (44_100, 48_000, 32_000)
_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@contextlib.contextmanager
def mp3_pipe(opened: Callable[[], contextlib.AbstractContextManager[BinaryIO]]) -> Iterator[int]:
    """Yield the reading end of a pipe with an mp3 in it, which a function opens."""
    reader, writer = os.pipe()
    feeder = threading.Thread(target=_feed, args=(opened, writer), daemon=True)
    feeder.start()
    try:
        yield reader
    finally:
        os.close(reader)
        feeder.join()


def _feed(opened, writer: int) -> None:
    """Write an mp3 into a pipe, without tags and whatever else precedes its sound."""
    with (
        contextlib.suppress(OSError, ValueError),
        open(writer, "wb") as target,  # buffered: a signal may cut a write short
        opened() as source,
    ):
        skip_tags(source)
        block = source.read(2**16)
        target.write(block[first_frame(block) or 0 :])
        shutil.copyfileobj(source, target)


def skip_tags(source: BinaryIO) -> None:
    """Go behind the ID3v2 tags with which a file begins."""
    head = source.read(10)
    while head[:3] == b"ID3" and len(head) == 10:
        size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
        source.seek(size, os.SEEK_CUR)
        head = source.read(10)
    source.seek(-len(head), os.SEEK_CUR)


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
