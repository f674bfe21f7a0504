"""A zip of flat entries: written all or not at all, read with suspicion."""

import io
import os
import re
import zipfile
from pathlib import Path
from uuid import uuid4

# What entries may hold in all, however small the file is, and times the size of the file.
_FREE_BYTES, _MAX_RATIO = 64 * 2**20, 100
_CHUNK = 2**20
_FLAT_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def pack(entries: dict[str, bytes], level: int = 0) -> bytes:
    """Return a zip that :func:`unpack` takes.

    Parameters
    ----------
    entries : dict of str to bytes
        The names and contents.
    level : int, default=0
        From 0, as they are, to 9, the smallest.

    Returns
    -------
    data : bytes
        The zip.
    """
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=level or None) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    data = buffer.getvalue()
    if _is_bomb(sum(map(len, entries.values())), len(data)):
        return pack(entries)
    return data


def unpack(file) -> dict[str, bytes]:
    """Return the entries of a zip from an unknown source.

    Parameters
    ----------
    file : binary file object
        The zip, at its beginning.

    Returns
    -------
    entries : dict of str to bytes
        The names and contents.

    Raises
    ------
    ValueError
        If this is no zip, or a damaged or an insidious one. Says what is the matter in the form
        of a predicate, and takes no more memory than 100 times the size of the file and 64 MB.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise ValueError("is empty")
    if file.read(2) != b"PK":
        raise ValueError("is no zip")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            _require_plain(infos, size)
            return {info.filename: _read(archive, info) for info in infos}
    except _Insidious as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # many kinds, depending on where the damage is
        raise ValueError(f"is truncated or damaged ({error})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, which appears under its name when it is complete and on the disk.

    Whatever stops it leaves what was there before. A link stays one.
    """
    path = Path(os.path.realpath(path))
    temporary = path.parent / f".{uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Insidious(Exception):
    """A zip that nobody writes by accident."""


def _is_bomb(content_bytes: int, file_bytes: int) -> bool:
    return content_bytes > _FREE_BYTES + _MAX_RATIO * file_bytes


def _require_plain(infos: list[zipfile.ZipInfo], size: int) -> None:
    """Raise unless all entries are ordinary ones, by what the zip says of them."""
    names = [info.orig_filename for info in infos]
    odd = [name for name in names if not _FLAT_NAME.fullmatch(name)]
    if odd:
        raise _Insidious(f"has entries outside of itself: {odd[:3]}")
    if len(set(names)) < len(names):
        raise _Insidious("has several entries of the same name")
    if any(info.flag_bits & 0x1 for info in infos):
        raise _Insidious("has encrypted entries")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise _Insidious("is compressed by another method than deflate")
    if _is_bomb(sum(info.file_size for info in infos), size):
        raise _Insidious(f"is a zip bomb: {size} bytes claim to hold more than {_MAX_RATIO} times")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return an entry, of which no more is inflated than it said, plus a chunk."""
    with archive.open(info) as file:
        content = b"".join(iter(lambda: file.read(_CHUNK), b""))
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename} ends early")
    return content
