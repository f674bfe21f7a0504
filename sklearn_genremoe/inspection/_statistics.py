"""Measures of predicted probabilities, with intervals that draw groups anew."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

_DRAWS = 1000
_LEVEL = [0.025, 0.975]
N_BINS = 10
_SMALLEST = 1e-15  # probabilities below count as this much in the log-loss, as in scikit-learn


def measures(codes: NDArray, proba: NDArray, groups: Any, genres: Sequence[Any] = ()) -> Any:
    """Return value, low and high of each measure, by genre too if these are named.

    `codes` are the columns of the labels; intervals of 95 % draw groups, or else clips.
    """
    n_classes, sure = proba.shape[1], proba.max(axis=1)
    true, said = np.eye(n_classes)[codes], np.eye(n_classes)[proba.argmax(axis=1)]
    loss = -np.log(np.clip((true * proba).sum(axis=1), _SMALLEST, 1))
    right = (true * said).sum(axis=1)
    gap = (right - sure)[:, np.newaxis] * confidence_bins(sure)
    sums = np.column_stack([np.ones(len(codes)), loss, true, said, true * said, gap])

    def values(total: NDArray) -> NDArray:
        n, loss, parts = total[:, 0], total[:, 1], np.arange(1, 4) * n_classes
        n_true, n_said, hits, gap = np.split(total[:, 2:], parts, axis=1)
        recall, precision = hits / n_true, hits / n_said
        accuracy, error = hits.sum(axis=1) / n, np.abs(gap).sum(axis=1) / n
        main = [accuracy, np.nanmean(recall, axis=1), loss / n, error]
        return np.column_stack([*main, recall, precision])

    names = ["accuracy", "balanced_accuracy", "log_loss", "calibration_error"]
    names += [f"{what}[{genre}]" for what in ("recall", "precision") for genre in genres]
    found = interval(sums, groups, values).T[: len(names)]
    columns = ["value", "low", "high"]
    return pd.DataFrame(found, index=names, columns=columns)


def interval(sums: NDArray, groups: Any, values: Callable[[NDArray], NDArray]) -> NDArray:
    """Return what `values` makes of the sums over all clips, and the ends of its interval of 95 %.

    `sums` has what each clip adds, and `values` takes sums of shape (n_draws, n_sums).
    """
    if groups is not None:
        group = np.unique(groups, return_inverse=True)[1]
        sums = np.stack([np.bincount(group, column) for column in sums.T], axis=1)
    rng = np.random.default_rng(0)
    n = len(sums)
    counts = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(_DRAWS))
    drawn = np.array([sums.sum(axis=0), *(count @ sums for count in counts)])
    with np.errstate(invalid="ignore", divide="ignore"):
        value, *rest = values(drawn)
    # Of those draws in which it can be computed.
    ends = pd.DataFrame(rest).quantile(_LEVEL)
    return np.vstack([value, ends])


def confidence_bins(confidence: NDArray) -> NDArray[np.float64]:
    """Return a one for each clip in the column of its probability, of ten from 0 to 1."""
    return np.eye(N_BINS)[np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)]


def confident_learning(codes: NDArray, proba: NDArray) -> NDArray[np.bool_]:
    """Tell which labels, the columns `codes`, are off the diagonal of the confident joint."""
    labelled = np.eye(proba.shape[1])[codes]
    thresholds = (labelled * proba).sum(axis=0) / np.maximum(labelled.sum(axis=0), 1)
    confident = np.where(proba >= thresholds, proba, -1.0)
    return (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != codes)


def mcnemar(first: NDArray, second: NDArray) -> float:
    """Return the exact p-value of two answers being right equally often, clip by clip."""
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    n = only_first + only_second
    return float(binomtest(only_first, n).pvalue) if n else 1.0


def ratio(of: NDArray, to: NDArray, groups: Any) -> NDArray:
    """Return the ratios of the sums of two tables' columns, and the ends of their intervals."""
    return interval(np.hstack([of, to]), groups, lambda sums: np.divide(*np.hsplit(sums, 2)))
