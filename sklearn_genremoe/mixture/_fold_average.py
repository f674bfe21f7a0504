"""The models that the folds leave, as one expert."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags

from ._base import aligned_proba


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
