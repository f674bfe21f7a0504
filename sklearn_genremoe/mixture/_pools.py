"""Averages of the experts: the arithmetic and the geometric mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ._base import BaseMixer, centred_logs, log_probabilities, merge_equal
from ._stacking import Prior, fit_stack

# Temperatures are sought from one over this to this, in so many iterations.
_HOTTEST = 20.0
_MAX_ITER = 1000


class BalancedMixer(BaseMixer):
    r"""Plain average of the experts (the paper's MoEB).

    .. math:: y_k(x) = \frac{1}{M} \sum_{m=1}^{M} h_{mk}(x)

    Parameters
    ----------
    fit_temperatures : bool, default=False
        Whether to calibrate each expert first: :math:`h_m` becomes
        :math:`\mathrm{softmax}(\log h_m / T_m)` with the temperature :math:`T_m` under which
        expert m gives the true genres the largest likelihood.

    Attributes
    ----------
    temperatures_ : ndarray of shape (n_experts,)
        The fitted temperatures, ones without `fit_temperatures`. A mixture doesn't fit a mixer
        that has nothing to learn, which then has none.

    See Also
    --------
    LogPoolMixer : The geometric mean instead.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe import BalancedMixer
    >>> BalancedMixer().predict_proba(np.array([[[0.9, 0.1], [0.3, 0.7]]]))
    array([[0.6, 0.4]])
    """

    _parameter_constraints = {"fit_temperatures": ["boolean"]}

    def __init__(self, fit_temperatures: bool = False) -> None:
        self.fit_temperatures = fit_temperatures

    @property
    def needs_fit(self) -> bool:  # type: ignore[override]
        """Whether there are temperatures to learn."""
        return self.fit_temperatures

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        self.temperatures_ = np.ones(expert_proba.shape[1])
        if self.fit_temperatures:
            merged = merge_equal(expert_proba, y, sample_weight)
            self.temperatures_ = self._best_temperatures(*merged)

    def _best_temperatures(self, expert_proba: NDArray, y: NDArray, weight: NDArray) -> NDArray:
        experts = range(expert_proba.shape[1])
        return np.concatenate([pool_temperatures(expert_proba[:, [m]], y, weight) for m in experts])

    def _scaled_logs(self, expert_proba: NDArray) -> NDArray:
        logs = log_probabilities(expert_proba)
        return logs / self.temperatures_[:, None] if self.fit_temperatures else logs

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        n_clips, n_experts, _ = expert_proba.shape
        return np.full((n_clips, n_experts), 1 / n_experts)

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        if self.fit_temperatures:
            expert_proba = softmax(self._scaled_logs(expert_proba), axis=2)
        return expert_proba.mean(axis=1)


class LogPoolMixer(BalancedMixer):
    r"""Geometric mean of the experts, normalised (logarithmic opinion pool).

    .. math:: y_k(x) \propto \prod_{m=1}^{M} h_{mk}(x)^{1/(M T_m)}

    An expert that all but excludes a genre carries more than in the plain average, which makes
    this pool the better one when the experts see different sides of a clip. Probabilities
    below 1e-6 count as 1e-6.

    Parameters
    ----------
    fit_temperatures : bool, default=False
        Whether to fit a temperature :math:`T_m` per expert, those under which the pool gives
        the true genres the largest likelihood. Without, all are 1.

    Attributes
    ----------
    temperatures_ : ndarray of shape (n_experts,)
        The temperatures, as those of a :class:`BalancedMixer`.

    See Also
    --------
    BalancedMixer : The arithmetic mean instead.
    StackingMixer : Learns a weight for every pair of genres.

    Notes
    -----
    The weights of the experts are their exponents, made to sum to one.

    References
    ----------
    .. [1] Hinton, G. E., "Training products of experts by minimizing contrastive divergence",
       Neural Computation 14(8), 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe import LogPoolMixer
    >>> LogPoolMixer().predict_proba(np.array([[[0.9, 0.1], [0.5, 0.5]]]))
    array([[0.75, 0.25]])
    """

    def _best_temperatures(self, expert_proba: NDArray, y: NDArray, weight: NDArray) -> NDArray:
        return pool_temperatures(expert_proba, y, weight)

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        weights = super()._weights(expert_proba, clips)
        if self.fit_temperatures:
            weights = weights / self.temperatures_
            weights /= weights.sum(axis=1, keepdims=True)
        return weights

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        return softmax(self._scaled_logs(expert_proba).mean(axis=1), axis=1)


def pool_temperatures(expert_proba: NDArray, y: NDArray, sample_weight: NDArray) -> NDArray:
    """Return the temperatures of the largest likelihood of the log pool, in 0.05..20.

    In the exponents 1/(M T) of the experts the problem is convex. A pool of one expert is that
    expert, calibrated.
    """
    logs = centred_logs(expert_proba)
    equal = np.full(logs.shape[1], 1 / logs.shape[1])
    bounds = equal[0] / _HOTTEST, equal[0] * _HOTTEST
    exponents, _, _ = fit_stack(
        logs, y, sample_weight, Prior(equal, 0.0), 0, equal, _MAX_ITER, bounds
    )
    return equal / exponents
