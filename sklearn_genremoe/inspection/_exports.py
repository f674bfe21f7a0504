"""Answers in the files of other programs."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from .._files import user_path, write_atomically

# A command line must not grow too long.
_PATHS_A_COMMAND = 100


def save_playlists(
    paths: Sequence[Any],
    genres: ArrayLike,
    probability: ArrayLike,
    folder: Any,
    *,
    sure: float = 0.8,
) -> list[Path]:
    """Write a playlist (M3U8) of the sure and one of the unsure clips of each genre.

    Parameters
    ----------
    paths, genres, probability : array-like of shape (n_clips,)
        The files, their predicted genres and how probable these are; NaN leaves a clip out.
    folder : str or Path
        Where to write them; it is made if need be. They name files relative to it.
    sure : float, default=0.8
        The probability from which an answer is sure.

    Returns
    -------
    files : list of Path
        The playlists, named like ``folk (sure).m3u8``; of each the surest clips first.

    Raises
    ------
    ValueError
        If the lengths don't agree.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_genremoe.inspection import save_playlists
    >>> with TemporaryDirectory() as folder:
    ...     files = save_playlists(["a.ogg", "b.ogg"], ["folk", "folk"], [0.9, 0.6], folder)
    >>> [file.name for file in files]
    ['folk (sure).m3u8', 'folk (unsure).m3u8']
    """
    folder = user_path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {}
    for path, genre, share in _surest_first(paths, genres, probability):
        name = os.path.relpath(path, folder)
        title = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", genre)
        title += " (sure)" if share >= sure else " (unsure)"
        comment = f"#EXTINF:-1,{100 * share:.0f} % {Path(name).name}"
        lists.setdefault(title, ["#EXTM3U"]).extend([comment, name])
    return [_write(folder / f"{title}.m3u8", lists[title]) for title in sorted(lists)]


def save_beets_changes(
    paths: Sequence[Any],
    genres: ArrayLike,
    probability: ArrayLike,
    file: Any,
    *,
    sure: float = 0.8,
    field: str = "genres",
) -> Path:
    """Write the sure genres as changes that ``beet modify`` makes to the library of beets.

    beets imports no tables. Each line of the file holds the arguments of one command, quoted for
    xargs: ``xargs -L 1 beet modify -y < changes.txt`` applies them to its library and to tags.

    Parameters
    ----------
    paths, genres, probability : array-like of shape (n_clips,)
        The files, their predicted genres and how probable these are; NaN leaves a clip out.
    file : str or Path
        The file to write.
    sure : float, default=0.8
        The least probability of a genre that is written.
    field : str, default="genres"
        The field of beets: "genre" before beets 2.7, or one of your own such as "guess".

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If the lengths don't agree.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_genremoe.inspection import save_beets_changes
    >>> with TemporaryDirectory() as folder:
    ...     file = save_beets_changes(
    ...         ["/a b.ogg", "/c.ogg"], ["folk", "folk"], [0.9, 0.8], f"{folder}/changes.txt"
    ...     )
    ...     print(file.read_text())
    genres=folk path:/a\\ b.ogg , path:/c.ogg
    """
    queries: dict[str, list[str]] = {}
    for path, genre, share in _surest_first(paths, genres, probability):
        if share >= sure:
            queries.setdefault(genre, []).append(_for_xargs(f"path:{os.path.abspath(path)}"))
    lines = [
        f"{_for_xargs(f'{field}={genre}')} {' , '.join(of_genre[i : i + _PATHS_A_COMMAND])}"
        for genre, of_genre in sorted(queries.items())
        for i in range(0, len(of_genre), _PATHS_A_COMMAND)
    ]
    return _write(user_path(file), lines)


def save_audacity_labels(windows: Any, file: Any) -> Path:
    """Write the genres of a track's windows as labels that Audacity imports.

    Parameters
    ----------
    windows : pandas.DataFrame
        What :meth:`~sklearn_genremoe.WindowedClassifier.predict_windows` returns.
    file : str or Path
        The text file to write, for File > Import > Labels.

    Returns
    -------
    path : Path
        The file: for each window that isn't silent begin and end in seconds, genre and probability.

    Raises
    ------
    ValueError
        If `windows` lacks the columns start and end.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sklearn_genremoe.inspection import save_audacity_labels
    >>> windows = pd.DataFrame({"start": [0.0], "end": [30.0], "folk": [0.9], "rock": [0.1]})
    >>> with TemporaryDirectory() as folder:
    ...     save_audacity_labels(windows, Path(folder, "labels.txt")).read_text()
    '0.000000\\t30.000000\\tfolk, 0.90\\n'
    """
    if list(windows.columns[:2]) != ["start", "end"]:
        found = f"windows has the columns {list(windows.columns)}"
        raise ValueError(f"{found}, not those of predict_windows.")
    genres = [name for name in windows.columns[2:] if not str(name).startswith("weight[")]
    heard = windows.dropna(subset=genres)
    best, sure = heard[genres].idxmax(axis=1), heard[genres].max(axis=1)
    rows = zip(heard["start"], heard["end"], best, sure)
    lines = [f"{start:.6f}\t{end:.6f}\t{genre}, {p:.2f}" for start, end, genre, p in rows]
    return _write(user_path(file), lines)


def _surest_first(paths: Sequence[Any], genres: Any, probability: Any) -> list[Any]:
    """Return path, genre and probability of each clip that has one."""
    shares = np.asarray(probability, dtype=np.float64)
    check_consistent_length(paths, genres, shares)
    rows = zip(map(user_path, paths), map(str, np.asarray(genres)), shares)
    return sorted((row for row in rows if not np.isnan(row[2])), key=lambda row: -row[2])


def _for_xargs(text: str) -> str:
    return re.sub(r"([\s\"'\\])", r"\\\1", text)


def _write(path: Path, lines: list[str]) -> Path:
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    return path
