"""Mixers that see only the predictions of the experts, and what all mixers have in common."""

import reprlib
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import comb, log_softmax, softmax
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._checks import check_weight
from .._fields import Count, NonNegative, with_init

_SIMPLEX_TOLERANCE = 1e-3
# Below this, a probability counts as this in a logarithm: one expert that excludes the right
# genre must not be able to silence all the others.
_FLOOR = 1e-6
# Strengths that the evidence weighs; at the largest the experts of a pool count alike.
_LAMBDAS = 10.0 ** np.arange(5, -2.25, -0.5)
_SOLVER = {"ftol": 1e-12, "gtol": 1e-8}
# Prediction computes about so many products of an expert's and a genre's logarithm at a time.
_BLOCK = 1 << 20


class BaseMixer(BaseEstimator):
    r"""Base class of the mixers.

    A mixer sees what M experts think of a clip, and may see the clip itself. It answers
    with weights on the simplex and with one distribution over the K genres, by default the
    mixture of experts

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x).

    A mixer is a component of an estimator, as a kernel is of a Gaussian process: it has
    parameters, so it can be cloned and searched over, but it learns from predicted
    probabilities and not from `X`.

    To write one, subclass, store the constructor's parameters unchanged, and implement

    - ``_weights(expert_proba, clips) -> (n_clips, n_experts)``, rows on the simplex;
    - ``_fit(expert_proba, y, clips, sample_weight)``, if the mixer learns, and
      ``needs_fit = True``;
    - ``_predict_proba(expert_proba, clips) -> (n_clips, n_classes)``, if its answer isn't the
      weighted mean of those of the experts;

    and set ``needs_clips = True`` if it sees the clips. These methods get checked arrays:
    float64 probabilities, integer labels, and weights above zero.

    Attributes
    ----------
    needs_fit : bool
        Whether the mixer learns from predictions for clips with known genre. Experts are
        cross-fitted only for mixers that do.
    needs_clips : bool
        Whether the mixer sees the clips, as an array (n_clips, n_bins, n_frames).

    See Also
    --------
    BalancedMixer : The simplest mixer.

    Examples
    --------
    A mixer that trusts each expert as much as that expert is sure of its answer:

    >>> import numpy as np
    >>> from sklearn_genremoe.mixture import BaseMixer
    >>> class ConfidenceMixer(BaseMixer):
    ...     def __init__(self, sharpness=1.0):
    ...         self.sharpness = sharpness
    ...
    ...     def _weights(self, expert_proba, clips):
    ...         trust = expert_proba.max(axis=2) ** self.sharpness
    ...         return trust / trust.sum(axis=1, keepdims=True)
    >>> expert_proba = np.array([[[0.9, 0.1], [0.4, 0.6]]])  # 1 clip, 2 experts, 2 genres
    >>> mixer = ConfidenceMixer()
    >>> mixer.weights(expert_proba)
    array([[0.6, 0.4]])
    >>> mixer.predict_proba(expert_proba)
    array([[0.7, 0.3]])

    It goes where a mixer's name goes: ``MixtureOfExpertsClassifier(mixer=ConfidenceMixer())``.
    """

    needs_fit: bool = False
    needs_clips: bool = False
    n_experts_: int
    n_classes_: int
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def fit(
        self,
        expert_proba: ArrayLike,
        y: ArrayLike,
        clips: NDArray | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> "BaseMixer":
        """Learn from what the experts think of clips whose genre is known.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives, best on clips that it wasn't trained on.
        y : array-like of int of shape (n_clips,)
            The genre of each clip, as a column number of `expert_proba`.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips. A clip of weight 0 counts as absent, a clip of weight 2 as
            present twice.

        Returns
        -------
        self : BaseMixer
            The fitted mixer.

        Raises
        ------
        ValueError
            If the shapes don't agree, or if what the experts say aren't probabilities.
        """
        self._validate_params()
        expert_proba, clips = self._check(expert_proba, clips)
        y = np.asarray(y)
        check_consistent_length(expert_proba, y)
        last = expert_proba.shape[2] - 1
        if y.ndim != 1 or y.dtype.kind not in "iu" or not 0 <= y.min() <= y.max() <= last:
            raise ValueError(
                f"y must be a 1-D array of integers in 0..{last}, the columns of the "
                f"probabilities, got {reprlib.repr(y.tolist())}; encode the genres."
            )
        weight = check_weight(expert_proba, sample_weight)
        present = np.flatnonzero(weight)
        clips = clips if clips is None or len(present) == len(clips) else clips[present]
        self.n_experts_, self.n_classes_ = expert_proba.shape[1:]
        self._fit(expert_proba[present], y[present], clips, weight[present])
        return self

    def predict_proba(self, expert_proba: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Mix the predictions of the experts.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities; rows sum to one.
        """
        expert_proba, clips = self._check(expert_proba, clips, self.needs_fit)
        return self._predict_proba(expert_proba, clips)

    def weights(self, expert_proba: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Say how much each expert counts, clip by clip.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.

        Returns
        -------
        weights : ndarray of shape (n_clips, n_experts)
            Weights, zero or above; rows sum to one.
        """
        expert_proba, clips = self._check(expert_proba, clips, self.needs_fit)
        return self._weights(expert_proba, clips)

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        """Learn nothing."""

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        raise NotImplementedError(f"{type(self).__name__} doesn't define _weights.")

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        # A sum over an axis that isn't the last one adds in the same order for every clip,
        # so that the answer for a clip doesn't depend on the clips around it.
        return (self._weights(expert_proba, clips)[:, :, None] * expert_proba).sum(axis=1)

    def _check(
        self, expert_proba: ArrayLike, clips: NDArray | None, fitted: bool = False
    ) -> tuple[NDArray, Any]:
        """Return probabilities as float64, and the clips for a mixer that sees them."""
        proba = check_array(
            expert_proba, allow_nd=True, dtype=np.float64, input_name="expert_proba"
        )
        sums = proba.sum(axis=-1)
        if proba.ndim != 3 or proba.min() < 0 or np.abs(sums - 1).max() > _SIMPLEX_TOLERANCE:
            raise ValueError(
                "expert_proba must be probabilities of shape (n_clips, n_experts, n_classes), zero "
                f"or above, with sum one over the genres; got the shape {proba.shape}, from "
                f"{proba.min():g}, and sums from {sums.min():g} to {sums.max():g}."
            )
        if fitted:
            check_is_fitted(self, "n_experts_")
            if proba.shape[1:] != (self.n_experts_, self.n_classes_):
                raise ValueError(
                    f"The predictions come from {proba.shape[1]} experts on {proba.shape[2]} "
                    f"genres, but {type(self).__name__} was fitted with {self.n_experts_} experts "
                    f"and {self.n_classes_} genres."
                )
        if not self.needs_clips:
            return proba, None
        if clips is None or clips.ndim != 3 or len(clips) != len(proba):
            found = "none" if clips is None else f"an array of shape {clips.shape}"
            raise ValueError(
                f"{type(self).__name__} sees the clips: it needs an array of shape "
                f"({len(proba)}, n_bins, n_frames), got {found}."
            )
        return proba, clips


def centred_logs(expert_proba: NDArray) -> NDArray:
    """Return the logarithm of probabilities with mean zero over the genres of each expert."""
    logs = np.log(np.maximum(expert_proba, _FLOOR))
    return logs - logs.mean(axis=2, keepdims=True)


def merge_equal(
    expert_proba: NDArray, y: NDArray, sample_weight: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Merge clips with equal predictions and genre, add up their weights, and order the rest.

    What is learnt then depends on which clips there are, not on their order, and a clip that
    comes twice counts exactly as a clip of weight 2.
    """
    keys = np.column_stack([y, expert_proba.reshape(len(y), -1)])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(group.ravel(), weights=sample_weight)
    return expert_proba[first], y[first], weight


class BalancedMixer(BaseMixer):
    r"""Plain average of the experts (the paper's MoEB).

    .. math:: y_k(x) = \frac{1}{M} \sum_{m=1}^{M} h_{mk}(x)

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

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        n_clips, n_experts, _ = expert_proba.shape
        return np.full((n_clips, n_experts), 1 / n_experts)

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        return expert_proba.mean(axis=1)


class LogPoolMixer(BalancedMixer):
    r"""Geometric mean of the experts, normalised (logarithmic opinion pool).

    .. math:: y_k(x) \propto \prod_{m=1}^{M} h_{mk}(x)^{1/M}

    An expert that all but excludes a genre carries more than in the plain average, which makes
    this pool the better one when the experts see different sides of a clip. Probabilities
    below 1e-6 count as 1e-6.

    See Also
    --------
    BalancedMixer : The arithmetic mean instead.
    StackingMixer : Learns how much to believe each expert.

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

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        return softmax(centred_logs(expert_proba).mean(axis=1), axis=1)


@with_init
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

    C: NonNegative = 0.003
    max_iter: Count = 1000

    needs_fit = True

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        expert_proba, y, sample_weight = merge_equal(expert_proba, y, sample_weight)
        logs = centred_logs(expert_proba)
        n_experts, n_classes = logs.shape[1:]
        fits = _Fits(y, sample_weight, self.max_iter)
        prior, self.relevance_, exponents = fits.weigh_pools(logs)
        self.lambda_ = prior.strength
        table = np.zeros((n_experts * n_classes + 1, n_classes))
        if self.C:
            exponents, table = fits.fit(logs, prior, exponents, self.C)
        if not fits.converged:
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


class _Fits:
    """Stacks fitted to the same clips, and whether the solver has converged in all of them."""

    def __init__(self, y: NDArray, weight: NDArray, max_iter: int) -> None:
        self.y, self.weight, self.max_iter = y, weight, max_iter
        self.converged = True

    def fit(
        self, logs: NDArray, prior: Prior, start: NDArray, C: float = 0
    ) -> tuple[NDArray, NDArray]:
        """Return exponents, and all that depends on the genre in one table, offsets last."""
        n_clips, n_experts, n_classes = logs.shape
        features = np.column_stack([logs.reshape(n_clips, -1), np.ones(n_clips)])
        n_features = features.shape[1] if C else 0
        features = features[:, :n_features]
        true = np.eye(n_classes)[self.y]

        def objective(parameters: NDArray) -> tuple[float, NDArray]:
            exponents = parameters[:n_experts]
            table = parameters[n_experts:].reshape(n_features, n_classes)
            logits = np.einsum("m,nmk->nk", exponents, logs) + features @ table
            log_proba = log_softmax(logits, axis=1)
            excess = exponents - prior.centre
            slope = self.weight[:, np.newaxis] * (np.exp(log_proba) - true)
            of_exponents = np.einsum("nk,nmk->m", slope, logs) + prior.strength * excess
            of_table = features.T @ slope
            loss = prior.strength * (excess @ excess) / 2
            if C:
                of_table += table / C
                loss += (table**2).sum() / (2 * C)
            loss -= self.weight @ (true * log_proba).sum(axis=1)
            return loss, np.concatenate([of_exponents, of_table.ravel()])

        solution = minimize(
            objective,
            np.concatenate([start, np.zeros(n_features * n_classes)]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * n_experts + [(None, None)] * (n_features * n_classes),
            options={"maxiter": self.max_iter, **_SOLVER},
        )
        self.converged &= solution.status != 1
        table = np.zeros((n_experts * n_classes + 1, n_classes))
        table[:n_features] = solution.x[n_experts:].reshape(n_features, n_classes)
        return solution.x[:n_experts], table

    def weigh_pools(self, logs: NDArray) -> tuple[Prior, NDArray, NDArray]:
        """Return what the evidence says: a prior, relevances and exponents."""
        n_experts = logs.shape[1]

        def temper(experts: Any) -> NDArray:
            """Return the one exponent of an average of experts, (1,)."""
            average = logs[:, experts].mean(axis=1, keepdims=True)
            return self.fit(average, Prior(np.ones(1), _LAMBDAS[-1]), np.ones(1))[0]

        likelihoods = [
            self.log_likelihood(log_softmax(temper([m]) * logs[:, m], axis=1))
            for m in range(n_experts)
        ]
        best_first = np.argsort(np.negative(likelihoods), kind="stable")
        priors, fitted, evidence = [], [], []
        for n_best in range(1, n_experts + 1):
            centre = np.zeros(n_experts)
            centre[best_first[:n_best]] = temper(best_first[:n_best])[0] / n_best
            exponents = centre
            for strength in _LAMBDAS:
                priors.append(Prior(centre, strength))
                exponents, _ = self.fit(logs, priors[-1], exponents)
                fitted.append(exponents)
                # All pools of a size are as probable before, together as those of another size.
                among = np.log(comb(n_experts, n_best))
                evidence.append(self.evidence(logs, priors[-1], exponents) - among)
        share = softmax(evidence)
        centres = np.array([prior.centre for prior in priors])
        strength = float(np.exp(share @ np.log([prior.strength for prior in priors])))
        return Prior(share @ centres, strength), share @ (centres > 0), share @ fitted

    def log_likelihood(self, log_proba: NDArray) -> float:
        """Return the logarithm of the likelihood of the genres."""
        return float(self.weight @ log_proba[np.arange(len(self.y)), self.y])

    def evidence(self, logs: NDArray, prior: Prior, exponents: NDArray) -> float:
        """Return the logarithm of the marginal likelihood of the genres, by Laplace."""
        log_proba = log_softmax(np.einsum("m,nmk->nk", exponents, logs), axis=1)
        proba = np.exp(log_proba)
        centred = logs - np.einsum("nk,nmk->nm", proba, logs)[:, :, np.newaxis]
        rows = np.sqrt(self.weight[:, np.newaxis] * proba)[:, np.newaxis] * centred
        hessian = np.einsum("nmk,nlk->ml", rows, rows, optimize=True)
        excess = exponents - prior.centre
        # log det(I + H / strength): the same, without the difference of large numbers.
        _, log_det = np.linalg.slogdet(np.eye(len(exponents)) + hessian / prior.strength)
        penalty = prior.strength * (excess @ excess) / 2
        return self.log_likelihood(log_proba) - penalty - log_det / 2
