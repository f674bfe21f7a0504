"""Unpacking an archive, all of it or nothing."""

import os
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath


def unpack(archive: Path, name: str, only: str | None = None) -> Path:
    """Unpack the folder `name` of a zip archive beside the archive, which is then removed.

    The folder appears under its name when it is complete; whatever stops the work leaves the
    archive, so that it need not be downloaded again, and nothing else.

    Parameters
    ----------
    archive : Path
        The archive; every entry must lie in the folder `name`.
    name : str
        The folder in it.
    only : str, default=None
        The one file of the folder that is wanted; None means all.

    Returns
    -------
    Path
        The folder.
    """
    folder = archive.parent / name
    try:
        # A hidden name, so that what a killed process leaves is no folder of clips.
        with (
            tempfile.TemporaryDirectory(prefix=f".{name}-", dir=archive.parent) as place,
            zipfile.ZipFile(archive) as file,
        ):
            members = [_checked(entry, name, archive) for entry in file.namelist()]
            if only is not None:
                members = [entry for entry in members if entry == f"{name}/{only}"]
            if not members:
                raise zipfile.BadZipFile(f"no {name}/{only or ''} in it")
            file.extractall(place, members)
            _move(Path(place, name), folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise OSError(
            f"{archive} is damaged ({error}); remove it and call again, which downloads it anew."
        ) from error
    except OSError as error:
        if error.errno is None:  # one of our own
            raise
        raise OSError(
            f"{archive} could not be unpacked in {archive.parent}: {error.strerror}. The archive "
            "is kept: make room or get permission to write there, and call again."
        ) from error
    archive.unlink()
    return folder


def _checked(entry: str, name: str, archive: Path) -> str:
    """Refuse an entry that would be written elsewhere."""
    parts = PurePosixPath(entry.replace("\\", "/")).parts
    if parts[:1] != (name,) or ".." in parts:
        raise OSError(
            f"{archive}: the entry {entry!r} lies outside the folder {name}, so this isn't the "
            "published archive; nothing was unpacked. Remove it and call again."
        )
    return entry


def _move(source: Path, folder: Path) -> None:
    try:
        os.replace(source, folder)
    except OSError:
        if not folder.is_dir():
            raise
        # Another process was faster, or the folder was there and lacked a file.
        for path in source.rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
