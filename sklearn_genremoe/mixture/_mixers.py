"""Mixers that look only at opinions: the mean, the geometric mean, and stacking."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from ._base import BaseMixer

# Below this, a probability counts as this in a logarithm: one expert that excludes the right
# genre must not be able to silence all the others.
_FLOOR = 1e-6
# Range in which temperatures are sought.
_LOG_TEMPERATURE_RANGE = (np.log(0.05), np.log(20.0))


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
        Whether to fit a temperature :math:`T_m` per expert, the one under which
        :math:`\mathrm{softmax}(\log h_m / T_m)` gives the true genres the largest likelihood.
        Without, all are 1.

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
        y(x) = \mathrm{softmax}\left(b + \sum_{m=1}^{M} A_m\, \ell_m(x)\right),
        \qquad \ell_{mk} = \log h_{mk} - \frac{1}{K} \sum_j \log h_{mj}

    It learns which expert to believe about which genre and which confusions to undo, but not
    from the clip itself. Fitted in its default setting, `A` is pulled towards zero; with
    :math:`A_m = I/M` and :math:`b = 0` it would be :class:`LogPoolMixer`.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty on the coefficients, above zero.
    max_iter : int, default=1000
        Most iterations of the solver.

    Attributes
    ----------
    regression_ : LogisticRegression
        The fitted regression from the M x K centred log-probabilities.

    See Also
    --------
    LogPoolMixer : The same with fixed weights.
    sklearn.ensemble.StackingClassifier : The same idea for tables.

    Notes
    -----
    A stacked opinion isn't a weighted mean, so weights need a definition: the weight of an
    expert on a clip is its share in the logits there,
    :math:`g_m = c_m / \sum_j c_j` with :math:`c_m = \lVert A_m \ell_m \rVert_1` after centring
    over the genres (a constant added to all logits changes nothing).

    References
    ----------
    .. [1] Wolpert, D. H., "Stacked generalization", Neural Networks 5(2), 1992.

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

    def __init__(self, C: float = 1.0, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit(self, opinions: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        missing = np.setdiff1d(np.arange(opinions.shape[2]), y)
        if len(missing):
            raise ValueError(
                f"StackingMixer got no opinion on any clip of the genres with the numbers "
                f"{missing.tolist()}; give it clips of every genre (a cv that holds out clips "
                "of every genre while others of that genre stay)."
            )
        opinions, y, sample_weight = merge_opinions(opinions, y, sample_weight)
        self.regression_ = LogisticRegression(C=self.C, max_iter=self.max_iter, tol=1e-6)
        self.regression_.fit(self._features(opinions), y, sample_weight=sample_weight)

    @staticmethod
    def _features(opinions: NDArray) -> NDArray:
        logs = log_opinions(opinions)
        return (logs - logs.mean(axis=2, keepdims=True)).reshape(len(logs), -1)

    def _weights(self, opinions: NDArray, clips: Any) -> NDArray:
        n_clips, n_experts, n_classes = opinions.shape
        coefficients = self.regression_.coef_
        if n_classes == 2:  # scikit-learn stores the logit of the second class alone
            coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        shares = coefficients.reshape(n_classes, n_experts, n_classes)
        features = self._features(opinions).reshape(n_clips, n_experts, n_classes)
        logits = np.einsum("kmj,nmj->nmk", shares, features)
        logits -= logits.mean(axis=2, keepdims=True)
        size = np.abs(logits).sum(axis=2)
        total = size.sum(axis=1, keepdims=True)
        # Where no expert says anything (all opinions flat), all count alike.
        return np.where(total > 0, size / np.where(total > 0, total, 1), 1 / n_experts)

    def _predict_proba(self, opinions: NDArray, clips: Any) -> NDArray:
        return self.regression_.predict_proba(self._features(opinions))


def log_opinions(opinions: NDArray) -> NDArray:
    """Return the logarithm of opinions, bounded below."""
    return np.log(np.maximum(opinions, _FLOOR))


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
    """Return for each expert the temperature of the largest likelihood, in 0.05..20."""
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
