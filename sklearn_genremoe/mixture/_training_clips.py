"""The clips that a mixture is fitted on, with all that comes with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_groups, check_targets, check_weight
from .._clips import Clips
from .._compat import _check_method_params, _safe_indexing
from .._rows import Rows


@dataclass
class TrainingClips:
    """Clips, genres, weights, groups, and metadata for experts and splitter.

    ``params`` holds the arguments of each expert's ``fit``, by name, and of the splitter's
    ``split``, as "cv"; ``origin`` the row of each clip among the ``n_given`` that came.
    """

    X: Any
    y: NDArray
    weight: NDArray | None
    groups: NDArray | None
    origin: NDArray[np.intp]
    n_given: int
    params: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def check(cls, X: Any, y: Any, sample_weight: Any, groups: Any) -> TrainingClips:
        """Return clips with genres, weights and groups checked."""
        y = check_targets(X, y)
        return cls(
            X,
            y,
            None if sample_weight is None else check_weight(y, sample_weight),
            None if groups is None else check_groups(groups, len(y)),
            np.arange(len(y)),
            len(y),
        )

    def take(self, rows: NDArray[np.intp]) -> TrainingClips:
        """Return some of the clips."""
        if len(rows) == len(self.y):
            return self
        return TrainingClips(
            take_clips(self.X, rows),
            self.y[rows],
            None if self.weight is None else self.weight[rows],
            None if self.groups is None else self.groups[rows],
            self.origin[rows],
            self.n_given,
            {
                name: _check_method_params(self.y, params, rows)
                for name, params in self.params.items()
            },
        )

    def present(self) -> TrainingClips:
        """Return the clips with a weight above zero."""
        return self if self.weight is None else self.take(np.flatnonzero(self.weight))


def take_clips(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some clips, in whatever form; rows of a mapped array go to a file, not to memory."""
    if isinstance(X, np.ndarray) and X.ndim >= 3:
        return Rows(X, rows).array()
    return X.take(rows) if isinstance(X, Clips) else _safe_indexing(X, rows)
