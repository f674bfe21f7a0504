"""The models that the folds leave, as one expert."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags

from .._clips import some_rows


class FoldAverage(ClassifierMixin, BaseEstimator):
    """One expert whose prediction is the mean of those of several models.

    Parameters
    ----------
    models : list of estimators
        Fitted classifiers, those of the folds; ``fit`` trains clones of them instead.
    """

    def __init__(self, models: list[Any]) -> None:
        self.models = models

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(model, "classes_") for model in self.models)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.models[0])

    def fit(self, X: Any, y: Any, **params: Any) -> FoldAverage:
        """Train all models on the same clips."""
        self.models = [clone(model).fit(X, y, **params) for model in self.models]
        return self

    @property
    def classes_(self) -> NDArray:
        """All classes that one of the models knows."""
        return np.unique(np.concatenate([model.classes_ for model in self.models]))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the models' probabilities."""
        return np.mean([aligned_proba(model, X, self.classes_) for model in self.models], axis=0)

    def predict(self, X: Any) -> NDArray:
        """Return the most probable class of each clip."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def aligned_proba(
    expert: Any, X: Any, classes: NDArray, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return an expert's probabilities with one column for each of `classes`.

    Parameters
    ----------
    expert : estimator
        A fitted classifier.
    X : array-like of shape (n_clips, ...)
        What it sees of the clips.
    classes : ndarray of shape (n_classes,)
        All genres, sorted. Those that the expert has never seen get zeros.
    rows : ndarray of int of shape (n_clips,), default=None
        The numbers of the clips, for messages; None counts from zero.

    Returns
    -------
    proba : ndarray of shape (n_clips, n_classes)
        Rows sum to one within float64.

    Raises
    ------
    ValueError
        If what the expert gives aren't probabilities.
    """
    given = np.asarray(expert.predict_proba(X), dtype=np.float64)
    decides = type(getattr(expert, "_final_estimator", expert)).__name__
    if given.ndim != 2 or given.shape[1] != len(expert.classes_):
        raise ValueError(
            f"predict_proba of the expert {decides} gave an array of shape {given.shape}; expected "
            f"a row per clip and a column for each of its {len(expert.classes_)} classes."
        )
    total = given.sum(axis=1)
    wrong = np.flatnonzero(~(np.isfinite(total) & (total > 0) & (given >= 0).all(axis=1)))
    if len(wrong):
        clips = wrong if rows is None else rows[wrong]
        raise ValueError(
            f"predict_proba of the expert {decides} gave no probabilities for {len(wrong)} of "
            f"{len(given)} clips (rows {some_rows(clips.tolist())}), the first is "
            f"{given[wrong[0]]}. Expected numbers of zero or above, not all zero: look at these "
            "clips, or at the expert."
        )
    proba = np.zeros((len(given), len(classes)))
    proba[:, np.searchsorted(classes, expert.classes_)] = given
    return proba / total[:, np.newaxis]
