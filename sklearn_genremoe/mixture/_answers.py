"""From probabilities to labels and scores, where some rows may have none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from ..audio import BadClipError
from ._training_clips import TrainingClips


def answer(
    proba: NDArray[np.float64], bad: dict[int, str], classes: NDArray, missing: Any
) -> NDArray:
    """Return the most probable genres, and `missing` in bad rows, which None refuses to do."""
    if bad and missing is None:
        raise BadClipError(
            f"{len(bad)} of {len(proba)} clips",
            "can't be used and have no genre; leave them out, pass predict(X, "
            "missing='unknown') or another label for them, or take predict_proba, where their "
            "rows are NaN:\n" + "\n".join(f"row {row}: {why}" for row, why in bad.items()),
        )
    good = ~np.isin(np.arange(len(proba)), list(bad))
    answers = classes[np.where(good[:, None], proba, 0).argmax(axis=1)]
    if not bad:
        return answers
    if np.asarray(missing).dtype.kind != classes.dtype.kind:  # keep the labels what they are
        answers = answers.astype(object)
    return np.where(good, answers, np.asarray(missing))  # an array: 1000 has no room in int8


def accuracy(
    proba: NDArray[np.float64], bad: dict[int, str], classes: NDArray, true: TrainingClips
) -> float:
    """Return the share of right answers among the rows that aren't bad."""
    good = rows_to_score(true, bad)
    weight = None if true.weight is None else true.weight[good]
    found = classes[proba[good].argmax(axis=1)]
    return float(accuracy_score(true.y[good], found, sample_weight=weight))


def rows_to_score(true: TrainingClips, bad: dict[int, str]) -> NDArray[np.intp]:
    """Return the rows that aren't bad; raise if that leaves nothing to score on."""
    good = np.setdiff1d(np.arange(len(true.y)), list(bad))
    if bad and not len(good):
        raise none_usable(bad)
    if true.weight is not None and not true.weight[good].any():
        raise ValueError("No clip that can be used has a weight above zero, so there is no score.")
    return good


def none_usable(bad: dict[int, str], what: str = "clips") -> BadClipError:
    """Return the error for clips, or tracks, that are all bad."""
    return BadClipError(f"all {len(bad)} {what}", "none can be used:\n" + "\n".join(bad.values()))
