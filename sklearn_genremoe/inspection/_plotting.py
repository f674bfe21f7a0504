"""What the displays share."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

# Okabe and Ito's colours, told apart by colour-blind readers and in print.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"),
    *("#332288", "#882255"),  # of Tol's palette, for the ninth expert and the tenth
)


def new_axes(caller: str, figsize: tuple[float, float], n_rows: int = 1) -> np.ndarray:
    """Return the axes of a new figure, one below the other.

    Parameters
    ----------
    caller : str
        Who needs matplotlib, for the error message.
    figsize : tuple of (float, float)
        Width and height in inches.
    n_rows : int, default=1
        Number of axes.

    Returns
    -------
    axes : ndarray of shape (n_rows,) of matplotlib.axes.Axes
        Axes in a figure with constrained layout, so that nothing outside them is cut off.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt  # an optional dependency, slow to import
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install 'sklearn-genremoe[plot]'."
        ) from error
    return plt.subplots(n_rows, figsize=figsize, layout="constrained", squeeze=False)[1][:, 0]


def fit_figure(figure: Any) -> None:
    """Cut off what is left empty around a picture whose cells are square."""
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    pads = figure.get_layout_engine().get()
    figure.set_size_inches(drawn.width + 2 * pads["w_pad"], drawn.height + 2 * pads["h_pad"])


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, or what is no pipeline as it is."""
    return last_step(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def mixture_and_clips(estimator: Any, X: Any, method: str) -> tuple[Any, Any]:
    """Return a mixture and what it sees of the clips, where it may be the end of a pipeline.

    Parameters
    ----------
    estimator : MixtureOfExpertsClassifier or Pipeline
        A fitted mixture, or a pipeline that ends with one.
    X : object
        What the estimator takes.
    method : str
        The mixture's method that is needed.

    Returns
    -------
    mixture : MixtureOfExpertsClassifier
        The mixture.
    X : object
        What the mixture takes.

    Raises
    ------
    TypeError
        If the estimator is no mixture.
    """
    while isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    if not hasattr(estimator, method):
        raise TypeError(
            f"{type(estimator).__name__} has no {method}; pass a fitted "
            "MixtureOfExpertsClassifier, or what that method returns to from_predictions."
        )
    return estimator, X


def names_of_experts(mixture: Any) -> list[str]:
    """Return the names of the experts that take part."""
    return [name for name, expert in mixture.named_experts_.items() if expert != "drop"]


def rows_with_answer(answers: np.ndarray) -> np.ndarray:
    """Return the rows that a mixture has answered, which leaves those of bad clips NaN."""
    nothing = np.isnan(answers).reshape(len(answers), -1).all(axis=1)
    if nothing.all():
        raise ValueError(f"none of the {len(answers)} clips of X can be used: nothing to plot.")
    return np.flatnonzero(~nothing)


def check_names(names: Any, n_experts: int) -> list[str]:
    """Return one name for each expert, numbers if None was given."""
    if names is None:
        return [f"expert {index}" for index in range(n_experts)]
    if len(names) != n_experts:
        raise ValueError(
            f"{len(names)} expert_names for {n_experts} experts; pass one name per expert."
        )
    return list(names)


def text_colour(background: Any) -> str:
    """Return black or white, whichever reads better on (red, green, blue) in [0, 1]."""
    red, green, blue = background[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def plot_intervals(ax: Any, values: Any, colour: str) -> None:
    """Plot a data frame with value, low and high as points with bars, a row per name."""
    error = [values["value"] - values["low"], values["high"] - values["value"]]
    places = range(len(values))
    ax.errorbar(values["value"], places, xerr=error, fmt="o", color=colour, capsize=3)
    ax.set_yticks(places, values.index)
    ax.spines[["right", "top"]].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
