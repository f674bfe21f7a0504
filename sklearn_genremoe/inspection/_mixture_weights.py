"""Whom a mixture trusts, genre by genre."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, column_or_1d

from ._plotting import COLOURS, BaseDisplay, ask_mixture, check_names, check_proba

_ALL = "all clips"
# A narrower part of a bar has no room for its number, as the notes of the class say.
_LABELLED = 0.045


@dataclass(eq=False, repr=False)
class MixtureWeightsDisplay(BaseDisplay):
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
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes with the bars, and their figure. Set by :meth:`plot`.

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

    mean_weights: ArrayLike
    _: KW_ONLY
    genres: Sequence[Any]
    expert_names: Sequence[str]
    n_clips: Sequence[int]

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, *, ax: Any = None) -> Self:
        """Plot the weights that a fitted mixture gives its experts.

        Parameters
        ----------
        estimator : MixtureOfExpertsClassifier or Pipeline
            A fitted mixture, or a pipeline that ends with one.
        X : sequence of str or Path, array-like or DomainBatch
            Clips, best such that it wasn't fitted on. What it can't use is left out.
        y : array-like of shape (n_clips,)
            Their genres.
        ax : matplotlib.axes.Axes, default=None
            Where to plot, as in :meth:`plot`.

        Returns
        -------
        display : MixtureWeightsDisplay
            The display, plotted.

        Raises
        ------
        TypeError, ValueError
            If the estimator is no mixture, the lengths don't agree, or no clip can be used.
        """
        weights, rows, names = ask_mixture(estimator, X, "mixture_weights")
        genres = column_or_1d(y)
        check_consistent_length(weights, genres)
        return cls.from_predictions(weights[rows], genres[rows], expert_names=names, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        weights: ArrayLike,
        y: ArrayLike,
        *,
        expert_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
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
            Where to plot, as in :meth:`plot`.

        Returns
        -------
        display : MixtureWeightsDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the weights are not on the simplex, or the lengths don't agree.
        """
        checked = check_proba(weights, "weights")
        y = column_or_1d(y)
        check_consistent_length(checked, y)
        names = check_names(expert_names, checked.shape[1])
        genres, n_clips = np.unique(y, return_counts=True)
        means = np.array([checked[y == genre].mean(axis=0) for genre in genres])
        counts = n_clips.tolist()
        return cls(means, genres=genres.tolist(), expert_names=names, n_clips=counts).plot(ax=ax)

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_genres + 1, n_experts)
            The mean weight of each expert for each genre, and for all clips.
        """
        means = np.asarray(self.mean_weights, dtype=np.float64)
        means = np.vstack([means, np.average(means, axis=0, weights=self.n_clips)])
        frame = pd.DataFrame(means, [*self.genres, _ALL], list(self.expert_names))
        return frame.rename_axis(index="genre", columns="expert")

    def _size(self) -> tuple[float, float, int]:
        return 7.0, 2.05 + 0.45 * len(self.genres), 1

    def _draw(self, axes: np.ndarray) -> None:
        [ax] = axes
        frame = self.frame()
        n_rows, n_experts = frame.shape
        counts = [*self.n_clips, sum(self.n_clips)]
        frame.index = [f"{genre} ({n})" for genre, n in zip(frame.index, counts)]
        how: dict[str, Any] = {"width": 0.78, "edgecolor": "white", "legend": False}
        frame.plot.barh(stacked=True, ax=ax, color=COLOURS[:n_experts], **how)
        self.bars_ = ax.containers[-n_experts:]
        for bars, column in zip(self.bars_, frame.columns):
            texts = [f"{100 * v:.0f}" if v >= _LABELLED else "" for v in frame[column]]
            red, green, blue, _ = bars[0].get_facecolor()
            is_bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
            colour = "black" if is_bright else "white"
            ax.bar_label(bars, texts, label_type="center", color=colour, fontsize="small")
        for share in np.arange(1, n_experts) / n_experts:
            # Behind the bars, so that it runs through no number.
            ax.axvline(share, color="black", linewidth=0.8, linestyle=(0, (1, 1)), zorder=0)
        ax.set(xlim=(0, 1), ylim=(n_rows - 0.4, -0.6), ylabel="")
        ax.set_xticks(np.linspace(0, 1, 5), ["0", "25", "50", "75", "100"])
        ax.set_xlabel("mean weight in % (dotted between the bars: equal shares)")
        ax.tick_params(axis="y", length=0)
        ax.spines[["left", "right", "top"]].set_visible(False)
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
        ax.legend(ncols=3, frameon=False, handlelength=1.0, **place)
