"""Answers in the files of other programs."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._files import write_atomically


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
    paths : sequence of str or Path of length n_clips
        The files.
    genres : array-like of shape (n_clips,)
        The predicted genres.
    probability : array-like of shape (n_clips,)
        Their probabilities; clips with NaN are left out.
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
    OSError
        If a file can't be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_genremoe.inspection import save_playlists
    >>> with TemporaryDirectory() as folder:
    ...     files = save_playlists(["a.ogg", "b.ogg"], ["folk", "folk"], [0.9, 0.6], folder)
    >>> [file.name for file in files]
    ['folk (sure).m3u8', 'folk (unsure).m3u8']
    """
    answers, shares = np.asarray(genres), np.asarray(probability, dtype=np.float64)
    if not len(paths) == len(answers) == len(shares):
        raise ValueError(
            f"{len(paths)} paths, {len(answers)} genres and {len(shares)} probabilities; pass one "
            "of each for every clip."
        )
    folder = Path(os.path.expanduser(folder))
    folder.mkdir(parents=True, exist_ok=True)
    names = [os.path.relpath(os.path.expanduser(path), folder) for path in paths]
    lists: dict[str, list[str]] = {}
    for row in np.argsort(-shares, kind="stable"):
        if np.isnan(shares[row]):
            continue
        title = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", str(answers[row]))
        title += " (sure)" if shares[row] >= sure else " (unsure)"
        comment = f"#EXTINF:-1,{100 * shares[row]:.0f} % {Path(names[row]).name}"
        lists.setdefault(title, ["#EXTM3U"]).extend([comment, names[row]])
    files = []
    for title, lines in sorted(lists.items()):
        files.append(folder / f"{title}.m3u8")
        write_atomically(
            files[-1], "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        )
    return files


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
    OSError
        If the file can't be written.

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
        raise ValueError(
            f"windows has the columns {list(windows.columns)}; expected what predict_windows "
            "returns."
        )
    genres = [name for name in windows.columns[2:] if not str(name).startswith("weight[")]
    lines = []
    for start, end, *proba in windows[["start", "end", *genres]].itertuples(index=False):
        if not np.isnan(proba).any():
            best = int(np.argmax(proba))
            lines.append(f"{start:.6f}\t{end:.6f}\t{genres[best]}, {proba[best]:.2f}\n")
    path = Path(os.path.expanduser(file))
    write_atomically(path, "".join(lines).encode())
    return path
