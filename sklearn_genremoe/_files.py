"""Files on disk: fetched and checked, written all or not at all, archives without surprises."""

import contextlib
import io
import os
import re
import zipfile
from pathlib import Path
from uuid import uuid4

import pooch

# What entries may hold in all, however small the file is, and times the size of the file.
_FREE_BYTES, _MAX_RATIO = 64 * 2**20, 100
_CHUNK = 2**20
_FLAT_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def user_path(path) -> Path:
    """Return a path that a user gave, with ``~`` and ``~name`` replaced by homes.

    Parameters
    ----------
    path : str, bytes or Path
        The path. ``~name`` stays where there is such a file or folder, or no such user.

    Returns
    -------
    path : Path
        The path, relative if it was.

    Raises
    ------
    ValueError
        This is no path, or there is no home for ``~``.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise ValueError(f"expected a path (str or Path), found {path!r:.80}")
    text = os.fsdecode(path)
    if text[:1] != "~":
        return Path(text)
    is_own_home = text == "~" or text[1] in {os.sep, os.altsep}
    if is_own_home or not os.path.lexists(text):
        text = os.path.expanduser(text)
        if is_own_home and text[0] == "~":
            raise ValueError(f"{text}: no home folder is known for ~; give the path in full")
    return Path(text)


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
        If this is no zip, or a damaged or an unsafe one. Says what is the matter in the form
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
    except UnsafeArchive as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # many kinds, depending on where the damage is
        raise ValueError(f"is truncated or damaged ({error})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, which appears under its name when it is complete and on the disk.

    Whatever stops it leaves what was there before. A link stays one, and a file keeps its mode.
    """
    path = Path(os.path.realpath(path))
    temporary = path.parent / f".{uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # there is none yet, or the file system has no modes
            os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # some file systems can't sync a folder, others list none
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class UnsafeArchive(Exception):
    """A zip that nobody writes by accident: it could harm whoever unpacks it."""


def _is_bomb(content_bytes: int, file_bytes: int) -> bool:
    return content_bytes > _FREE_BYTES + _MAX_RATIO * file_bytes


def _require_plain(infos: list[zipfile.ZipInfo], size: int) -> None:
    """Raise unless all entries are ordinary ones, by what the zip says of them."""
    names = [info.orig_filename for info in infos]
    odd = [name for name in names if not _FLAT_NAME.fullmatch(name)]
    if odd:
        raise UnsafeArchive(f"has entries outside of itself: {odd[:3]}")
    if len(set(names)) < len(names):
        raise UnsafeArchive("has several entries of the same name")
    if any(info.flag_bits & 0x1 for info in infos):
        raise UnsafeArchive("has encrypted entries")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise UnsafeArchive("is compressed by another method than deflate")
    if _is_bomb(sum(info.file_size for info in infos), size):
        raise UnsafeArchive(
            f"is a zip bomb: {size} bytes claim to hold more than {_MAX_RATIO} times"
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return an entry, of which no more is inflated than it said, plus a chunk."""
    with archive.open(info) as file:
        content = b"".join(iter(lambda: file.read(_CHUNK), b""))
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename} ends early")
    return content


#: Environment variable that names another folder for what is downloaded.
DATA_VARIABLE = "SKLEARN_GENREMOE_DATA"


def data_folder(folder=None) -> Path:
    """Return the folder for downloads: as given, from the environment, or the user's cache."""
    folder = folder or os.environ.get(DATA_VARIABLE) or pooch.os_cache("sklearn-genremoe")
    return user_path(folder).absolute()


def fetch_file(url, filename, known_hash, folder=None, *, download_if_missing=True) -> Path:
    """Return a published file from the folder of downloads, and put it there if need be.

    The file appears under its name only when it is complete and its hash is right; whatever
    stops a download leaves nothing behind. A file of that name with another hash is replaced.

    Parameters
    ----------
    url : str
        The http or https address.
    filename : str
        The name of the file in `folder`.
    known_hash : str
        The SHA-256, or another hash with its name, such as ``"sha1:ade154f7..."``.
    folder : str or Path, default=None
        Where to keep the file. None means ``$SKLEARN_GENREMOE_DATA``, or else the user's cache
        folder.
    download_if_missing : bool, default=True
        Whether to download the file when it is missing or has another hash.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    ConnectionError
        If the address can't be reached, answers with an error, or breaks off.
    FileNotFoundError
        If the file is not there and must not be downloaded.
    OSError
        If the file that arrived has another hash, or the folder can't be written to.
    """
    import requests  # here, since it changes the filters of warnings wherever it is imported

    folder = data_folder(folder)
    path = folder / filename
    by_hand = (
        f"Or download {url} by other means and put it, under the name {filename}, into {folder}."
    )
    if path.is_file():
        by_hand += " The file of that name there has another hash: it is damaged or another one."
    if not download_if_missing and not _has_hash(path, known_hash):
        found = "the file there has another hash" if path.is_file() else "no such file"
        raise FileNotFoundError(
            f"{path}: {found}, and download_if_missing=False. Pass True to download it. {by_hand}"
        )
    try:
        # Downloads under another name, which is removed whatever happens, and renames at the end.
        pooch.retrieve(
            url,
            known_hash,
            fname=filename,
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=True),
        )
    except requests.RequestException as error:
        if error.response is not None:
            error.response.close()
        raise ConnectionError(
            f"{filename} could not be downloaded from {url}: {_reason(error)}. Check the network "
            f"connection and try again later. {by_hand}"
        ) from error
    except ValueError as error:  # pooch found another hash
        raise OSError(
            f"{filename}: what arrived from {url} is damaged or has been changed, for its hash is "
            f"not {known_hash}; nothing was kept. Try again later. {by_hand}"
        ) from error
    except OSError as error:
        # pooch words a refusal itself, without a strerror.
        raise OSError(
            f"{filename} could not be kept in {folder}: {error.strerror or 'Permission denied'}. "
            "Make room or get permission to write there, or choose another folder by the "
            f"environment variable {DATA_VARIABLE}, or as data_home where a function has it."
        ) from error
    return path


def _has_hash(path: Path, known_hash: str) -> bool:
    algorithm, _, digest = known_hash.rpartition(":")
    return path.is_file() and pooch.file_hash(path, algorithm or "sha256") == digest


def _reason(error) -> str:
    """Say in words what stopped a download, by the exception of requests."""
    import requests

    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "the server can't be reached or doesn't answer"
    return "the connection broke off"
