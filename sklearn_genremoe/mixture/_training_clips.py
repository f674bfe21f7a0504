"""The clips that a mixture is fitted on, with all that comes with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sklearn_compat import _check_method_params, _check_sample_weight, _safe_indexing
from .._validation import check_classes, check_group_count, check_targets


@dataclass
class TrainingClips:
    """Clips, genres, weights, groups, and metadata for experts and splitter.

    Parameters
    ----------
    X : array-like of shape (n_clips, ...)
        The clips.
    y : ndarray of shape (n_clips,)
        Their genres.
    weight : ndarray of shape (n_clips,) or None, default=None
        Their weights.
    groups : ndarray of shape (n_clips,) or None, default=None
        What must not stand on both sides of a split.
    params : dict of str to dict
        Arguments of each expert's ``fit``, by name, and of the splitter's ``split``, as "cv".
    origin : ndarray of int of shape (n_clips,) or None, default=None
        The row of each clip before those without weight were taken out, if some were.
    """

    X: Any
    y: NDArray
    weight: NDArray | None = None
    groups: NDArray | None = None
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    origin: NDArray[np.intp] | None = None

    @classmethod
    def check(cls, X: Any, y: Any, sample_weight: Any, groups: Any) -> TrainingClips:
        """Return clips with genres, weights and groups checked."""
        y = check_targets(X, y)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, y, dtype=np.float64, ensure_non_negative=True
            )
            if not weight.any():
                raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
        if groups is not None:
            groups = check_group_count(groups, len(y))
        return cls(X, y, weight, groups)

    def present(self) -> TrainingClips:
        """Return the clips with a weight above zero."""
        if self.weight is None or self.weight.all():
            return self
        rows = np.flatnonzero(self.weight)
        return TrainingClips(
            _safe_indexing(self.X, rows),
            self.y[rows],
            self.weight[rows],
            None if self.groups is None else self.groups[rows],
            {
                name: _check_method_params(self.y, params, rows)
                for name, params in self.params.items()
            },
            rows,
        )

    def check_classes(self) -> NDArray:
        """Return the genres, sorted, or raise if there is only one."""
        return check_classes(self.y)
