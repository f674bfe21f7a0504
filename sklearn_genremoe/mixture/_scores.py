"""How good each expert is, and what mixing makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

# A genre that was excluded costs this much at most: -log(1e-15) = 34.5.
_FLOOR = 1e-15


def score_opinions(
    opinions: NDArray,
    proba: NDArray,
    weights: NDArray,
    y: NDArray,
    classes: NDArray,
    names: list[str],
    sample_weight: NDArray | None = None,
) -> Bunch:
    """Compare experts, mixture and oracle on clips with known genre.

    Parameters
    ----------
    opinions : ndarray of shape (n_clips, n_experts, n_classes)
        Probabilities by each expert.
    proba : ndarray of shape (n_clips, n_classes)
        Probabilities by the mixture.
    weights : ndarray of shape (n_clips, n_experts)
        Mixture weights.
    y : ndarray of int of shape (n_clips,)
        Genres, as columns of `proba`.
    classes : ndarray of shape (n_classes,)
        Names of the genres.
    names : list of str
        Names of the experts.
    sample_weight : ndarray of shape (n_clips,) or None, default=None
        Weights of the clips.

    Returns
    -------
    scores : Bunch
        See :meth:`MixtureOfExpertsClassifier.score_experts`.
    """
    rows = np.arange(len(y))
    everyone = np.concatenate([opinions, proba[:, None]], axis=1)
    right = everyone.argmax(axis=2) == y[:, None]
    loss = -np.log(np.maximum(everyone[rows, :, y], _FLOOR))
    differs = everyone.argmax(axis=2) != proba.argmax(axis=1)[:, None]
    oracle = right[:, :-1].any(axis=1, keepdims=True)

    def mean(values: NDArray, of: NDArray = rows) -> Any:
        chosen = None if sample_weight is None else sample_weight[of]
        return np.average(values[of], axis=0, weights=chosen)

    pairs = [
        mean(opinions[:, a].argmax(axis=1) != opinions[:, b].argmax(axis=1))
        for a in range(len(names))
        for b in range(a)
    ]
    table: dict[str, Any] = {
        "name": [*names, "mixture", "oracle"],
        "accuracy": [*mean(right), *mean(oracle)],
        "log_loss": [*mean(loss), np.nan],
        "disagreement": [*mean(differs), np.nan],
        "weight": [*mean(weights), np.nan, np.nan],
    }
    for number, genre in enumerate(classes):
        of_genre = np.flatnonzero(y == number)
        known = len(of_genre) > 0 and (sample_weight is None or sample_weight[of_genre].any())
        given = mean(weights, of_genre) if known else np.full(len(names), np.nan)
        table[f"weight[{genre}]"] = [*given, np.nan, np.nan]
    return Bunch(
        table={
            column: values if column == "name" else np.array(values, dtype=float)
            for column, values in table.items()
        },
        mean_disagreement=float(np.mean(pairs)) if pairs else 0.0,
    )
