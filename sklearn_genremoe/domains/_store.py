"""Extracted features on disk, for several processes and across interruptions."""

import hashlib
import json
import os
import time
import zlib
from pathlib import Path
from uuid import uuid4

import joblib
import numpy as np
from filelock import FileLock

from .._files import user_path, write_atomically
from .._parallel import interrupts_wait
from ..audio import SourceExcerpt
from ._plan import code_of

#: Raise it whenever the same parameters would give other features than before.
FORMAT = 5

_MISSING = -1

# Rows and their checksums that this process has found right, by file, as long as it is unchanged.
_CHECKED: dict[Path, tuple[tuple[int, ...], set[tuple[int, int]]]] = {}

# Nanoseconds within which a file system may not tell two changes apart.
_TICK = 100_000_000


class FeatureStore:
    """The features of one domain, one fixed-size row per clip, in one file.

    The folder holds ``features-<id>.bin`` (the rows), ``index.txt`` (a line ``key row crc32`` per
    finished row, only ever appended to) and ``about.json`` (what the rows are, their ``shape``,
    which is None until it is known). A row counts once its line is complete and its checksum is
    right; whatever else an interrupted or a broken writer leaves behind is computed again. Writers
    take turns by a file lock. A store that is begun anew has another id, so that no batch of before
    takes its rows for those it had.
    """

    def __init__(self, folder: Path, about: dict, dtype: str):
        self.folder = folder
        self.about = about
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.shape: tuple[int, ...] | None = None
        self._index = folder / "index.txt"
        self._features = folder / "none"
        self._entries: dict[str, tuple[int, int]] = {}
        self._index_read = 0
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
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            known, checked = _CHECKED.get(self._features, (None, set()))
            checked = checked if known == stamp else set()
            for i, key in enumerate(keys):
                entry = self._entries.get(key)
                if entry is None:
                    continue
                if entry in checked or zlib.crc32(self._read(file, entry[0])) == entry[1]:
                    checked.add(entry)
                    rows[i] = entry[0]
        if time.time_ns() - stat.st_mtime_ns > _TICK:
            _CHECKED[self._features] = (stamp, checked)
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

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize  # type: ignore[arg-type]

    def _begin(self, shape) -> None:
        """Begin an empty store, under a new id."""
        self._index.unlink(missing_ok=True)
        name = f"features-{uuid4().hex[:16]}.bin"
        about = {**self.about, "shape": list(shape), "dtype": self.dtype.str, "file": name}
        data = json.dumps(about, indent=2).encode()
        write_atomically(self.folder / "about.json", data)
        (self.folder / name).touch()
        self._features, self.shape = self.folder / name, tuple(shape)
        self._entries, self._index_read = {}, 0

    def _refresh(self) -> None:
        """Read what was added to the index since the last look."""
        try:
            about = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
            features, shape = self.folder / about["file"], tuple(about["shape"])
        except (OSError, ValueError, KeyError):
            features, shape = self.folder / "none", None  # it is written anew
        if features != self._features:
            self._features, self.shape = features, shape
            self._entries, self._index_read = {}, 0
        try:
            with open(self._index, "rb") as file:
                file.seek(self._index_read)
                new = file.read()
        except OSError:
            return
        complete = new[: new.rfind(b"\n") + 1]
        self._index_read += len(complete)
        for line in complete.splitlines():
            match line.split():
                case [key, row, checksum] if row.isdigit() and checksum.isdigit():
                    self._entries[key.decode("ascii", "replace")] = (int(row), int(checksum))


def store_for(root: Path, domain, signature: tuple, width: int, dtype: str) -> FeatureStore:
    """Return the store of what a domain computes for clips of `width` samples."""
    name, *params = signature
    about = {
        "domain": name,
        "parameters": dict(params),
        "n_samples": width,
        "dtype": dtype,
        "format": FORMAT,
        "version": domain.version,
        "code": code_of(type(domain)),  # type: ignore[arg-type]
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return FeatureStore(root / f"{type(domain).__name__}-{digest[:16]}", about, dtype)


def cache_folder(memory) -> Path | None:
    """Return the folder of the cache, its own part of a folder that others may share."""
    location = memory.location if isinstance(memory, joblib.Memory) else memory
    return None if location is None else user_path(location) / "sklearn_genremoe"


def clip_key(clip) -> str:
    """Identify a clip: a file by path, size and time of change, a waveform by its samples."""
    if isinstance(clip, SourceExcerpt):
        part = f"{clip_key(clip.path)} {clip.offset} {clip.seconds}"
        return hashlib.sha256(part.encode()).hexdigest()
    if isinstance(clip, str):
        content = os.path.realpath(clip)
        if os.path.exists(clip):
            stat = os.stat(clip)
            content += f"\0{stat.st_size}\0{stat.st_mtime_ns}"
        return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
    return hashlib.sha256(np.ascontiguousarray(clip, dtype=np.float32).data).hexdigest()
