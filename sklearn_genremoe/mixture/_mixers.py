"""Mixers that look only at opinions: the mean, the geometric mean, and stacking."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from ._base import BaseMixer

# Below this, a probability counts as this in a logarithm: one expert that excludes the right
# genre must not be able to silence all the others.
_FLOOR = 1e-6
# Range in which temperatures are sought.
_LOG_TEMPERATURE_RANGE = np.log([0.05, 20.0])


class BalancedMixer(BaseMixer):
    r"""Plain average of the experts (the paper's MoEB).

    .. math:: y_k(x) = \frac{1}{M} \sum_{m=1}^{M} h_{mk}(x)

    Parameters
    ----------
    fit_temperatures : bool, default=False
        Whether to calibrate each expert first: :math:`h_m` becomes
        :math:`\mathrm{softmax}(\log h_m / T_m)` with the temperature :math:`T_m` under which
        expert m gives the true genres the largest likelihood. CNNs that fit their training
        clips perfectly are far too sure of themselves; only opinions on clips that they
        weren't trained on can tell.

    Attributes
    ----------
    temperatures_ : ndarray of shape (n_experts,)
        The fitted temperatures, ones without `fit_temperatures`.

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

    def __init__(self, fit_temperatures: bool = False) -> None:
        self.fit_temperatures = fit_temperatures

    @property
    def needs_fit(self) -> bool:  # type: ignore[override]
        """Whether there are temperatures to learn."""
        return self.fit_temperatures

    def _fit(self, opinions: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        self.temperatures_ = np.ones(opinions.shape[1])
        if self.fit_temperatures:
            self.temperatures_ = fit_temperatures(opinions, y, sample_weight)

    def _tempered(self, opinions: NDArray) -> NDArray:
        """Return the log-probabilities of the calibrated experts."""
        logs = log_opinions(opinions)
        if self.fit_temperatures:
            logs = log_softmax(logs / self.temperatures_[:, None], axis=2)
        return logs

    def _weights(self, opinions: NDArray, clips: Any) -> NDArray:
        n_clips, n_experts, _ = opinions.shape
        return np.full((n_clips, n_experts), 1 / n_experts)

    def _predict_proba(self, opinions: NDArray, clips: Any) -> NDArray:
        return (np.exp(self._tempered(opinions)) if self.fit_temperatures else opinions).mean(
            axis=1
        )


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
        The temperatures.

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

    def _fit(self, opinions: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        self.temperatures_ = np.ones(opinions.shape[1])
        if self.fit_temperatures:
            self.temperatures_ = fit_pool_temperatures(opinions, y, sample_weight)

    def _weights(self, opinions: NDArray, clips: Any) -> NDArray:
        weights = super()._weights(opinions, clips)
        if self.fit_temperatures:
            weights = weights / self.temperatures_
            weights /= weights.sum(axis=1, keepdims=True)
        return weights

    def _predict_proba(self, opinions: NDArray, clips: Any) -> NDArray:
        logs = log_opinions(opinions)
        if self.fit_temperatures:
            logs = logs / self.temperatures_[:, None]
        return softmax(logs.mean(axis=1), axis=1)


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
    A stacked opinion isn't a weighted mean, so weights need a definition: the weight of an
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

    def __init__(self, C: float = 0.01, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit(self, opinions: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        if not self.C > 0:
            raise ValueError(f"C={self.C!r} is not accepted; expected a number above zero.")
        opinions, y, sample_weight = merge_opinions(opinions, y, sample_weight)
        logs = centred_logs(opinions)
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
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
        table = found[n_experts:].reshape(-1, n_classes)
        by_expert = table[:-1].reshape(n_experts, n_classes, n_classes).transpose(0, 2, 1)
        self.coef_ = found[:n_experts, None, None] * np.eye(n_classes) + by_expert
        self.intercept_ = table[-1]

    def _logits(self, opinions: NDArray) -> NDArray:
        """Return what each expert adds to the logits, (n_clips, n_experts, n_classes)."""
        # One product per expert and pair of genres, so that clips don't share a matrix product
        # whose rounding depends on their number.
        return (self.coef_ * centred_logs(opinions)[:, :, np.newaxis, :]).sum(axis=3)

    def _weights(self, opinions: NDArray, clips: Any) -> NDArray:
        logits = self._logits(opinions)
        logits -= logits.mean(axis=2, keepdims=True)
        size = np.abs(logits).sum(axis=2)
        total = size.sum(axis=1, keepdims=True)
        # Where no expert says anything (all opinions flat), all count alike.
        return np.where(total > 0, size / np.where(total > 0, total, 1), 1 / size.shape[1])

    def _predict_proba(self, opinions: NDArray, clips: Any) -> NDArray:
        return softmax(self._logits(opinions).sum(axis=1) + self.intercept_, axis=1)


def log_opinions(opinions: NDArray) -> NDArray:
    """Return the logarithm of opinions, bounded below."""
    return np.log(np.maximum(opinions, _FLOOR))


def centred_logs(opinions: NDArray) -> NDArray:
    """Return the logarithm of opinions with mean zero over the genres of each expert."""
    logs = log_opinions(opinions)
    return logs - logs.mean(axis=2, keepdims=True)


def merge_opinions(
    opinions: NDArray, y: NDArray, sample_weight: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Merge clips with equal opinions and genre, add up their weights, and order the rest.

    What is learnt then depends on which clips there are, not on their order, and a clip that
    comes twice counts exactly as a clip of weight 2.
    """
    keys = np.column_stack([y, opinions.reshape(len(y), -1)])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(group.ravel(), weights=sample_weight)
    return opinions[first], y[first], weight


def fit_temperatures(opinions: NDArray, y: NDArray, sample_weight: NDArray) -> NDArray:
    """Return for each expert its own temperature of the largest likelihood, in 0.05..20."""
    opinions, y, sample_weight = merge_opinions(opinions, y, sample_weight)
    logs = log_opinions(opinions)
    rows = np.arange(len(y))

    def loss(log_temperature: float, expert: int) -> float:
        tempered = log_softmax(logs[:, expert] / np.exp(log_temperature), axis=1)
        return -float(sample_weight @ tempered[rows, y])

    found = [
        minimize_scalar(
            loss,
            bounds=_LOG_TEMPERATURE_RANGE,
            args=(expert,),
            method="bounded",
            options={"xatol": 1e-8},
        ).x
        for expert in range(opinions.shape[1])
    ]
    return np.exp(found)


def fit_pool_temperatures(opinions: NDArray, y: NDArray, sample_weight: NDArray) -> NDArray:
    """Return the temperatures of the largest likelihood of the log pool, in 0.05..20.

    In the exponents 1/(M T) of the experts the problem is convex.
    """
    opinions, y, sample_weight = merge_opinions(opinions, y, sample_weight)
    logs = centred_logs(opinions)
    true = np.eye(logs.shape[2])[y]
    n_experts = logs.shape[1]

    def objective(exponents: NDArray) -> tuple[float, NDArray]:
        log_proba = log_softmax(np.einsum("m,nmk->nk", exponents, logs), axis=1)
        slope = sample_weight[:, np.newaxis] * (np.exp(log_proba) - true)
        loss = -sample_weight @ (true * log_proba).sum(axis=1)
        return loss, np.einsum("nk,nmk->m", slope, logs)

    low, high = 1 / (n_experts * np.exp(_LOG_TEMPERATURE_RANGE))[::-1]
    found = minimize(
        objective,
        np.full(n_experts, 1 / n_experts),
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, high)] * n_experts,
        options={"ftol": 1e-12, "gtol": 1e-8},
    )
    return 1 / (n_experts * found.x)
