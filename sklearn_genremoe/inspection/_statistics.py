"""Measures of predicted probabilities, with intervals that draw groups anew."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

_DRAWS = 1000
_LEVEL = (0.025, 0.975)
_N_BINS = 10
_SMALLEST = 1e-15  # probabilities below count as this much in the log-loss, as in scikit-learn


def measures(
    codes: NDArray, proba: NDArray, groups: NDArray | None, with_genres: NDArray | None = None
) -> dict[str, tuple[float, float, float]]:
    """Return value, low and high of each measure; intervals of 95 % from resampled groups.

    Parameters
    ----------
    codes : ndarray of shape (n_clips,)
        The column of each clip's genre.
    proba : ndarray of shape (n_clips, n_classes)
        The probabilities, without NaN.
    groups : ndarray of shape (n_clips,) or None
        What is drawn together; None draws clips.
    with_genres : ndarray of shape (n_classes,), default=None
        Names of the genres, for which recall and precision are measured too.

    Returns
    -------
    measures : dict of str to (float, float, float)
        By name of the measure.
    """
    n_classes = proba.shape[1]
    answer = proba.argmax(axis=1)
    right = (answer == codes).astype(float)
    true = np.eye(n_classes)[codes]
    said = np.eye(n_classes)[answer]
    bins = np.eye(_N_BINS)[confidence_bin(proba.max(axis=1))]
    own = proba[np.arange(len(codes)), codes]
    loss = -np.log(np.clip(own, _SMALLEST, 1))
    gap = (right - proba.max(axis=1))[:, np.newaxis] * bins
    columns = [np.ones((len(codes), 1)), loss[:, np.newaxis], true, said, right[:, None] * true]
    sums = np.hstack([*columns, gap])

    def values(total: NDArray) -> NDArray:
        n, loss, rest = total[:, 0], total[:, 1], total[:, 2:]
        n_true, n_said, hits = (rest[:, i * n_classes : (i + 1) * n_classes] for i in range(3))
        gap = rest[:, 3 * n_classes :]
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, precision = hits / n_true, hits / n_said
        present = ~np.isnan(recall)
        balanced = np.where(present, recall, 0).sum(axis=1) / present.sum(axis=1)
        main = [hits.sum(axis=1) / n, balanced, loss / n, np.abs(gap).sum(axis=1) / n]
        return np.column_stack([*main, recall, precision])

    names = ["accuracy", "balanced_accuracy", "log_loss", "calibration_error"]
    if with_genres is not None:
        names += [f"recall[{genre}]" for genre in with_genres]
        names += [f"precision[{genre}]" for genre in with_genres]
    value, low, high = interval(sums, groups, values)
    return {name: (value[i], low[i], high[i]) for i, name in enumerate(names)}


def interval(
    sums: NDArray, groups: NDArray | None, values: Callable[[NDArray], NDArray]
) -> tuple[NDArray, NDArray, NDArray]:
    """Return what `values` makes of the sums over all clips, and its interval of 95 %.

    Parameters
    ----------
    sums : ndarray of shape (n_clips, n_sums)
        What each clip adds to the sums.
    groups : ndarray of shape (n_clips,) or None
        What is drawn together; None draws clips.
    values : callable
        From sums of shape (n_draws, n_sums) to values of shape (n_draws, n_values).

    Returns
    -------
    value, low, high : ndarray of shape (n_values,)
        The values and their intervals.
    """
    if groups is not None:
        group = np.unique(groups, return_inverse=True)[1]
        sums = np.stack([np.bincount(group, column) for column in sums.T], axis=1)
    rng = np.random.default_rng(0)
    n = len(sums)
    counts = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(_DRAWS))
    drawn = np.array([count @ sums for count in counts])
    value = values(sums.sum(axis=0, keepdims=True))[0]
    low, high = _quantiles(values(drawn))
    return value, low, high


def _quantiles(values: NDArray) -> NDArray:
    """Return low and high of each column, of those draws in which it can be computed."""
    known = ~np.isnan(values).all(axis=0)
    bounds = np.full((2, values.shape[1]), np.nan)
    bounds[:, known] = np.nanquantile(values[:, known], _LEVEL, axis=0)
    return bounds


def confidence_bin(confidence: NDArray) -> NDArray[np.intp]:
    """Return in which of ten equal bins from 0 to 1 probabilities lie."""
    return np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)


def mcnemar(first: NDArray, second: NDArray) -> float:
    """Return the exact p-value of two answers being right equally often, clip by clip.

    It takes clips for independent; the interval that draws groups anew does not.
    """
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    if not only_first + only_second:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def difference(right: NDArray, other: NDArray, groups: Any) -> tuple[float, float, float]:
    """Return by how much the first accuracy is above the second, and its interval of 95 %."""
    sums = np.column_stack([right.astype(float) - other, np.ones(len(right))])
    value, low, high = interval(sums, groups, lambda total: total[:, :1] / total[:, 1:])
    return float(value[0]), float(low[0]), float(high[0])


def joint_limits(probability: NDArray, far: NDArray, share: float) -> tuple[float, float]:
    """Return a lower limit of probabilities and an upper one of distances, at the same quantile.

    Together they leave out at most `share` of clips, of which some fail both.
    """
    lowest = farthest = 0.0
    for part in np.linspace(share / 2, share, 21):
        limits = float(np.quantile(probability, part)), float(np.quantile(far, 1 - part))
        if part > share / 2 and np.mean((probability < limits[0]) | (far > limits[1])) > share:
            break
        lowest, farthest = limits
    return lowest, farthest
