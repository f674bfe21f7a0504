"""Stacking: logistic regression on the predictions of the experts."""

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import comb, log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from .._compat import Interval
from ._base import BaseMixer, centred_logs, merge_equal

# Strengths that the evidence weighs; at the largest the experts of a pool count alike.
_LAMBDAS = 10.0 ** np.arange(5, -2.25, -0.5)
_SOLVER = {"ftol": 1e-12, "gtol": 1e-8}
# Prediction computes about so many products of an expert's and a genre's logarithm at a time.
_BLOCK = 1 << 20


class StackingMixer(BaseMixer):
    r"""Multinomial logistic regression on the log-probabilities of the experts.

    .. math::
        y(x) = \mathrm{softmax}\left(b + \sum_{m=1}^{M} (a_m I + D_m)\, \ell_m(x)\right),
        \qquad \ell_{mk} = \log h_{mk} - \frac{1}{K} \sum_j \log h_{mj}

    It learns how much to believe each expert (:math:`a_m \ge 0`, the same for all genres) and,
    with `C`, about which genres and which confusions to undo (:math:`D_m`, :math:`b`), but not from
    the clip itself. The coefficients minimise the convex

    .. math:: -\sum_x \log y_{k(x)}(x) + \frac{\lambda}{2} \sum_m (a_m - c_m)^2 + \frac{1}{2C}
        \left(\lVert b \rVert^2 + \sum_m \lVert D_m \rVert^2\right),

    so that few clips lead back towards a log pool with one temperature. Which experts it consists
    of, those with :math:`c_m > 0`, and how large :math:`\lambda` is, says the evidence, the
    marginal likelihood of the genres: two good experts aren't diluted by eight poor ones, and
    exponents are equal where nothing says that one expert knows more. Evidence is counted in
    clips: sample weights with a mean of 1 leave it as it is, smaller ones say that there is less.

    Parameters
    ----------
    C : float, default=0.003
        Inverse strength of the penalty on what depends on the genre. Zero leaves that out: a
        log pool with one exponent per expert.
    max_iter : int, default=1000
        Most iterations of the solver (L-BFGS-B).

    Attributes
    ----------
    coef_ : ndarray of shape (n_experts, n_classes, n_classes)
        The matrices :math:`a_m I + D_m`.
    intercept_ : ndarray of shape (n_classes,)
        The offsets :math:`b`.
    lambda_ : float
        The strength :math:`\lambda`.
    relevance_ : ndarray of shape (n_experts,)
        The probability that an expert belongs to the log pool, by the evidence.

    See Also
    --------
    LogPoolMixer : The same with fixed weights.
    sklearn.ensemble.StackingClassifier : The same idea for tables.

    Notes
    -----
    Experts are ordered by their likelihood, each with the temperature that suits it best. For the
    log pools of the k best, k from 1 to M, whose :math:`c_m` are the reciprocal of their common
    temperature over k, and for 15 values of :math:`\lambda` from 1e-2 to 1e5, the evidence (without
    :math:`D_m` and :math:`b`) in Laplace's approximation [2]_ is

    .. math:: \log p(y \mid \hat a) - \frac{\lambda}{2} \lVert \hat a - c \rVert^2 +
        \frac{M}{2} \log \lambda - \frac{1}{2} \log \det (H + \lambda I) - \log \binom{M}{k},

    where :math:`\hat a` are the exponents fitted so and H is the Hessian of the negative
    log-likelihood there. The last term is for the choice of k experts among M. The exponents are
    the mean of all :math:`\hat a`, weighed by the evidence; :math:`c` and :math:`\log \lambda` are
    means too, where `C` asks for another fit. Neither folds nor random numbers are involved.

    The penalties count log-probabilities as the experts give them: to experts that are much surer
    than they are right, as unregularised ones are, `C` leaves more freedom than to others. Then
    calibrate them (:class:`~sklearn.calibration.CalibratedClassifierCV`), or take ``C=0``.

    A stacked prediction isn't a weighted mean, so weights need a definition: the weight of an
    expert on a clip is its share in the logits there,
    :math:`g_m = c_m / \sum_j c_j` with :math:`c_m = \lVert (a_m I + D_m) \ell_m \rVert_1` after
    centring over the genres (a constant added to all logits changes nothing).

    References
    ----------
    .. [1] Wolpert, D. H., "Stacked generalization", Neural Networks 5(2), 1992.
    .. [2] MacKay, D. J. C., "The evidence framework applied to classification networks", Neural
       Computation 4(5), 1992.

    Examples
    --------
    >>> import numpy as np
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
        "C": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, C: float = 0.003, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        expert_proba, y, sample_weight = merge_equal(expert_proba, y, sample_weight)
        logs = centred_logs(expert_proba)
        n_experts, n_classes = logs.shape[1:]
        prior, self.relevance_, exponents, known = weigh_pools(
            logs, y, sample_weight, self.max_iter
        )
        self.lambda_ = prior.strength
        table, converged = np.zeros((n_experts * n_classes + 1, n_classes)), True
        if self.C:
            exponents, table, converged = fit_stack(
                logs, y, sample_weight, prior, self.C, exponents, self.max_iter
            )
        if not (known and converged):
            warnings.warn(
                f"StackingMixer has not converged after max_iter={self.max_iter} iterations; "
                f"increase max_iter{' or take a smaller C' if self.C else ''}.",
                ConvergenceWarning,
                stacklevel=2,
            )
        by_expert = table[:-1].reshape(n_experts, n_classes, n_classes).transpose(0, 2, 1)
        self.coef_ = exponents[:, None, None] * np.eye(n_classes) + by_expert
        self.intercept_ = table[-1]

    def _logits(self, expert_proba: NDArray) -> Iterator[tuple[slice, NDArray]]:
        """Yield what each expert adds to the logits, (n_rows, n_experts, n_classes), by blocks."""
        step = max(1, _BLOCK // self.coef_.size)
        for start in range(0, len(expert_proba), step):
            rows = slice(start, start + step)
            logs = centred_logs(expert_proba[rows])
            # One product per expert and pair of genres, so that clips don't share a matrix product
            # whose rounding depends on their number.
            yield rows, (self.coef_ * logs[:, :, np.newaxis, :]).sum(axis=3)

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        # Where no expert says anything (all predictions flat), all count alike.
        weights = np.full(expert_proba.shape[:2], 1 / expert_proba.shape[1])
        for rows, logits in self._logits(expert_proba):
            logits -= logits.mean(axis=2, keepdims=True)
            size = np.abs(logits).sum(axis=2)
            total = size.sum(axis=1, keepdims=True)
            np.divide(size, total, out=weights[rows], where=total > 0)
        return weights

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        proba = np.empty((len(expert_proba), expert_proba.shape[2]))
        for rows, logits in self._logits(expert_proba):
            proba[rows] = softmax(logits.sum(axis=1) + self.intercept_, axis=1)
        return proba


class Prior(NamedTuple):
    """Where exponents are drawn to, and how strongly."""

    centre: NDArray
    strength: float


def fit_stack(
    logs: NDArray,
    y: NDArray,
    weight: NDArray,
    prior: Prior,
    C: float,
    start: NDArray,
    max_iter: int,
    bounds: tuple[float, float | None] = (0, None),
) -> tuple[NDArray, NDArray, bool]:
    """Return exponents, and all that depends on the genre in one table, offsets in its last row.

    And whether the solver has converged.
    """
    n_clips, n_experts, n_classes = logs.shape
    features = np.column_stack([logs.reshape(n_clips, -1), np.ones(n_clips)])
    n_features = features.shape[1] if C else 0
    features = features[:, :n_features]
    true = np.eye(n_classes)[y]

    def objective(parameters: NDArray) -> tuple[float, NDArray]:
        exponents = parameters[:n_experts]
        table = parameters[n_experts:].reshape(n_features, n_classes)
        log_proba = log_softmax(np.einsum("m,nmk->nk", exponents, logs) + features @ table, axis=1)
        excess = exponents - prior.centre
        slope = weight[:, np.newaxis] * (np.exp(log_proba) - true)
        of_exponents = np.einsum("nk,nmk->m", slope, logs) + prior.strength * excess
        of_table = features.T @ slope + (table / C if C else 0)
        penalty = prior.strength * (excess @ excess) / 2 + ((table**2).sum() / (2 * C) if C else 0)
        return penalty - weight @ (true * log_proba).sum(axis=1), np.concatenate(
            [of_exponents, of_table.ravel()]
        )

    solution = minimize(
        objective,
        np.concatenate([start, np.zeros(n_features * n_classes)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds] * n_experts + [(None, None)] * (n_features * n_classes),
        options={"maxiter": max_iter, **_SOLVER},
    )
    found = solution.x
    table = np.zeros((n_experts * n_classes + 1, n_classes))
    table[:n_features] = found[n_experts:].reshape(n_features, n_classes)
    return found[:n_experts], table, solution.status != 1


def weigh_pools(
    logs: NDArray, y: NDArray, weight: NDArray, max_iter: int
) -> tuple[Prior, NDArray, NDArray, bool]:
    """Return what the evidence says: a prior, relevances, exponents, and whether all converged."""
    n_experts = logs.shape[1]
    converged = []

    def fit(logs: NDArray, prior: Prior, start: NDArray) -> NDArray:
        exponents, _, done = fit_stack(logs, y, weight, prior, 0, start, max_iter)
        converged.append(done)
        return exponents

    def temper(experts: Any) -> NDArray:
        """Return the one exponent of an average of experts, (1,)."""
        average = logs[:, experts].mean(axis=1, keepdims=True)
        return fit(average, Prior(np.ones(1), _LAMBDAS[-1]), np.ones(1))

    def log_likelihood(expert: int) -> float:
        log_proba = log_softmax(temper([expert]) * logs[:, expert], axis=1)
        return float(weight @ log_proba[np.arange(len(y)), y])

    best_first = np.argsort([-log_likelihood(m) for m in range(n_experts)], kind="stable")
    priors, fitted, evidence = [], [], []
    for n_best in range(1, n_experts + 1):
        centre = np.zeros(n_experts)
        centre[best_first[:n_best]] = temper(best_first[:n_best])[0] / n_best
        exponents = centre
        for strength in _LAMBDAS:
            prior = Prior(centre, strength)
            exponents = fit(logs, prior, exponents)
            priors.append(prior)
            fitted.append(exponents)
            # All pools of a size are as probable before, together as those of another size.
            among = np.log(comb(n_experts, n_best))
            evidence.append(_evidence(logs, y, weight, prior, exponents) - among)
    share = softmax(evidence)
    prior = Prior(
        share @ [prior.centre for prior in priors],
        float(np.exp(share @ np.log([prior.strength for prior in priors]))),
    )
    relevance = share @ [prior.centre > 0 for prior in priors]
    return prior, relevance, share @ fitted, all(converged)


def _evidence(
    logs: NDArray, y: NDArray, weight: NDArray, prior: Prior, exponents: NDArray
) -> float:
    """Return the logarithm of the marginal likelihood of the genres, by Laplace."""
    log_proba = log_softmax(np.einsum("m,nmk->nk", exponents, logs), axis=1)
    proba = np.exp(log_proba)
    centred = logs - np.einsum("nk,nmk->nm", proba, logs)[:, :, np.newaxis]
    rows = np.sqrt(weight[:, np.newaxis] * proba)[:, np.newaxis] * centred
    hessian = np.einsum("nmk,nlk->ml", rows, rows, optimize=True)
    excess = exponents - prior.centre
    # log det(I + H / strength): the same, without the difference of large numbers.
    _, log_det = np.linalg.slogdet(np.eye(len(exponents)) + hessian / prior.strength)
    likelihood = weight @ log_proba[np.arange(len(y)), y]
    return likelihood - prior.strength * (excess @ excess) / 2 - log_det / 2
