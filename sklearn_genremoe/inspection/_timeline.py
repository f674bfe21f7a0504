"""How the genre of a track changes over time."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from ._plotting import COLOURS, BaseDisplay, check_names, require_method

# Windows that are no further apart, in seconds, touch.
_GAP = 1e-3


@dataclass(eq=False, repr=False)
class TimelineDisplay(BaseDisplay):
    """Probability of each genre over the time of a track, and whom the mixture trusts.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    start, end : array-like of shape (n_windows,)
        Begin and end of each window in seconds.
    proba : array-like of shape (n_windows, n_genres)
        The probabilities; rows of silent windows are NaN.
    genres : sequence of length n_genres
        The genres.
    weights : array-like of shape (n_windows, n_experts), default=None
        How much each expert is trusted; None where there is no mixture.
    expert_names : sequence of str of length n_experts, default=None
        Names of the experts. None numbers them.

    Attributes
    ----------
    ax_, figure_ : ndarray of shape (n_axes,) of matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes of the genres and, with weights, of the experts below. Set by :meth:`plot`.

    See Also
    --------
    sklearn_genremoe.WindowedClassifier.predict_windows : The numbers.

    Notes
    -----
    Overlapping windows meet halfway between their middles. Gaps are silent, or between windows.

    Examples
    --------
    >>> from sklearn_genremoe.inspection import TimelineDisplay
    >>> display = TimelineDisplay.from_predictions(
    ...     [0, 15, 30], [30, 45, 60], [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], genres=["folk", "rock"]
    ... )
    >>> display.frame()
       start   end  folk  rock
    0    0.0  30.0   0.9   0.1
    1   15.0  45.0   0.5   0.5
    2   30.0  60.0   0.2   0.8
    """

    start: ArrayLike
    end: ArrayLike
    proba: ArrayLike
    _: KW_ONLY
    genres: Sequence[Any]
    weights: ArrayLike | None = None
    expert_names: Sequence[str] | None = None

    _several_axes = True

    @classmethod
    def from_estimator(cls, estimator: Any, track: Any, *, ax: Any = None) -> Self:
        """Classify the windows of a track and plot them.

        Parameters
        ----------
        estimator : WindowedClassifier
            A fitted classifier of whole tracks.
        track : str, Path or array-like of shape (n_samples,)
            The path of a file of any length, or a waveform.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            One axes for the genres, or two for genres and experts; None makes a new figure.

        Returns
        -------
        display : TimelineDisplay
            The display, plotted.

        Raises
        ------
        TypeError, BadClipError
            If the estimator doesn't classify windows, or the track can't be used.
        """
        require_method(estimator, "predict_windows", "WindowedClassifier")
        check_is_fitted(estimator)
        table = estimator.predict_windows(track)
        n = 2 + len(estimator.classes_)
        proba, weights = table.iloc[:, 2:n], table.iloc[:, n:]
        names = [name[len("weight[") : -1] for name in weights.columns]
        how: dict[str, Any] = {"weights": weights, "expert_names": names} if names else {}
        return cls.from_predictions(table["start"], table["end"], proba, ax=ax, **how)

    @classmethod
    def from_predictions(
        cls,
        start: ArrayLike,
        end: ArrayLike,
        proba: ArrayLike,
        *,
        genres: Sequence[Any] | None = None,
        weights: ArrayLike | None = None,
        expert_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot given probabilities and weights.

        Parameters
        ----------
        start, end : array-like of shape (n_windows,)
            Begin and end of each window in seconds.
        proba : array-like of shape (n_windows, n_genres)
            The probabilities; rows of NaN are gaps.
        genres : sequence of length n_genres, default=None
            The genres. None takes the names of the columns of a data frame, else numbers.
        weights : array-like of shape (n_windows, n_experts), default=None
            How much each expert is trusted.
        expert_names : sequence of str of length n_experts, default=None
            Names of the experts. None numbers them.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to plot, as in :meth:`from_estimator`.

        Returns
        -------
        display : TimelineDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the lengths don't agree, or a window ends before it begins.
        """
        begins, ends = (column_or_1d(time, dtype=np.float64) for time in (start, end))
        how: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
        table: np.ndarray = check_array(proba, **how)
        if genres is None:
            genres = list(getattr(proba, "columns", range(table.shape[1])))
        check_consistent_length(begins, ends, table, weights)
        if np.any(ends <= begins):
            raise ValueError("end must lie behind start in every window; both are in seconds.")
        if len(genres) != table.shape[1]:
            raise ValueError(f"{len(genres)} genres for {table.shape[1]} columns of proba.")
        if weights is not None:
            weights = check_array(weights, **how)
        how = {"genres": genres, "weights": weights, "expert_names": expert_names}
        return cls(begins, ends, table, **how).plot(ax=ax)

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame
            A row per window, with the columns start and end in seconds, one per genre, and
            ``weight[<expert>]`` where there are weights.
        """
        columns, names = [self.start, self.end, self.proba], ["start", "end", *self.genres]
        if self.weights is not None:
            columns.append(self.weights)
            names += [f"weight[{name}]" for name in self._experts()]
        table = np.column_stack(columns).astype(np.float64)
        return pd.DataFrame(table, columns=names)

    def _experts(self) -> list[str]:
        return check_names(self.expert_names, np.asarray(self.weights).shape[1])

    def _size(self) -> tuple[float, float, int]:
        n_axes = 1 if self.weights is None else 2
        return 9.0, 2.8 * n_axes, n_axes

    def _draw(self, axes: np.ndarray) -> None:
        from matplotlib.ticker import MaxNLocator

        start, end = np.asarray(self.start, float), np.asarray(self.end, float)
        middle = (start + end) / 2
        apart = start[1:] - end[:-1] > _GAP
        halfway = (middle[:-1] + middle[1:]) / 2
        left = np.append(start[0], np.where(apart, start[1:], halfway))
        right = np.append(np.where(apart, end[:-1], halfway), end[-1])
        gaps = 2 * np.flatnonzero(apart) + 2
        times = np.insert(np.column_stack([left, right]).ravel(), gaps, right[:-1][apart])
        panels: list[Any] = [("probability in %", self.proba, self.genres)]
        if self.weights is not None:
            panels.append(("weights of experts in %", self.weights, self._experts()))
        for ax, (label, values, names) in zip(axes, panels):
            areas = np.repeat(np.asarray(values, dtype=np.float64), 2, axis=0)
            areas = np.insert(areas, gaps, np.nan, axis=0).T
            how: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.3, "labels": names}
            ax.stackplot(times, areas, colors=COLOURS, **how)
            ax.set(xlim=(start[0], end[-1]), ylim=(0, 1), ylabel=label)
            ax.set_yticks(np.linspace(0, 1, 5), ["0", "25", "50", "75", "100"])
            ax.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 1.5, 2, 3, 6, 10], integer=True))
            ax.xaxis.set_major_formatter(lambda x, _: f"{int(x) // 60}:{int(x) % 60:02}")
            ax.tick_params(labelbottom=ax is axes[-1])
            ax.spines[["right", "top"]].set_visible(False)
            # From top to bottom, like the areas.
            how = {"reverse": True, "bbox_to_anchor": (1.0, 0.5), "handlelength": 1.0}
            ax.legend(loc="center left", frameon=False, handleheight=1.0, **how)
        axes[-1].set_xlabel("time (minutes:seconds)")
