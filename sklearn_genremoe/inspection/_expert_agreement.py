"""How often two experts say the same."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import ConfusionMatrixDisplay

from ._plotting import BaseDisplay, ask_mixture, check_expert_proba, check_names


@dataclass(eq=False, repr=False)
class ExpertAgreementDisplay(BaseDisplay):
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
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes with the image, and their figure. Set by :meth:`plot`.

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

    agreement: ArrayLike
    _: KW_ONLY
    expert_names: Sequence[str]

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None) -> Self:
        """Plot the agreement of the experts of a fitted mixture.

        Parameters
        ----------
        estimator : MixtureOfExpertsClassifier or Pipeline
            A fitted mixture, or a pipeline that ends with one.
        X : sequence of str or Path, array-like or DomainBatch
            Clips, best such that it wasn't fitted on. What it can't use is left out.
        y : array-like of shape (n_clips,), default=None
            Not used; here so that all displays of a mixture are called alike.
        ax : matplotlib.axes.Axes, default=None
            Where to plot, as in :meth:`plot`.

        Returns
        -------
        display : ExpertAgreementDisplay
            The display, plotted.

        Raises
        ------
        TypeError, ValueError
            If the estimator is no mixture, or no clip can be used.
        """
        expert_proba, rows, names = ask_mixture(estimator, X, "expert_predict_proba")
        return cls.from_predictions(expert_proba[rows], expert_names=names, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        expert_proba: ArrayLike,
        *,
        expert_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot the agreement of given predictions.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            Probabilities as ``expert_predict_proba`` gives them.
        expert_names : sequence of str of length n_experts, default=None
            Names of the experts. None numbers them.
        ax : matplotlib.axes.Axes, default=None
            Where to plot, as in :meth:`plot`.

        Returns
        -------
        display : ExpertAgreementDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the shapes are wrong.
        """
        answers = check_expert_proba(expert_proba).argmax(axis=2)
        agreement = (answers[:, :, np.newaxis] == answers[:, np.newaxis]).mean(axis=0)
        names = check_names(expert_names, answers.shape[1])
        return cls(agreement, expert_names=names).plot(ax=ax)

    def frame(self) -> Any:
        """Return the plotted numbers.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_experts, n_experts)
            The shares in [0, 1].
        """
        names = pd.Index(list(self.expert_names), name="expert")
        return pd.DataFrame(np.asarray(self.agreement), names, names)

    def _size(self) -> tuple[float, float, int]:
        side = 2.2 + 0.7 * len(self.expert_names)
        return side, side, 1

    def _draw(self, axes: np.ndarray) -> None:
        shares = np.asarray(self.agreement)
        matrix = ConfusionMatrixDisplay(shares, display_labels=self.expert_names)
        colours: dict[str, Any] = {"vmin": 0, "vmax": 1, "aspect": "auto"}
        how: dict[str, Any] = {"cmap": "Blues", "colorbar": False, "im_kw": colours}
        matrix.plot(ax=axes[0], values_format=".0%", xticks_rotation=30, **how)
        axes[0].set(xlabel="", ylabel="")
        axes[0].set_title("clips for which two experts\nname the same genre", fontsize="medium")
        self.image_ = matrix.im_
