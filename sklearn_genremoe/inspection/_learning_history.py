"""How the losses fell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ._plotting import COLOURS, BaseDisplay, names_of_experts, step_of

_LOSSES = {"train_loss": ("-", ""), "valid_loss": (":", ", held out")}
_FOLD = ", fold "


@dataclass(eq=False, repr=False)
class LearningHistoryDisplay(BaseDisplay):
    """Loss of networks on their training and validation clips, epoch by epoch.

    Make one with :meth:`from_estimator`. Curves are full for training clips and dotted for
    validation clips; the networks of the folds of one expert share a colour.

    Parameters
    ----------
    histories : dict of str to list of dict
        By name of a network, one entry per epoch with ``"epoch"``, ``"train_loss"`` and, where
        clips were held out, ``"valid_loss"``: what ``history_`` holds. The networks of the folds of
        an expert are named like ``harmonic, fold 1``.

    Attributes
    ----------
    lines_ : list of matplotlib.lines.Line2D
        The curves. Set by :meth:`plot`.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes with the curves, and their figure. Set by :meth:`plot`.

    See Also
    --------
    sklearn_genremoe.CNNClassifier : Keeps its history in ``history_``.

    Examples
    --------
    >>> from sklearn_genremoe.inspection import LearningHistoryDisplay
    >>> history = [{"epoch": 1, "train_loss": 1.5}, {"epoch": 2, "train_loss": 1.0}]
    >>> LearningHistoryDisplay({"harmonic": history}).plot().frame()
        network  epoch  train_loss  valid_loss
    0  harmonic      1         1.5         NaN
    1  harmonic      2         1.0         NaN
    """

    histories: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot the histories of the networks in a fitted estimator.

        Parameters
        ----------
        estimator : CNNClassifier, MixtureOfExpertsClassifier or Pipeline
            A fitted network, a fitted mixture with networks among its experts or as its mixer, or
            a pipeline that ends with one of them.
        ax : matplotlib.axes.Axes, default=None
            Where to plot, as in :meth:`plot`.

        Returns
        -------
        display : LearningHistoryDisplay
            The display, plotted.

        Raises
        ------
        TypeError, ValueError
            If the estimator holds no network, or its networks were loaded and have no history.
        """
        check_is_fitted(estimator)
        estimator = step_of(estimator, -1)
        name = type(estimator).__name__
        found = _histories(name, estimator)
        if not found:
            raise TypeError(
                f"{name} holds no network with a history_; pass a fitted CNNClassifier."
            )
        histories = {name: history for name, history in found.items() if history}
        if not histories:
            said = f"the networks of {name} have an empty history_: their weights were loaded, not"
            raise ValueError(f"{said} trained here. Pass an estimator that was trained by fit.")
        return cls(histories).plot(ax=ax)

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame with the columns network, epoch, train_loss and valid_loss
            One row per network and epoch; NaN where nothing was held out. Networks of folds are
            named like ``harmonic, fold 1``.
        """
        histories = self.histories.items()
        rows = [{"network": name, **epoch} for name, history in histories for epoch in history]
        return pd.DataFrame(rows, columns=["network", "epoch", *_LOSSES])

    def _size(self) -> tuple[float, float, int]:
        return 8.0, 4.0, 1

    def _draw(self, axes: np.ndarray) -> None:
        [ax] = axes
        self.lines_ = []
        colours: dict[str, str] = {}
        for name, history in self.histories.items():
            expert = name.partition(_FOLD)[0]
            is_first = expert not in colours  # the others have its colour, and none in the legend
            colour = colours.setdefault(expert, COLOURS[len(colours) % len(COLOURS)])
            for loss, (style, what) in _LOSSES.items():
                points = [(epoch["epoch"], epoch[loss]) for epoch in history if loss in epoch]
                if points:
                    how = {"color": colour, "marker": "o" if len(points) == 1 else None}
                    label = expert + what if is_first else "_"
                    self.lines_ += ax.plot(*zip(*points), style, label=label, **how)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.set_ylim(bottom=0)
        ax.spines[["right", "top"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if self.lines_:
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _histories(name: str, estimator: Any) -> dict[str, list[Any]]:
    """Return the epochs of a network, or of those in it: experts and mixer, or those of folds."""
    estimator = step_of(estimator, -1)
    if hasattr(estimator, "history_"):
        return {name: [dict(epoch) for epoch in estimator.history_]}
    if hasattr(estimator, "named_experts_"):
        parts = {expert: estimator.named_experts_[expert] for expert in names_of_experts(estimator)}
        parts["mixer"] = estimator.mixer_
    else:
        models = enumerate(getattr(estimator, "models", []), start=1)
        parts = {f"{name}{_FOLD}{fold}": model for fold, model in models}
    found: dict[str, list[Any]] = {}
    for part, inner in parts.items():
        found |= _histories(part, inner)
    return found
