"""Reading a CSV table of clips."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np

#: Columns that name the recording or the performer behind a clip, best first.
GROUP_COLUMNS = ("track", "track_id", "artist", "artist_id")


def read_manifest(manifest: Path, folder: Path) -> dict[str, np.ndarray]:
    """Read a manifest into one array of str per column.

    Parameters
    ----------
    manifest : Path
        A CSV file with a header row and at least the columns ``path`` and ``genre``.
    folder : Path
        What the paths of the manifest are relative to.

    Returns
    -------
    dict of str to ndarray of shape (n_clips,)
        The columns in the order of the file; ``path`` is turned into absolute paths.
    """
    # utf-8-sig: spreadsheet programs put a byte-order mark before the first column name.
    with open(manifest, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        names = list(reader.fieldnames or ())
        missing = [name for name in ("path", "genre") if name not in names]
        if missing:
            raise ValueError(
                f"{manifest}: no column {' and no column '.join(map(repr, missing))}; found "
                f"{names}. A manifest is a comma-separated table whose header names 'path' "
                "(relative to the folder) and 'genre'; other columns are kept as metadata."
            )
        rows = list(reader)
    if not rows:
        raise ValueError(f"{manifest}: a header but no clips; list one clip per line.")
    too_long = [line for line, row in enumerate(rows, start=2) if None in row]
    if too_long:
        raise ValueError(
            f"{manifest}: row {too_long[0]} has more fields than the header's {len(names)}; "
            "put values that hold a comma in double quotes."
        )

    columns = {name: np.array([row[name].strip() for row in rows]) for name in names}
    for name in ("path", "genre"):
        require_values(manifest, name, columns[name])
    columns["path"] = _absolute_paths(manifest, columns["path"], folder)
    return columns


def require_values(manifest: Path, name: str, values: np.ndarray) -> None:
    """Refuse a column in which a clip has no value, naming the first row."""
    empty = np.flatnonzero(values == "")
    if len(empty):
        raise ValueError(
            f"{manifest}: column {name!r} is empty in {len(empty)} of {len(values)} rows, "
            f"first in row {empty[0] + 2}; every clip needs a value there."
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


def _absolute_paths(manifest: Path, paths: np.ndarray, folder: Path) -> np.ndarray:
    absolute = [folder / path for path in paths]
    missing = [str(path) for path in absolute if not path.is_file()]
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
