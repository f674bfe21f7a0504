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
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_FLAT_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def user_path(path) -> Path:
    """Return a path that a user gave, with ``~`` and ``~name`` replaced by homes.

    ``~name`` stays where there is such a file or folder, or no such user. Raises a ValueError for
    what is no path, or where there is no home for ``~``.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise ValueError(f"expected a path (str or Path), found {path!r:.80}")
    text = os.fsdecode(path)
    is_own_home = text == "~" or text[:2] in {f"~{os.sep}", f"~{os.altsep}"}
    if is_own_home or (text[:1] == "~" and not os.path.lexists(text)):
        text = os.path.expanduser(text)
        if is_own_home and text[0] == "~":
            raise ValueError(f"{text}: no home folder is known for ~; give the path in full")
    return Path(text)


def pack(entries: dict[str, bytes], level: int = 0) -> bytes:
    """Return a zip that :func:`unpack` takes, compressed by 0 (not) to 9."""
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=level or None) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    data = buffer.getvalue()
    return pack(entries) if _is_bomb(sum(map(len, entries.values())), len(data)) else data


def unpack(file) -> dict[str, bytes]:
    """Return the entries of a zip from an unknown source, a binary file object.

    Raises a ValueError for what is no zip, or a damaged or an unsafe one, which says what is the
    matter as a predicate; takes no more memory than 100 times the size of the file and 64 MB.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(2) != b"PK":
        raise ValueError("is no zip" if size else "is empty")
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            unsafe = _unsafe(infos, size)
            entries = {} if unsafe else {info.filename: _read(archive, info) for info in infos}
    except Exception as error:  # many kinds, depending on where the damage is
        raise ValueError(f"is truncated or damaged ({error})") from error
    if unsafe:
        raise ValueError(unsafe)
    return entries


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


def _is_bomb(content_bytes: int, file_bytes: int) -> bool:
    return content_bytes > _FREE_BYTES + _MAX_RATIO * file_bytes


def _unsafe(infos: list[zipfile.ZipInfo], size: int) -> str:
    """Say why a zip could harm whoever unpacks it, by what it says of its entries; or nothing."""
    names = [info.orig_filename for info in infos]
    odd = [name for name in names if not _FLAT_NAME.fullmatch(name)]
    methods = {info.compress_type for info in infos}
    is_bomb = _is_bomb(sum(info.file_size for info in infos), size)
    reasons = {
        f"has entries outside of itself: {odd[:3]}": odd,
        "has several entries of the same name": len(set(names)) < len(names),
        "is compressed by another method than deflate": methods - _METHODS,
        f"is a zip bomb: {size} bytes claim to hold more than {_MAX_RATIO} times": is_bomb,
    }
    return next((reason for reason, found in reasons.items() if found), "")


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

    The file appears under its name only when it is complete and its hash (the SHA-256, or another
    with its name such as ``"sha1:ade154f7..."``) is right; whatever stops a download leaves nothing
    behind. A file of that name with another hash is replaced. Raises a ConnectionError if the
    address can't be reached, answers with an error, or breaks off; a FileNotFoundError if the file
    is not there and must not be downloaded; an OSError if it has another hash, or can't be written.
    """
    import requests  # here, since it changes the filters of warnings wherever it is imported

    folder = data_folder(folder)
    path = folder / filename
    by_hand = f"Or download {url} by other means and put it, under the name {filename}, "
    by_hand += f"into {folder}."
    algorithm, _, digest = known_hash.rpartition(":")
    found = "no such file"
    if path.is_file():
        found = "the file there has another hash"
        by_hand += " The file of that name there has another hash: it is damaged or another one."
        if pooch.file_hash(path, algorithm or "sha256") == digest:
            return path
    if not download_if_missing:
        advice = f"Pass True to download it. {by_hand}"
        raise FileNotFoundError(f"{path}: {found}, and download_if_missing=False. {advice}")
    try:
        # Downloads under another name, which is removed whatever happens, and renames at the end.
        downloader = pooch.HTTPDownloader(progressbar=True)
        pooch.retrieve(url, known_hash, fname=filename, path=folder, downloader=downloader)
    except requests.RequestException as error:
        reason = "the connection broke off"
        if error.response is not None:
            reason = f"the server answers {error.response.status_code} {error.response.reason}"
            error.response.close()
        elif isinstance(error, requests.ConnectionError | requests.Timeout):
            reason = "the server can't be reached or doesn't answer"
        found = f"{filename} could not be downloaded from {url}: {reason}"
        raise ConnectionError(
            f"{found}. Check the network and try again later. {by_hand}"
        ) from error
    except ValueError as error:  # pooch found another hash
        found = f"{filename}: what arrived from {url} is damaged or has been changed, for its hash"
        advice = f"nothing was kept. Try again later. {by_hand}"
        raise OSError(f"{found} is not {known_hash}; {advice}") from error
    except OSError as error:
        # pooch words a refusal itself, without a strerror.
        reason = f"could not be kept in {folder}: {error.strerror or 'Permission denied'}"
        advice = f"choose another folder by the environment variable {DATA_VARIABLE}"
        raise OSError(
            f"{filename} {reason}. Make room or get permission to write there, or {advice}."
        ) from error
    return path
