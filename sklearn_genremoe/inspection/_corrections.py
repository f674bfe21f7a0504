"""What a person has decided about labels."""

import os
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._files import user_path

_COLUMNS = ["clip", "genre", "verdict", "corrected"]


def apply_corrections(clips: Any, corrections: Any) -> Bunch:
    """Correct labels as marked in the page of a :class:`CollectionReport`.

    Parameters
    ----------
    clips : Bunch
        Clips with ``data`` and ``target``, and perhaps ``groups`` and ``metadata``, as
        :func:`~sklearn_genremoe.datasets.load_audio_folder` returns them. It isn't changed, and
        neither are files.
    corrections : str or Path
        The file that the page saved, ``corrections.csv``: a table with the columns clip, genre (the
        label so far), verdict ("right", "wrong" or "leave out") and corrected.

    Returns
    -------
    corrected : Bunch
        The same with ``target`` corrected, without the clips that are to be left out, and with
        ``changes``: a list of (clip, label before, label now), None for what was left out.

    Raises
    ------
    ValueError
        If the file isn't such a table, names a clip that isn't among the clips or is there twice,
        or its label has changed since.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.utils import Bunch
    >>> from sklearn_genremoe.inspection import apply_corrections
    >>> clips = Bunch(data=["a.ogg", "b.ogg"], target=["folk", "rock"])
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "corrections.csv")
    ...     _ = file.write_text("clip,genre,verdict,corrected\\nb.ogg,rock,wrong,folk\\n")
    ...     corrected = apply_corrections(clips, file)
    >>> corrected.changes
    [('b.ogg', 'rock', 'folk')]
    """
    how: dict[str, Any] = {"dtype": str, "index_col": False, "encoding": "utf-8-sig"}
    try:
        table = pd.read_csv(user_path(corrections), keep_default_na=False, **how)
    except ValueError as error:
        raise ValueError(f"{corrections} is no table of UTF-8 text: {error}.") from error
    if list(table.columns[: len(_COLUMNS)]) != _COLUMNS:
        raise ValueError(f"{corrections} has the columns {list(table.columns)}, not {_COLUMNS}.")
    target = np.asarray(clips.target).tolist()
    labels = {str(label): label for label in target}
    is_path = [isinstance(clip, (str, os.PathLike)) for clip in clips.data]
    names = [os.fspath(x) if is_path[row] else f"clip {row}" for row, x in enumerate(clips.data)]
    rows = {name: row for row, name in enumerate(names)}
    changes: list[tuple[str, Any, Any]] = []
    lines = table[_COLUMNS].fillna("").itertuples(index=False)
    for number, (name, said, verdict, corrected) in enumerate(lines, start=2):
        where = f"{corrections}, line {number}: {name}"
        if name not in rows:
            raise ValueError(f"{where} is none of the clips of the report, or there twice.")
        row = rows.pop(name)
        before = target[row]
        if said not in ("", str(before)):
            now = f"is labelled {before} now"
            raise ValueError(f"{where} was labelled {said} in the report and {now}.")
        if verdict == "leave out":
            target[row] = None
        elif verdict == "wrong" and corrected:
            target[row] = labels.get(corrected, corrected)
        elif verdict != "right":
            expected = "right, leave out, or wrong with the right label"
            raise ValueError(f"{where} is {verdict!r}; expected {expected}.")
        if verdict != "right":
            changes.append((name, before, target[row]))
    keep = [label is not None for label in target]
    result = type(clips)(**clips)
    for key, values in clips.items():
        is_column = isinstance(values, np.ndarray) and values.shape[:1] == (len(keep),)
        if is_column or (key in ("data", "groups") and values is not None):
            result[key] = np.asarray(values)[keep]
    result.target = np.array([label for label in target if label is not None])
    if "target_names" in clips:
        result.target_names = sorted(set(result.target.tolist()))
    if isinstance(clips.get("metadata"), dict):
        result.metadata = {name: np.asarray(c)[keep] for name, c in clips.metadata.items()}
    result.changes = changes
    return result
