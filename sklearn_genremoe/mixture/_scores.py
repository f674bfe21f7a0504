"""How good each expert is, and what mixing makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A genre that was excluded costs this much at most: -log(1e-15) = 34.5.
_FLOOR = 1e-15


def score_table(
    expert_proba: NDArray,
    proba: NDArray,
    weights: NDArray,
    y: NDArray,
    classes: NDArray,
    names: list[str],
    sample_weight: NDArray | None = None,
) -> Any:
    """Compare experts, mixture and oracle on clips with known genre: see ``score_experts``."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("score_experts needs pandas: pip install pandas.") from error
    rows = np.arange(len(y))
    everyone = np.concatenate([expert_proba, proba[:, None]], axis=1)
    right = everyone.argmax(axis=2) == y[:, None]
    loss = -np.log(np.maximum(everyone[rows, :, y], _FLOOR))
    differs = everyone.argmax(axis=2) != proba.argmax(axis=1)[:, None]
    oracle = right[:, :-1].any(axis=1, keepdims=True)

    def mean(values: NDArray, of: NDArray = rows) -> Any:
        chosen = None if sample_weight is None else sample_weight[of]
        return np.average(values[of], axis=0, weights=chosen)

    pairs = [
        mean(expert_proba[:, a].argmax(axis=1) != expert_proba[:, b].argmax(axis=1))
        for a in range(len(names))
        for b in range(a)
    ]
    columns: dict[str, Any] = {
        "accuracy": [*mean(right), *mean(oracle)],
        "log_loss": [*mean(loss), np.nan],
        "disagreement": [*mean(differs), np.nan],
        "weight": [*mean(weights), np.nan, np.nan],
    }
    for number, genre in enumerate(classes):
        of_genre = np.flatnonzero(y == number)
        known = len(of_genre) > 0 and (sample_weight is None or sample_weight[of_genre].any())
        given = mean(weights, of_genre) if known else np.full(len(names), np.nan)
        columns[f"weight[{genre}]"] = [*given, np.nan, np.nan]
    index = pandas.Index([*names, "mixture", "oracle"], name="expert")
    table = pandas.DataFrame(columns, index=index, dtype=float)
    table.attrs["mean_disagreement"] = float(np.mean(pairs)) if pairs else 0.0
    return table
