"""Stacking: logistic regression on the predictions of the experts."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from .._sklearn_compat import Interval
from ._base import BaseMixer, centred_logs, merge_equal


class StackingMixer(BaseMixer):
    r"""Multinomial logistic regression on the log-probabilities of the experts.

    .. math::
        y(x) = \mathrm{softmax}\left(b + \sum_{m=1}^{M} (a_m I + D_m)\, \ell_m(x)\right),
        \qquad \ell_{mk} = \log h_{mk} - \frac{1}{K} \sum_j \log h_{mj}

    It learns how much to believe each expert (:math:`a_m`, the same for all genres) and, from
    enough clips, about which genres and which confusions to undo (:math:`D_m`, :math:`b`), but
    not from the clip itself. The coefficients minimise

    .. math:: -\sum_x \log y_{k(x)}(x) + \frac{1}{2C} \left(\lVert b \rVert^2 +
        \sum_m \lVert D_m \rVert^2\right) + \frac{1}{2} \sum_m (a_m - 1/M)^2,

    so that few clips, or a small `C`, lead back to a log pool: a plain logistic regression,
    which is pulled towards knowing nothing, falls behind the average of the experts there.

    Parameters
    ----------
    C : float, default=0.01
        Inverse strength of the penalty on what depends on the genre, above zero.
    max_iter : int, default=1000
        Most iterations of the solver (L-BFGS).

    Attributes
    ----------
    coef_ : ndarray of shape (n_experts, n_classes, n_classes)
        The matrices :math:`a_m I + D_m`.
    intercept_ : ndarray of shape (n_classes,)
        The offsets :math:`b`.

    See Also
    --------
    LogPoolMixer : The same with fixed weights.
    sklearn.ensemble.StackingClassifier : The same idea for tables.

    Notes
    -----
    A stacked prediction isn't a weighted mean, so weights need a definition: the weight of an
    expert on a clip is its share in the logits there,
    :math:`g_m = c_m / \sum_j c_j` with :math:`c_m = \lVert (a_m I + D_m) \ell_m \rVert_1` after
    centring over the genres (a constant added to all logits changes nothing).

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe import StackingMixer
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=200)
    >>> good = np.where(y == 1, 0.2, 0.8)  # always right
    >>> idle = rng.uniform(size=200)  # guesses
    >>> first = np.stack([good, idle], axis=1)
    >>> mixer = StackingMixer().fit(np.stack([first, 1 - first], axis=2), y)
    >>> mixer.weights([[[0.2, 0.8], [0.8, 0.2]]]).round(1)
    array([[1., 0.]])
    """

    needs_fit = True
    _parameter_constraints = {
        "C": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, C: float = 0.01, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        expert_proba, y, sample_weight = merge_equal(expert_proba, y, sample_weight)
        logs = centred_logs(expert_proba)
        n_clips, n_experts, n_classes = logs.shape
        # All coefficients but the exponents in one table, the offsets in its last row.
        features = np.column_stack([logs.reshape(n_clips, -1), np.ones(n_clips)])
        true = np.eye(n_classes)[y]

        def objective(parameters: NDArray) -> tuple[float, NDArray]:
            exponents = parameters[:n_experts]
            table = parameters[n_experts:].reshape(-1, n_classes)
            log_proba = log_softmax(
                np.einsum("m,nmk->nk", exponents, logs) + features @ table, axis=1
            )
            excess = exponents - 1 / n_experts
            loss = -sample_weight @ (true * log_proba).sum(axis=1)
            penalty = (table**2).sum() / (2 * self.C) + (excess @ excess) / 2
            slope = sample_weight[:, np.newaxis] * (np.exp(log_proba) - true)
            of_exponents = np.einsum("nk,nmk->m", slope, logs) + excess
            of_table = features.T @ slope + table / self.C
            return loss + penalty, np.concatenate([of_exponents, of_table.ravel()])

        start = np.zeros(n_experts + features.shape[1] * n_classes)
        start[:n_experts] = 1 / n_experts
        options = {"maxiter": self.max_iter, "ftol": 1e-12, "gtol": 1e-8}
        solution = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        if solution.nit >= self.max_iter:
            warnings.warn(
                f"StackingMixer has not converged after max_iter={self.max_iter} iterations; "
                "increase max_iter or take a smaller C.",
                ConvergenceWarning,
                stacklevel=2,
            )
        found = solution.x
        table = found[n_experts:].reshape(-1, n_classes)
        by_expert = table[:-1].reshape(n_experts, n_classes, n_classes).transpose(0, 2, 1)
        self.coef_ = found[:n_experts, None, None] * np.eye(n_classes) + by_expert
        self.intercept_ = table[-1]

    def _logits(self, expert_proba: NDArray) -> NDArray:
        """Return what each expert adds to the logits, (n_clips, n_experts, n_classes)."""
        # One product per expert and pair of genres, so that clips don't share a matrix product
        # whose rounding depends on their number.
        return (self.coef_ * centred_logs(expert_proba)[:, :, np.newaxis, :]).sum(axis=3)

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        logits = self._logits(expert_proba)
        logits -= logits.mean(axis=2, keepdims=True)
        size = np.abs(logits).sum(axis=2)
        total = size.sum(axis=1, keepdims=True)
        # Where no expert says anything (all predictions flat), all count alike.
        return np.where(total > 0, size / np.where(total > 0, total, 1), 1 / size.shape[1])

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        return softmax(self._logits(expert_proba).sum(axis=1) + self.intercept_, axis=1)
