"""Fetching a published file once: checked by its hash, kept in a folder, usable offline."""

import os
from pathlib import Path

import pooch

#: Environment variable that names another folder for what is downloaded.
DATA_VARIABLE = "SKLEARN_GENREMOE_DATA"


def data_folder(folder=None) -> Path:
    """Return the folder for downloads: as given, from the environment, or the user's cache."""
    folder = folder or os.environ.get(DATA_VARIABLE) or pooch.os_cache("sklearn-genremoe")
    return Path(folder).expanduser().absolute()


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
