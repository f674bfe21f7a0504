"""How the losses fell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._compat import import_pandas
from ._plotting import COLOURS, BaseDisplay, names_of_experts

_LOSSES = {"train_loss": "-", "valid_loss": ":"}


@dataclass(eq=False, repr=False)
class LearningHistoryDisplay(BaseDisplay):
    """Loss of networks on their training and validation clips, epoch by epoch.

    Make one with :meth:`from_estimator`. Curves are full for training clips and dotted for
    validation clips; the networks of the folds of one expert share a colour.

    Parameters
    ----------
    histories : dict of str to list of dict
        By name of a network, one entry per epoch with ``"epoch"``, ``"train_loss"`` and, where
        clips were held out, ``"valid_loss"``: what ``history_`` holds. An expert that is several
        networks, one of each fold, has all their entries, with the number of the network as
        ``"fold"``.

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
        estimator = _last_step(estimator)
        parts = {type(estimator).__name__: estimator}
        if hasattr(estimator, "named_experts_"):
            parts = {name: estimator.named_experts_[name] for name in names_of_experts(estimator)}
            parts["mixer"] = estimator.mixer_
        found = {name: _history(part) for name, part in parts.items()}
        histories = {name: history for name, history in found.items() if history}
        if histories:
            return cls(histories).plot(ax=ax)
        if all(history is None for history in found.values()):
            raise TypeError(
                f"{type(estimator).__name__} holds no network with a history_; pass a fitted "
                "CNNClassifier, or a mixture with one among its experts."
            )
        raise ValueError(
            f"the networks of {type(estimator).__name__} have an empty history_: their weights "
            "were loaded, not trained here. Pass an estimator that was trained by fit."
        )

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame with the columns network, epoch, train_loss and valid_loss
            One row per network and epoch; NaN where nothing was held out. Networks of folds are
            named like ``harmonic, fold 1``.
        """
        rows = [
            {"network": f"{name}, fold {epoch['fold']}" if "fold" in epoch else name, **epoch}
            for name, history in self.histories.items()
            for epoch in history
        ]
        columns = ["network", "epoch", *_LOSSES]
        return import_pandas("LearningHistoryDisplay.frame").DataFrame(rows, columns=columns)

    def _size(self) -> tuple[float, float, int]:
        return 8.0, 4.0, 1

    def _draw(self, axes: np.ndarray) -> None:
        [ax] = axes
        self.lines_ = []
        for index, (name, history) in enumerate(self.histories.items()):
            labels = {"train_loss": name, "valid_loss": f"{name}, held out"}
            folds = dict.fromkeys(epoch.get("fold") for epoch in history)
            for fold, (loss, style) in product(folds, _LOSSES.items()):
                epochs = [e for e in history if loss in e and e.get("fold") == fold]
                if epochs:
                    self.lines_ += ax.plot(
                        [epoch["epoch"] for epoch in epochs],
                        [epoch[loss] for epoch in epochs],
                        style,
                        color=COLOURS[index % len(COLOURS)],
                        # One entry in the legend for all folds; "_" leaves the others out.
                        label=labels.pop(loss, "_"),
                        marker="o" if len(epochs) == 1 else None,
                    )
        ax.set(xlabel="epoch", ylabel="loss")
        ax.set_ylim(bottom=0)
        ax.spines[["right", "top"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if self.lines_:
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _last_step(estimator: Any) -> Any:
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def _history(part: Any) -> list[dict[str, Any]] | None:
    """Return the epochs of a network, or of those of all folds; None of what is no network."""
    part = _last_step(part)
    if hasattr(part, "history_"):
        return [dict(epoch) for epoch in part.history_]
    of_folds = [_history(model) for model in getattr(part, "models", [])]
    if not of_folds or None in of_folds:
        return None
    numbered = enumerate(of_folds, start=1)
    return [{**epoch, "fold": fold} for fold, history in numbered for epoch in history or []]
