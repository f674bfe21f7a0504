"""Rows of a large array, picked but not yet copied."""

import contextlib
import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: Rows of a memory-mapped array beyond this size are copied to a temporary file, not into memory.
SPILL_BYTES = 64 * 2**20

#: About so much of an array is looked at in one go.
CHUNK_BYTES = 16 * 2**20


class Rows:
    """Some rows of an array, in some order.

    Picking rows of rows costs nothing. Only :meth:`array` copies, and only what is not
    contiguous: cross-validation over memory-mapped features never holds a fold in memory.

    Parameters
    ----------
    base : ndarray of shape (n_base, ...)
        The array, possibly memory-mapped.
    index : slice or array-like of shape (n_rows,), default=None
        The rows, as numpy has it: a slice, row numbers, or a mask; None for all of them.
    """

    def __init__(self, base: np.ndarray, index: np.ndarray | None = None):
        self.base = base
        self.index = None if index is None else np.arange(len(base))[index]

    def __len__(self) -> int:
        return len(self.base if self.index is None else self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.base.shape[1:])

    def pick(self, rows) -> "Rows":
        """Return some of the rows: a slice, row numbers or a mask."""
        return Rows(self.base, rows if self.index is None else self.index[rows])

    def array(self) -> np.ndarray:
        """Return the rows as an array: a view where they are contiguous, else a copy."""
        if self.index is None:
            return self.base
        if len(self.index) and np.all(np.diff(self.index) == 1):
            return self.base[self.index[0] : self.index[-1] + 1]
        row_bytes = self.base[:1].nbytes
        if _mapped_file(self.base) and len(self.index) * row_bytes > SPILL_BYTES:
            with contextlib.suppress(OSError):  # no room: then there is only memory
                return self._spill(row_bytes)
        return np.asarray(self.base[self.index])

    def without_numbers(self, *, throughout: bool = False) -> list[int]:
        """Return the rows with NaN or infinity; told by one number if they are so `throughout`."""
        if self.base.dtype.kind != "f" or 0 in self.shape:
            return []
        first = [0] * (self.base.ndim - 1) if throughout else []
        step = max(1, CHUNK_BYTES // self.base[:1].nbytes)
        bad: list[int] = []
        for start in range(0, len(self), step):
            some = slice(start, start + step)
            numbers = self.base[(some if self.index is None else self.index[some], *first)]
            fine = np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
            bad += (start + np.flatnonzero(~fine)).tolist()
            release_pages(self.base)
        return bad

    def _spill(self, row_bytes) -> np.ndarray:
        """Copy the rows to a nameless file, which lives as long as the array, and map it."""
        path, offset = _mapped_file(self.base)  # type: ignore[misc]
        # Beside the source, where there is room; the usual folder may be held in memory.
        with open(path, "rb") as source, tempfile.TemporaryFile(dir=path.parent) as target:
            for row in self.index:  # type: ignore[union-attr]
                source.seek(offset + int(row) * row_bytes)
                target.write(source.read(row_bytes))
            target.flush()
            mapped = mmap.mmap(target.fileno(), 0, access=mmap.ACCESS_READ)
        return np.ndarray(self.shape, dtype=self.base.dtype, buffer=mapped)

    def __reduce__(self):
        file = _mapped_file(self.base)
        if file:  # by reference: other processes map the same file
            return _rows_of_file, (*file, self.base.dtype, self.base.shape, self.index)
        return Rows, (self.array(),)


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Put rows behind each other: rows of the same file stay there, others become an array."""
    files = {_mapped_file(part.base) for part in parts}
    if len(files) > 1 or None in files:
        return Rows(np.concatenate([part.array() for part in parts]))
    base = max((part.base for part in parts), key=len)  # a later map has what was added since
    rows = [np.arange(len(p.base)) if p.index is None else p.index for p in parts]
    return Rows(base, np.concatenate(rows))


def release_pages(array) -> None:
    """Give what was read of a memory-mapped array back, to be read again when it is needed.

    Who passes over more features than fit into memory calls this after each batch: else all
    that was read so far counts as memory of the process until the system runs short of it.
    Other arrays are left alone, and so are maps that could have been written to.

    Parameters
    ----------
    array : ndarray
        Any array, perhaps a view of a memory-mapped one.
    """
    base = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(base, "madvise"):  # not on Windows
        with memoryview(base) as view:
            if view.readonly:
                base.madvise(mmap.MADV_DONTNEED)


def _mapped_file(array) -> tuple[Path, int] | None:
    """Return file and offset of a whole, read-only memory-mapped array in C order."""
    is_map = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    if not is_map or array.mode != "r" or not array.flags.c_contiguous or not array.filename:
        return None
    return (Path(array.filename), array.offset) if Path(array.filename).is_file() else None


def _rows_of_file(path, offset, dtype, shape, index) -> Rows:
    return Rows(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape), index)
