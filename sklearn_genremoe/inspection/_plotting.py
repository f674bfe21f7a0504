"""What the displays share."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._compat import import_optional

# Okabe and Ito's colours, told apart by colour-blind readers and in print, and then Tol's.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"),
    *("#332288", "#882255", "#88CCEE", "#44AA99", "#117733", "#DDCC77", "#CC6677", "#AA4499"),
)


class BaseDisplay:
    """Numbers that can be plotted: subclasses say how large a figure, and draw into its axes."""

    # Whether `ax_` is an array of axes; width and height of a new figure in inches, and how many
    # axes it has; what fills them.
    _several_axes = False
    _size: Callable[[], tuple[float, float, int]]
    _draw: Callable[[np.ndarray], None]

    def plot(self, *, ax: Any = None) -> Self:
        """Plot into given axes, or into a new figure.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : object
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        axes = new_axes(type(self).__name__, *self._size()) if ax is None else np.ravel(ax)
        self._draw(axes)
        self.ax_ = axes if self._several_axes else axes[0]
        self.figure_ = axes[0].figure
        return self


def new_axes(caller: str, width: float, height: float, n_axes: int = 1) -> np.ndarray:
    """Return the axes of a new figure, one below the other."""
    plt = import_optional("matplotlib.pyplot", caller, "'sklearn-genremoe[plot]'")
    how: dict[str, Any] = {"layout": "constrained", "squeeze": False}
    return plt.subplots(n_axes, figsize=(width, height), **how)[1][:, 0]


def ask_mixture(estimator: Any, X: Any, method: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return what a mixture says of the clips that it can use, their rows, and its experts' names.

    The mixture may be the end of a pipeline.
    """
    check_is_fitted(estimator)
    while isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    require_method(estimator, method, "MixtureOfExpertsClassifier")
    answers = getattr(estimator, method)(X)
    rows = np.flatnonzero(~np.isnan(answers).reshape(len(answers), -1).all(axis=1))
    if not len(rows):
        raise ValueError(f"none of the {len(answers)} clips of X can be used: nothing to plot.")
    return answers, rows, names_of_experts(estimator)


def step_of(estimator: Any, place: int) -> Any:
    """Return the first step, 0, or the last one, -1, of a pipeline, or of one within."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[place]
    return estimator


def require_method(estimator: Any, method: str, expected: str) -> None:
    """Raise a TypeError if an estimator lacks what a display needs."""
    if not hasattr(estimator, method):
        found = f"{type(estimator).__name__} has no {method}; pass a fitted {expected}"
        raise TypeError(f"{found}, or what that method returns to from_predictions.")


def check_proba(proba: Any, name: str, finite: Any = True) -> np.ndarray:
    """Return a table whose rows are on the simplex, or NaN where that is allowed."""
    how: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": finite, "input_name": name}
    table: np.ndarray = check_array(proba, **how)
    if (table < 0).any() or (np.abs(table.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError(f"{name} must be zero or above, with rows that sum to one.")
    return table


def check_expert_proba(expert_proba: Any, n_classes: int | None = None) -> np.ndarray:
    """Return probabilities of shape (n_clips, n_experts, n_classes), NaN only if that is given."""
    finite = True if n_classes is None else "allow-nan"
    how: dict[str, Any] = {"allow_nd": True, "ensure_all_finite": finite, "dtype": np.float64}
    checked: np.ndarray = check_array(expert_proba, input_name="expert_proba", **how)
    if checked.ndim != 3 or n_classes not in (None, checked.shape[2]):
        expected = f"(n_clips, n_experts, {n_classes or 'n_classes'}), as of expert_predict_proba"
        raise ValueError(f"expert_proba has the shape {checked.shape}; expected {expected}.")
    return checked


def names_of_experts(mixture: Any) -> list[str]:
    """Return the names of the experts that take part."""
    return [name for name, expert in mixture.named_experts_.items() if expert != "drop"]


def check_names(names: Any, n_experts: int) -> list[str]:
    """Return one name for each expert, numbers if None was given."""
    if names is None:
        return [f"expert {index}" for index in range(n_experts)]
    if len(names) != n_experts:
        found = f"{len(names)} expert_names for {n_experts} experts"
        raise ValueError(f"{found}; pass one name per expert.")
    return list(names)


def plot_intervals(ax: Any, values: Any, colour: str) -> None:
    """Plot a data frame whose columns are value, low and high as points with bars."""
    value, low, high = values.to_numpy().T
    places, error = range(len(values)), [value - low, high - value]
    ax.errorbar(value, places, xerr=error, fmt="o", color=colour, capsize=3)
    ax.set_yticks(places, values.index)
    ax.spines[["right", "top"]].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
