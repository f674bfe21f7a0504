"""Reading a CSV table of clips."""

import csv
import io
import os
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np

from ._bunch import nfc

#: Columns that name the recording or the performer behind a clip, best first.
GROUP_COLUMNS = ("track", "track_id", "artist", "artist_id")

# Characters
_LONG_TEXT = 1000

# Byte-order marks, the longer ones first, since UTF-32's begins with UTF-16's.
_ENCODINGS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_AS_UTF8 = 'save the table as UTF-8 (in a spreadsheet program "CSV UTF-8")'


def read_manifest(manifest: Path, folder: Path) -> dict[str, np.ndarray]:
    """Read a manifest into one array of str per column.

    Parameters
    ----------
    manifest : Path
        A table with a header row and at least the columns ``path`` and ``genre``, separated by
        commas, semicolons or tabs, in UTF-8, or in UTF-16 with a byte-order mark.
    folder : Path
        What the paths of the manifest are relative to.

    Returns
    -------
    dict of str to ndarray of shape (n_clips,)
        The columns in the order of the file; ``path`` is turned into absolute paths.
    """
    text = _read_text(manifest)
    delimiter = _delimiter(manifest, text)
    # Strict: else a lone quote would swallow the rest of the file without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines, rows = [], []
    try:
        names = [name.strip() for name in next(fields for fields in reader if fields)]
        for fields in reader:
            if any(field.strip() for field in fields):  # spreadsheets add rows of separators
                rows.append([field.strip() for field in fields])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(
            f"{manifest}: can't be read as a table near row {reader.line_num} ({error}); look "
            "for a double quote without its partner there."
        ) from None
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(f"{manifest}: the header names {twice} twice; give each column one name.")
    if not rows:
        raise ValueError(f"{manifest}: a header but no clips; list one clip per line.")
    for line, fields in zip(lines, rows):
        if any(fields[len(names) :]):
            raise ValueError(
                f"{manifest}: row {line} has more fields than the header's {len(names)}; "
                f"put values that hold a {delimiter!r} in double quotes."
            )
        fields += [""] * (len(names) - len(fields))

    columns = {}
    for place, name in enumerate(names):
        values = [fields[place] for fields in rows]
        if name == "path":
            require_values(manifest, name, np.array(values), lines)
            columns[name] = _absolute_paths(manifest, values, folder)
        elif name:
            columns[nfc(name)] = _column([nfc(value) for value in values])
    require_values(manifest, "genre", columns["genre"], lines)
    return columns


def _column(values: list[str]) -> np.ndarray:
    """Return an array of str; of objects where one long text would make all entries as long."""
    return np.array(values, dtype=object if max(map(len, values)) > _LONG_TEXT else str)


def require_values(
    manifest: Path,
    name: str,
    values: np.ndarray,
    lines: list[int] | None = None,
    instead: str = "",
) -> None:
    """Refuse a column in which a clip has no value, naming the first row and what else to do."""
    empty = np.flatnonzero(values == "")
    if len(empty):
        first = empty[0] + 2 if lines is None else lines[empty[0]]
        raise ValueError(
            f"{manifest}: column {name!r} is empty in {len(empty)} of {len(values)} rows, "
            f"first in row {first}; every clip needs a value there{instead}."
        )


def group_column(
    manifest: Path, columns: dict[str, np.ndarray], group_by: str | None
) -> str | None:
    """Return the name of the column that groups clips, or None."""
    if group_by is None:
        return None
    if group_by == "auto":
        return next((name for name in GROUP_COLUMNS if name in columns), None)
    if group_by not in columns:
        raise ValueError(
            f"{manifest}: no column {group_by!r} to group by; found {list(columns)}. "
            "Pass one of them as group_by, or group_by=None."
        )
    return group_by


def _read_text(manifest: Path) -> str:
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{manifest}: the manifest can't be read ({error.strerror}); get permission to read it."
        ) from error
    marks = [mark for mark in _ENCODINGS if content.startswith(mark)]
    encoding = _ENCODINGS[marks[0]] if marks else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        # A guess at one of the many 8-bit encodings would turn names into other names.
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{manifest}: not in {encoding.removesuffix('-sig').upper()}, the first other byte is "
            f"{content[error.start]:#04x} in row {line}; spreadsheet programs often write "
            f"Windows-1252 (cp1252). Please {_AS_UTF8}."
        ) from None
    if "\0" in text:
        raise ValueError(
            f"{manifest}: holds zero bytes, so it is no text, or UTF-16 without a byte-order mark. "
            f"Please {_AS_UTF8}."
        )
    return text


def _delimiter(manifest: Path, text: str) -> str:
    """Return the separator by which the header has the columns that are needed."""
    header = text.lstrip("\r\n").partition("\n")[0].strip("\r")
    for delimiter in ",;\t":
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        if {"path", "genre"} <= set(names):
            return delimiter
    names = [name.strip() for name in next(csv.reader([header]), [])]
    missing = [name for name in ("path", "genre") if name not in names]
    raise ValueError(
        f"{manifest}: no column {' and no column '.join(map(repr, missing))}; found "
        f"{names}. A manifest is a table, separated by commas, semicolons or tabs, whose "
        "header names 'path' (relative to the folder) and 'genre'; other columns are kept as "
        "metadata."
    )


def _absolute_paths(manifest: Path, paths: list[str], folder: Path) -> np.ndarray:
    absolute = [_find(folder, path) for path in paths]
    missing = [str(path) for path in absolute if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of {len(absolute)} clips are not there, e.g. "
            f"{', '.join(missing[:3])}. Paths are relative to {folder}; correct them or "
            "pass the folder that holds the clips."
        )
    twice = [path for path, count in Counter(absolute).items() if count > 1]
    if twice:
        raise ValueError(
            f"{manifest}: {len(twice)} clips are listed more than once, e.g. {twice[0]}; the "
            "same clip in training and test data would flatter the score. Keep one row each."
        )
    return np.array([str(path) for path in absolute])


def _find(folder: Path, path: str) -> Path:
    """Return the clip that is meant, also where another system wrote the path.

    Windows separates by backslashes; macOS writes an accent as a character of its own.
    """
    for spelling in (path, os.path.expanduser(path), path.replace("\\", "/")):
        for form in (None, "NFC", "NFD"):
            text = unicodedata.normalize(form, spelling) if form else spelling
            if os.path.isfile(folder / text):
                return folder / text
    return folder / path
