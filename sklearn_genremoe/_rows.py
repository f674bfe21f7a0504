"""Rows of a large array, picked but not yet copied."""

import contextlib
import mmap
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: Rows of a memory-mapped array beyond this size are copied to a temporary file, not into memory.
SPILL_BYTES = 64 * 2**20

#: About so much of an array is looked at in one go.
CHUNK_BYTES = 16 * 2**20


class Rows:
    """Some rows of an array, in some order: a slice, row numbers or a mask, as numpy has it.

    Picking rows of rows costs nothing. Only :meth:`array` copies, and only what is not
    contiguous: cross-validation over memory-mapped features never holds a fold in memory.
    """

    def __init__(self, base: np.ndarray, index=slice(None)):
        self.base = base
        self.index = np.arange(len(base))[index]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.base.shape[1:])

    def pick(self, rows) -> "Rows":
        """Return some of the rows: a slice, row numbers or a mask."""
        return Rows(self.base, self.index[rows])

    def array(self) -> np.ndarray:
        """Return the rows as a read-only array: a view where they are contiguous, else a copy."""
        if not len(self) or np.any(np.diff(self.index) != 1):
            array = self._copied()
        elif len(self) == len(self.base):
            array = self.base
        else:
            array = self.base[self.index[0] : self.index[-1] + 1]
        return read_only(array)

    def scan(self) -> tuple[float, list[int]]:
        """Return the largest size among floats, and the rows with NaN or infinity."""
        peak = 0.0
        bad: list[int] = []
        for start, rows in self._chunks() if self.base.dtype.kind == "f" else ():
            chunk = Rows(self.base, rows).array()
            highest = max(float(chunk.max(initial=0)), -float(chunk.min(initial=0)))
            peak = max(peak, highest)
            if not np.isfinite(highest):
                fine = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
                bad += (start + np.flatnonzero(~fine)).tolist()
            release_pages(self.base)
        return peak, bad

    def _chunks(self):
        """Yield rows of the base, some megabytes at a time, and the number of the first."""
        step = max(1, CHUNK_BYTES // max(1, self.base[:1].nbytes))
        for start in range(0, len(self), step):
            yield start, self.index[start : start + step]

    def _copied(self) -> np.ndarray:
        """Return a copy: where there is much in a file, in a nameless file beside it."""
        file = mapped_file(self.base)
        if file and len(self) * self.base[:1].nbytes > SPILL_BYTES:
            # Beside the source, where there is room; the usual folder may be held in memory.
            # Where there is no room, there is only memory.
            with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=file[0].parent) as target:
                for _, rows in self._chunks():
                    target.write(self.base[rows].tobytes())
                    release_pages(self.base)
                target.flush()
                mapped = mmap.mmap(target.fileno(), 0, access=mmap.ACCESS_READ)
                return np.ndarray(self.shape, dtype=self.base.dtype, buffer=mapped)
        return np.asarray(self.base[self.index])

    def __reduce__(self):
        file = mapped_file(self.base)
        if file:  # by reference: other processes map the same file
            args = (*file, self.base.dtype, self.base.shape, self.index, self._checksum())
            return _rows_of_file, args
        return Rows, (self.array(),)

    def _checksum(self) -> int:
        """Return a checksum of the first, the middle and the last row."""
        rows = sorted({0, len(self) // 2, len(self) - 1}) if len(self) else []
        return zlib.crc32(self.pick(rows).array().tobytes())


def read_only(array: np.ndarray) -> np.ndarray:
    """Return an array, or a view of it, that can't be written to."""
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Put rows behind each other: rows of the same file stay there, others become an array."""
    files = {mapped_file(part.base) for part in parts}
    if len(files) > 1 or None in files:
        return Rows(np.concatenate([part.array() for part in parts]))
    base = max((part.base for part in parts), key=len)  # a later map has what was added since
    return Rows(base, np.concatenate([part.index for part in parts]))


def release_pages(array) -> None:
    """Give what was read of a memory-mapped array back, to be read again when it is needed.

    Who passes over more features than fit into memory calls this after each batch: else all
    that was read so far counts as memory of the process until the system runs short of it.
    Other arrays are left alone, and so are maps that could have been written to.
    """
    base = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(base, "madvise"):  # not on Windows
        with memoryview(base) as view:
            if view.readonly:
                base.madvise(mmap.MADV_DONTNEED)


def mapped_file(array) -> tuple[Path, int] | None:
    """Return file and offset of a whole, read-only memory-mapped array in C order."""
    is_map = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    if not is_map or array.mode != "r" or not array.flags.c_contiguous or not array.filename:
        return None
    return (Path(array.filename), array.offset) if Path(array.filename).is_file() else None


def _rows_of_file(path, offset, dtype, shape, index, checksum) -> Rows:
    """Map rows that were pickled by reference; raise if the file is another one by now."""
    try:
        rows = Rows(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape), index)
    except (OSError, ValueError) as error:
        found = f"{path}, which held the features of this batch, is gone or damaged ({error})"
        raise ValueError(f"{found}; extract the clips again.") from error
    if rows._checksum() != checksum:
        found = f"{path} holds other features than when this batch was saved"
        raise ValueError(f"{found}; extract the clips again.")
    return rows
