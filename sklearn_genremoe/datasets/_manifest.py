"""Reading a CSV table of clips."""

import csv
import io
import os
import unicodedata
from collections import Counter
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

    The columns come in the order of the file; those named ``path`` become absolute.
    """
    names, rows = _read_rows(manifest, _read_text(manifest))
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(f"{manifest}: the header names {twice} twice; give each column one name.")
    if not rows:
        raise ValueError(f"{manifest}: a header but no clips; list one clip per line.")
    for line, fields in rows.items():
        if any(fields[len(names) :]):
            raise ValueError(
                f"{manifest}: row {line} has more fields than the header's {len(names)}; quote "
                "values that hold the separator."
            )
        fields += [""] * (len(names) - len(fields))

    columns = {}
    for name, values in zip(names, zip(*rows.values())):
        if name in ("path", "genre") and "" in values:
            empty = [line for line, value in zip(rows, values) if not value]
            raise ValueError(
                f"{manifest}: column {name!r} is empty in {len(empty)} of {len(values)} rows (row "
                f"{some_rows(empty)}); every clip needs a value there."
            )
        if name == "path":
            columns[name] = _absolute_paths(manifest, values, folder)
        elif name:
            # Of objects where one long text would make all entries as long.
            dtype = object if max(map(len, values)) > _LONG_TEXT else str
            columns[nfc(name)] = np.array([nfc(value) for value in values], dtype=dtype)
    return columns


def _read_text(manifest: Path) -> str:
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise ValueError(f"{manifest}: the manifest can't be read ({error.strerror}).") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        # A guess at one of the many 8-bit encodings would turn names into other names.
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{manifest}: not in {encoding.removesuffix('-sig').upper()}, the first other byte is "
            f"{content[error.start]:#04x} in row {line}; please save the table as UTF-8 (in a "
            'spreadsheet program "CSV UTF-8").'
        ) from None


def _read_rows(manifest: Path, text: str) -> tuple[list[str], dict[int, list[str]]]:
    """Return the header and the rows by line, split by what gives the columns that are needed."""
    lines = io.StringIO(text, newline=None).readlines()
    first = next(filter(str.strip, lines), "")
    for delimiter in "\t;,":
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        missing = [repr(name) for name in ("path", "genre") if name not in names]
        if not missing:
            break
    else:
        raise ValueError(
            f"{manifest}: no column {' and no column '.join(missing)}; found {names}. Expected a "
            "table in UTF-8, separated by commas, semicolons or tabs, with a header."
        )
    # Strict: else a lone quote would swallow the rest of the file without a word.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows = {}
    try:
        for fields in reader:
            if any(map(str.strip, fields)):  # spreadsheets add rows of separators
                rows[reader.line_num] = [field.strip() for field in fields]
    except csv.Error as error:
        found = f"{manifest}: can't be read as a table near row {reader.line_num} ({error})"
        raise ValueError(f"{found}; look for a double quote without its partner there.") from None
    return rows.pop(min(rows)), rows


def _absolute_paths(manifest: Path, values, folder: Path) -> np.ndarray:
    paths = [_find(folder, path) for path in values]
    if missing := [path for path in paths if not os.path.isfile(path)]:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of {len(paths)} clips are not there, e.g. {missing[0]}. "
            f"Paths are relative to {folder}; correct them or pass the folder with the clips."
        )
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        found = f"{manifest}: {len(twice)} clips are listed more than once, e.g. {twice[0]}"
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
