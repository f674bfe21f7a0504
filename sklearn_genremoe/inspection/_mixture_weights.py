"""Whom a mixture trusts, genre by genre."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from .._compat import import_pandas
from ._plotting import (
    COLOURS,
    check_names,
    mixture_and_clips,
    names_of_experts,
    new_axes,
    rows_with_answer,
    text_colour,
)

_ALL = "all clips"
# A narrower part of a bar has no room for its number, as the notes of the class say.
_LABELLED = 0.045


class MixtureWeightsDisplay:
    """Mean weight of each expert in a mixture, genre by genre.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    mean_weights : ndarray of shape (n_genres, n_experts)
        The mean over the clips of each genre; rows sum to one.
    genres : sequence of length n_genres
        The genres.
    expert_names : sequence of str of length n_experts
        Names of the experts.
    n_clips : sequence of int of length n_genres
        Clips of each genre.

    Attributes
    ----------
    bars_ : list of matplotlib.container.BarContainer
        The bars of each expert. Set by :meth:`plot`.
    ax_ : matplotlib.axes.Axes
        The axes with the bars. Set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        The figure of the axes. Set by :meth:`plot`.

    See Also
    --------
    sklearn_genremoe.MixtureOfExpertsClassifier.mixture_weights : The weights, clip by clip.

    Notes
    -----
    Parts of less than 4.5 % have no room for their number; :meth:`frame` has all of them.

    Examples
    --------
    >>> from sklearn_genremoe.inspection import MixtureWeightsDisplay
    >>> weights = [[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]]
    >>> display = MixtureWeightsDisplay.from_predictions(
    ...     weights, ["folk", "folk", "rock"], expert_names=["harmonic", "percussive"]
    ... )
    >>> display.frame()
    expert     harmonic  percussive
    genre
    folk            0.3         0.7
    rock            0.9         0.1
    all clips       0.5         0.5
    """

    def __init__(
        self,
        mean_weights: ArrayLike,
        *,
        genres: Sequence[Any],
        expert_names: Sequence[str],
        n_clips: Sequence[int],
    ) -> None:
        self.mean_weights = mean_weights
        self.genres = genres
        self.expert_names = expert_names
        self.n_clips = n_clips

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, ax: Any = None
    ) -> "MixtureWeightsDisplay":
        """Plot the weights that a fitted mixture gives its experts.

        Parameters
        ----------
        estimator : MixtureOfExpertsClassifier or Pipeline
            A fitted mixture, or a pipeline that ends with one.
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that the estimator takes; best clips that it wasn't
            fitted on.
        y : array-like of shape (n_clips,)
            Their genres. Clips that the mixture can't use are left out.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : MixtureWeightsDisplay
            The display, plotted.

        Raises
        ------
        TypeError
            If the estimator has no mixture weights.
        ValueError
            If there isn't one genre for each clip, or no clip can be used.
        """
        check_is_fitted(estimator)
        mixture, X = mixture_and_clips(estimator, X, "mixture_weights")
        weights, genres = mixture.mixture_weights(X), column_or_1d(y)
        check_consistent_length(weights, genres)
        good = rows_with_answer(weights)
        return cls.from_predictions(
            weights[good], genres[good], expert_names=names_of_experts(mixture), ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        weights: ArrayLike,
        y: ArrayLike,
        *,
        expert_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> "MixtureWeightsDisplay":
        """Plot given weights, for example those of all folds of a cross-validation.

        Parameters
        ----------
        weights : array-like of shape (n_clips, n_experts)
            Weights as ``mixture_weights`` gives them; rows sum to one.
        y : array-like of shape (n_clips,)
            The genre of each clip.
        expert_names : sequence of str of length n_experts, default=None
            Names of the experts. None numbers them.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : MixtureWeightsDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the weights are not on the simplex, or the lengths don't agree.
        """
        checked: np.ndarray = check_array(weights, dtype=np.float64, input_name="weights")
        y = column_or_1d(y)
        check_consistent_length(checked, y)
        if checked.min() < 0 or np.abs(checked.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError(
                "weights must be zero or above, with rows that sum to one; pass what "
                "mixture_weights returns."
            )
        n_experts = checked.shape[1]
        names = check_names(expert_names, n_experts)
        genres, position, n_clips = np.unique(y, return_inverse=True, return_counts=True)
        totals = np.zeros((len(genres), n_experts))
        np.add.at(totals, position, checked)
        display = cls(
            totals / n_clips[:, np.newaxis],
            genres=genres.tolist(),
            expert_names=names,
            n_clips=n_clips.tolist(),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "MixtureWeightsDisplay":
        """Plot one bar per genre, divided among the experts.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : MixtureWeightsDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        rows, labels = self._rows()
        if ax is None:
            [ax] = new_axes("MixtureWeightsDisplay", (7.0, 1.6 + 0.45 * len(rows)))
        # Top to bottom, with some air above the bar of all clips.
        height = np.r_[np.arange(len(rows) - 1), len(rows) - 0.6][: len(rows)]
        n_experts = rows.shape[1]
        self.bars_ = []
        left = np.zeros(len(rows))
        for index, name in enumerate(self.expert_names):
            colour = COLOURS[index % len(COLOURS)]
            width = rows[:, index]
            bars = ax.barh(
                height, width, 0.78, left, color=colour, edgecolor="white", linewidth=1, label=name
            )
            ax.bar_label(
                bars,
                [f"{100 * value:.0f}" if value >= _LABELLED else "" for value in width],
                label_type="center",
                color=text_colour(bars[0].get_facecolor()),
                fontsize="small",
            )
            self.bars_.append(bars)
            left += width
        for share in np.arange(1, n_experts) / n_experts:
            # Behind the bars, so that it runs through no number.
            ax.axvline(share, color="black", linewidth=0.8, linestyle=(0, (1, 1)), zorder=0)
        ax.set_yticks(height, labels)
        ax.set_ylim(height[-1] + 0.6, -0.6)
        ax.set_xlim(0, 1)
        ax.set_xticks(np.linspace(0, 1, 5), ["0", "25", "50", "75", "100"])
        ax.set_xlabel("mean weight in % (dotted between the bars: equal shares)")
        ax.tick_params(axis="y", length=0)
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(n_experts, 3 if max(map(len, self.expert_names)) > 12 else 4),
            frameon=False,
            handlelength=1.0,
            handleheight=1.0,
            columnspacing=1.6,
            borderaxespad=0.4,
            borderpad=0.0,
        )
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_genres + 1, n_experts)
            The mean weight of each expert for each genre, and for all clips.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_pandas("MixtureWeightsDisplay.frame")
        return pandas.DataFrame(
            self._rows()[0],
            index=pandas.Index([*self.genres, _ALL], name="genre"),
            columns=pandas.Index(list(self.expert_names), name="expert"),
        )

    def _rows(self) -> tuple[np.ndarray, list[str]]:
        """Return the means of each genre and of all clips, and what to call them."""
        means = np.asarray(self.mean_weights, dtype=np.float64)
        rows = np.vstack([means, np.average(means, axis=0, weights=self.n_clips)])
        counts = [*self.n_clips, sum(self.n_clips)]
        return rows, [f"{name} ({n})" for name, n in zip([*self.genres, _ALL], counts)]
