"""From probabilities to labels, where some rows may have none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import BadClipError


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
    return np.where(good, answers, missing)
