"""Extracted features on disk, for several processes and across interruptions."""

import contextlib
import hashlib
import json
import os
import time
import zlib
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import numpy as np
from filelock import FileLock

from .._files import user_path, write_atomically
from .._parallel import interrupts_wait
from ..audio import SourceExcerpt
from ._plan import code_of

#: Raise it whenever the same parameters would give other features than before.
FORMAT = 6

_MISSING = -1

# Nanoseconds within which a file system may not tell two changes apart.
_TICK = 100_000_000


class FeatureStore:
    """The features of one domain, one fixed-size row per clip, in one file.

    The folder holds ``features-<id>.bin`` (the rows) and ``index.txt``: a line in JSON that says
    what the rows are, and in which file, then a line ``key row crc32`` per finished row, only ever
    appended to. A row counts once its line is complete and its checksum is right; whatever else an
    interrupted or a broken writer leaves behind is computed again. Writers take turns by a file
    lock. A store that is begun anew has another id, so that no batch of before takes its rows for
    those it had. ``shape`` is None until it is known.
    """

    def __init__(self, folder: Path, about: dict, dtype: str):
        self.folder = folder
        self.about = about
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._index = folder / "index.txt"
        self._head: bytes | None = None
        self._index_read = 0
        self.shape: tuple[int, ...] | None = None
        self._refresh()

    def find(self, keys: list[str]) -> np.ndarray:
        """Return the rows of clips, -1 for those that are missing or damaged.

        A process reads and checks a row once, unless the file has changed since.
        """
        self._refresh()
        rows = np.full(len(keys), _MISSING)
        if not self._features.exists():
            return rows
        with open(self._features, "rb") as file:
            stat = os.fstat(file.fileno())
            checked: set[tuple[int, int]] = set()
            if time.time_ns() - stat.st_mtime_ns > _TICK:
                checked = _checked(self._features, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            for i, key in enumerate(keys):
                row, checksum = entry = self._entries.get(key, (_MISSING, 0))
                if entry in checked or (row >= 0 and zlib.crc32(self._read(file, row)) == checksum):
                    checked.add(entry)
                    rows[i] = row
        return rows

    def write(self, key: str, features: np.ndarray) -> int:
        """Store the features of a clip and return their row."""
        data = np.ascontiguousarray(features, dtype=self.dtype).tobytes()
        self.folder.mkdir(parents=True, exist_ok=True)
        with interrupts_wait(), FileLock(self.folder / "lock"):
            self._refresh()
            if not self._features.exists():
                self._begin(features.shape)
            with open(self._features, "a+b") as file:
                row, _ = self._entries.get(key, (_MISSING, 0))
                if row != _MISSING and self._read(file, row) == data:
                    return row  # another process was faster
                # Always a row of its own: what others may have mapped is never overwritten.
                row = -(-file.seek(0, os.SEEK_END) // self._row_bytes)
                file.truncate(row * self._row_bytes)
                file.write(data)
            with open(self._index, "ab") as file:
                cut_off = file.tell() > self._index_read
                line = b"%s %d %d\n" % (key.encode(), row, zlib.crc32(data))
                file.write(b"\n" + line if cut_off else line)
        return row

    def _read(self, file, row: int) -> bytes:
        file.seek(row * self._row_bytes)
        return file.read(self._row_bytes)

    def map(self) -> np.ndarray:
        """Return all rows as a memory-mapped array."""
        assert self.shape is not None, "nothing is stored yet"
        n_rows = self._features.stat().st_size // self._row_bytes
        return np.memmap(self._features, self.dtype, mode="r", shape=(n_rows, *self.shape))

    def _begin(self, shape) -> None:
        """Begin an empty store, under a new id."""
        name = f"features-{uuid4().hex[:16]}.bin"
        (self.folder / name).touch()
        head = json.dumps({**self.about, "shape": shape, "file": name}) + "\n"
        write_atomically(self._index, head.encode())
        self._refresh()

    def _refresh(self) -> None:
        """Read what was added to the index since the last look."""
        head = new = b""
        with contextlib.suppress(OSError), open(self._index, "rb") as file:
            head = file.readline()
            head = head if head.endswith(b"\n") else b""  # cut off: nothing can be added to it
            file.seek(self._index_read if head == self._head else len(head))
            new = file.read()
        if head != self._head:  # it was begun anew
            self._features, self.shape = self.folder / "none", None
            self._head, self._index_read = head, len(head)
            self._entries: dict[str, tuple[int, int]] = {}
            with contextlib.suppress(ValueError, KeyError, TypeError):  # else it will be
                about = json.loads(head)
                self._features, self.shape = self.folder / about["file"], tuple(about["shape"])
                self._row_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        complete = new[: new.rfind(b"\n") + 1]
        self._index_read += len(complete)
        for line in complete.splitlines():
            match line.split():
                case [key, row, checksum] if row.isdigit() and checksum.isdigit():
                    self._entries[key.decode("ascii", "replace")] = (int(row), int(checksum))


@lru_cache(maxsize=64)
def _checked(path, inode, size, changed) -> set[tuple[int, int]]:
    """Return the rows, with their checksums, that a process has found right in a file as it is."""
    return set()


def store_for(root: Path, domain, signature: tuple, width: int, dtype: str) -> FeatureStore:
    """Return the store of what a domain computes for clips of `width` samples."""
    code = {"format": FORMAT, "version": domain.version, "code": code_of(type(domain))}  # type: ignore[arg-type]
    about = {"domain": signature, "n_samples": width, "dtype": dtype, **code}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return FeatureStore(root / f"{type(domain).__name__}-{digest[:16]}", about, dtype)


def cache_folder(memory) -> Path | None:
    """Return the folder of the cache, its own part of a folder that others may share."""
    location = getattr(memory, "location", memory)  # of a joblib.Memory
    return None if location is None else user_path(location) / "sklearn_genremoe"


def clip_key(clip) -> str:
    """Identify a clip: a file by path, size and time of change, a waveform by its samples."""
    if isinstance(clip, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(clip, dtype=np.float32).data).hexdigest()
    is_excerpt = isinstance(clip, SourceExcerpt)
    path, *part = (clip.path, clip.offset, clip.duration) if is_excerpt else (clip,)
    with contextlib.suppress(OSError, ValueError):  # no such file
        stat = os.stat(path)
        path, part = os.path.realpath(path), [*part, stat.st_size, stat.st_mtime_ns]
    content = "\0".join(map(str, [path, *part]))
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
