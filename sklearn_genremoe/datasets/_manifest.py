"""Reading a CSV table of clips."""

import csv
import io
import os
import unicodedata
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import numpy as np

from .._clips import some_rows
from ._bunch import nfc

#: Columns that name the recording or the performer behind a clip, best first.
GROUP_COLUMNS = ("track", "track_id", "artist", "artist_id")

# Characters
_LONG_TEXT = 1000


def read_manifest(manifest: Path, folder: Path) -> dict[str, np.ndarray]:
    """Read a manifest into one array of str per column, its paths relative to a folder.

    The columns come in the order of the file; those named ``path`` become absolute. What is wrong
    is said without the name of the manifest.
    """
    names, rows = _read_rows(_read_text(manifest))
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        raise ValueError(f"the header names {twice} twice; give each column one name.")
    if not rows:
        raise ValueError("a header but no clips; list one clip per line.")
    columns = {}
    for name, *values in zip_longest(names, *rows.values(), fillvalue=""):
        empty = [line for line, value in zip(rows, values) if not value]
        if name in ("path", "genre") and empty:
            found = f"column {name!r} is empty in {len(empty)} of {len(rows)} rows"
            raise ValueError(f"{found} (row {some_rows(empty)}); every clip needs a value there.")
        if name == "path":
            columns[name] = _absolute_paths(values, folder)
        elif name:
            # Of objects where one long text would make all entries as long.
            dtype = object if max(map(len, values)) > _LONG_TEXT else str
            columns[nfc(name)] = np.array([*map(nfc, values)], dtype=dtype)
    return columns


def _read_text(manifest: Path) -> str:
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise ValueError(f"the manifest can't be read ({error.strerror}).") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        # A guess at one of the many 8-bit encodings would turn names into other names.
        row, other = content[: error.start].count(b"\n") + 1, content[error.start]
        found = (
            f"not in {encoding.removesuffix('-sig').upper()}, the first other byte is {other:#04x}"
        )
        advice = 'please save the table as UTF-8 (in a spreadsheet program "CSV UTF-8")'
        raise ValueError(f"{found} in row {row}; {advice}.") from None


def _read_rows(text: str) -> tuple[list[str], dict[int, list[str]]]:
    """Return the header and the rows by line, split by what gives the columns that are needed."""
    lines = io.StringIO(text, newline=None).readlines()
    first = next(filter(str.strip, lines), "")
    for delimiter in "\t;,":
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        missing = [f"no column {name!r}" for name in ("path", "genre") if name not in names]
        if not missing:
            break
    else:
        expected = "a table in UTF-8, separated by commas, semicolons or tabs, with a header"
        raise ValueError(f"{' and '.join(missing)}; found {names}. Expected {expected}.")
    # Strict: else a lone quote would swallow the rest of the file without a word.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows = {}
    try:
        for fields in reader:
            if any(map(str.strip, fields)):  # spreadsheets add rows of separators
                rows[reader.line_num] = [field.strip() for field in fields]
    except csv.Error as error:
        found = f"can't be read as a table near row {reader.line_num} ({error})"
        raise ValueError(f"{found}; look for a double quote without its partner there.") from None
    names = rows.pop(min(rows))
    for line, fields in rows.items():
        if any(fields[len(names) :]):
            found = f"row {line} has more fields than the header's {len(names)}"
            raise ValueError(f"{found}; quote values that hold the separator.")
    return names, rows


def _absolute_paths(values, folder: Path) -> np.ndarray:
    paths = [_find(folder, path) for path in values]
    if missing := [path for path in paths if not os.path.isfile(path)]:
        found = f"{len(missing)} of {len(paths)} clips are not there, e.g. {missing[0]}"
        advice = "correct them or pass the folder with the clips"
        raise FileNotFoundError(f"{found}. Paths are relative to {folder}; {advice}.")
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        found = f"{len(twice)} clips are listed more than once, e.g. {twice[0]}"
        raise ValueError(f"{found}; keep one row each, since repetitions flatter the score.")
    return np.array(paths)


def _find(folder: Path, path: str) -> str:
    """Return the clip that is meant, also where another system wrote the path.

    Windows separates by backslashes; macOS writes an accent as a character of its own.
    """
    for spelling in (path, os.path.expanduser(path), path.replace("\\", "/")):
        for form in ("NFC", "NFD"):
            for text in (spelling, unicodedata.normalize(form, spelling)):
                if os.path.isfile(folder / text):
                    return str(folder / text)
    return str(folder / path)
