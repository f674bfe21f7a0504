"""Several estimators on the same folds."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._checks import check_groups, check_targets
from ._out_of_fold import cross_fit, prepare
from ._plotting import COLOURS, BaseDisplay, plot_intervals
from ._statistics import mcnemar, measures, ratio


@dataclass(eq=False, repr=False)
class ComparisonDisplay(BaseDisplay):
    """Scores of several estimators on the same folds, and their differences.

    Make one with :func:`compare`, or from the probabilities of each estimator.

    Parameters
    ----------
    proba : dict of str to ndarray of shape (n_clips, n_classes)
        Out-of-fold probabilities by name; the first is what the others are compared with.
    y : ndarray of shape (n_clips,)
        The labels.
    classes : ndarray of shape (n_classes,)
        The genres of the columns, sorted.
    groups : ndarray of shape (n_clips,), default=None
        What intervals draw together, for example artists; None draws clips.

    Attributes
    ----------
    ax_, figure_ : ndarray of shape (2,) of matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes of accuracies and of differences, and their figure. Set by :meth:`plot`.

    See Also
    --------
    compare : Cross-validates and compares.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.inspection import ComparisonDisplay
    >>> proba = {"a": np.array([[0.9, 0.1], [0.6, 0.4]]), "b": np.array([[0.8, 0.2], [0.3, 0.7]])}
    >>> y, classes = np.array(["folk", "rock"]), np.array(["folk", "rock"])
    >>> ComparisonDisplay(proba, y, classes).frame()["difference"]
    estimator
    a    NaN
    b    0.5
    Name: difference, dtype: float64
    """

    proba: Mapping[str, NDArray[np.float64]]
    y: NDArray
    classes: NDArray
    _: KW_ONLY
    groups: NDArray | None = None

    _several_axes = True

    def frame(self) -> Any:
        """Return the scores and differences.

        Returns
        -------
        frame : pandas.DataFrame
            A row per estimator. The columns: accuracy, accuracy_low and accuracy_high, its
            interval of 95 % by drawing groups anew; balanced_accuracy; log_loss;
            calibration_error; difference of the accuracy from that of the first estimator,
            difference_low and difference_high, the interval of the paired difference; and mcnemar,
            the exact p-value of both being right equally often, which takes clips for independent.
        """
        codes = np.searchsorted(self.classes, self.y)
        right = {name: proba.argmax(axis=1) == codes for name, proba in self.proba.items()}
        first = next(iter(right.values()))
        rows: dict[str, Any] = {}
        for name, proba in self.proba.items():
            found = measures(codes, proba, self.groups)
            row = _with_interval("accuracy", found.loc["accuracy"]) | found["value"].to_dict()
            if rows:
                gain = right[name].astype(float) - first
                found = ratio(gain[:, np.newaxis], np.ones((len(gain), 1)), self.groups)
                row |= _with_interval("difference", found[:, 0])
                row["mcnemar"] = mcnemar(right[name], first)
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("estimator")

    def _size(self) -> tuple[float, float, int]:
        return 7.0, 2.0 + 0.7 * len(self.proba), 2

    def _draw(self, axes: np.ndarray) -> None:
        frame = self.frame()[::-1]
        shown = zip(axes, ("accuracy", "difference"), (frame, frame[:-1]), COLOURS)
        for ax, what, rows, colour in shown:
            plot_intervals(ax, rows[[what, f"{what}_low", f"{what}_high"]], colour)
        axes[0].set_xlabel("accuracy")
        axes[1].set_xlabel(f"difference from {frame.index[-1]}")
        axes[1].axvline(0, color="black", linewidth=0.8)


def _with_interval(name: str, values: Any) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values))


def compare(
    estimators: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    cv: Any = 5,
    n_jobs: int | None = None,
) -> ComparisonDisplay:
    """Cross-validate several estimators on the same folds, and compare them clip by clip.

    Features are extracted once; groups are kept together, also inside each fit of a mixture.

    Parameters
    ----------
    estimators : dict of str to classifier
        At least two, with ``predict_proba``; the first is what the others are compared with.
    X : sequence of str or Path, array-like or DomainBatch
        The clips. Those that can't be used are left out, with a warning.
    y : array-like of shape (n_clips,)
        Their labels.
    groups : array-like of shape (n_clips,), default=None
        What must stay together, for example artists.
    cv : int, splitter or iterable of (train, test) rows, default=5
        The folds, as in :meth:`CollectionReport.from_cross_validation`.
    n_jobs : int, default=None
        Folds fitted at the same time; joblib's meaning.

    Returns
    -------
    display : ComparisonDisplay
        The numbers, ``display.frame()``, and their figure, ``display.plot()``.

    Raises
    ------
    ValueError
        If there are fewer than two estimators, or one of them refuses the clips.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn_genremoe.inspection import compare
    >>> X, y = load_wine(return_X_y=True)
    >>> display = compare({"neighbours": KNeighborsClassifier(), "bayes": GaussianNB()}, X, y)
    >>> display.frame()["accuracy"].round(2)
    estimator
    neighbours    0.69
    bayes         0.97
    Name: accuracy, dtype: float64
    """
    if len(estimators) < 2:
        raise ValueError(f"{len(estimators)} estimator(s); pass at least two to compare, by name.")
    y = check_targets(X, y)
    together = check_groups(groups, len(y))
    prepared, task = prepare(list(estimators.values()), X, y, together, cv)
    answers = np.array([cross_fit(one, task, n_jobs)["proba"] for one in prepared])
    known = ~np.isnan(answers).any(axis=(0, 2))
    proba = dict(zip(estimators, answers[:, known]))
    together = None if together is None else together[known]
    return ComparisonDisplay(proba, y[known], task.classes, groups=together)
