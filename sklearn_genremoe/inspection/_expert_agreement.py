"""How often two experts say the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._compat import import_pandas
from ._plotting import (
    check_names,
    fit_figure,
    mixture_and_clips,
    names_of_experts,
    new_axes,
    rows_with_answer,
    text_colour,
)


class ExpertAgreementDisplay:
    """Share of the clips for which two experts name the same genre.

    Experts that agree everywhere leave a mixer nothing to decide; a mixture gains where good
    experts differ. Make a display with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    agreement : ndarray of shape (n_experts, n_experts)
        Shares in [0, 1]; symmetric, with ones on the diagonal.
    expert_names : sequence of str of length n_experts
        Names of the experts.

    Attributes
    ----------
    image_ : matplotlib.image.AxesImage
        The shares as colours. Set by :meth:`plot`.
    ax_ : matplotlib.axes.Axes
        The axes with the image. Set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        The figure of the axes. Set by :meth:`plot`.

    See Also
    --------
    MixtureWeightsDisplay : Whom a mixture trusts.

    Examples
    --------
    >>> from sklearn_genremoe.inspection import ExpertAgreementDisplay
    >>> expert_proba = [[[0.9, 0.1], [0.6, 0.4]], [[0.2, 0.8], [0.7, 0.3]]]  # 2 clips, 2 experts
    >>> display = ExpertAgreementDisplay.from_predictions(expert_proba, expert_names=["a", "b"])
    >>> display.frame()
    expert    a    b
    expert
    a       1.0  0.5
    b       0.5  1.0
    """

    def __init__(self, agreement: ArrayLike, *, expert_names: Sequence[str]) -> None:
        self.agreement = agreement
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None
    ) -> "ExpertAgreementDisplay":
        """Plot the agreement of the experts of a fitted mixture.

        Parameters
        ----------
        estimator : MixtureOfExpertsClassifier or Pipeline
            A fitted mixture, or a pipeline that ends with one.
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that the estimator takes; best clips that it wasn't
            fitted on. Those that the mixture can't use are left out.
        y : array-like of shape (n_clips,), default=None
            Not used: experts agree or not, whatever is right. Here so that all displays of a
            mixture are called alike.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : ExpertAgreementDisplay
            The display, plotted.

        Raises
        ------
        TypeError
            If the estimator is no mixture.
        ValueError
            If no clip can be used.
        """
        check_is_fitted(estimator)
        mixture, X = mixture_and_clips(estimator, X, "expert_predict_proba")
        expert_proba = mixture.expert_predict_proba(X)
        good = rows_with_answer(expert_proba)
        return cls.from_predictions(
            expert_proba[good], expert_names=names_of_experts(mixture), ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        expert_proba: ArrayLike,
        *,
        expert_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> "ExpertAgreementDisplay":
        """Plot the agreement of given predictions.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            Probabilities as ``expert_predict_proba`` gives them.
        expert_names : sequence of str of length n_experts, default=None
            Names of the experts. None numbers them.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : ExpertAgreementDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `expert_proba` doesn't have three dimensions, or the number of names is wrong.
        """
        checked: np.ndarray = check_array(expert_proba, allow_nd=True, input_name="expert_proba")
        if checked.ndim != 3:
            raise ValueError(
                f"expert_proba has the shape {checked.shape}; expected (n_clips, n_experts, "
                "n_classes) as expert_predict_proba returns."
            )
        answers = checked.argmax(axis=2)
        agreement = (answers[:, :, np.newaxis] == answers[:, np.newaxis]).mean(axis=0)
        names = check_names(expert_names, checked.shape[1])
        return cls(agreement, expert_names=names).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "ExpertAgreementDisplay":
        """Plot the shares as a matrix.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure. In a figure of yours,
            ``layout="constrained"`` makes room for names and legend.

        Returns
        -------
        display : ExpertAgreementDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        shares = np.asarray(self.agreement, dtype=np.float64)
        n_experts = len(shares)
        own_figure = ax is None
        if own_figure:
            side = 2.2 + 0.7 * n_experts
            [ax] = new_axes("ExpertAgreementDisplay", (side, side))
        self.image_ = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(shares.shape):
            share = shares[row, column]
            ax.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                color=text_colour(self.image_.cmap(share)),
            )
        ax.set_xticks(range(n_experts), self.expert_names, rotation=30, ha="right")
        ax.set_yticks(range(n_experts), self.expert_names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title("clips for which two experts\nname the same genre, in %", fontsize="medium")
        self.ax_ = ax
        self.figure_ = ax.figure
        if own_figure:
            fit_figure(self.figure_)
        return self

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_experts, n_experts)
            The shares in [0, 1].

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_pandas("ExpertAgreementDisplay.frame")
        names = pandas.Index(list(self.expert_names), name="expert")
        return pandas.DataFrame(np.asarray(self.agreement), index=names, columns=names)
