"""Several mixers that learn from one and the same cross-fitting of the experts."""

import time
from itertools import product

import numpy as np
from scipy.optimize import minimize
from scipy.special import entr, log_softmax, softmax
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sklearn_genremoe.mixture import BaseMixer


class EveryMixer(BaseMixer):
    """Several mixers that learn from the same predictions; the first one answers.

    Parameters
    ----------
    mixers : dict of str to BaseMixer
        The mixers by name.
    n_jobs : int, default=None
        Mixers that are fitted at a time.

    Attributes
    ----------
    fitted_ : dict of str to BaseMixer
        Fitted clones of the mixers.
    seconds_ : dict of str to float
        How long each took to fit.
    """

    needs_fit = True
    needs_clips = True

    def __init__(self, mixers, n_jobs=None):
        self.mixers = mixers
        self.n_jobs = n_jobs

    def _fit(self, probas, y, clips, sample_weight):
        # The gates, which take longest, come last and should start first.
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(_timed_fit)(mixer, probas, y, clips, sample_weight)
            for mixer in reversed(self.mixers.values())
        )
        fitted, seconds = zip(*reversed(results))
        self.fitted_ = dict(zip(self.mixers, fitted))
        self.seconds_ = dict(zip(self.mixers, seconds))

    def _weights(self, probas, clips):
        return next(iter(self.fitted_.values())).weights(probas, clips)


class FirstExperts(BaseMixer):
    """A mixer that knows the first experts only: what the mixture is without the others.

    Parameters
    ----------
    mixer : BaseMixer
        What mixes their predictions.
    n_experts : int
        How many experts it gets.
    """

    needs_fit = True

    def __init__(self, mixer, n_experts):
        self.mixer = mixer
        self.n_experts = n_experts

    def _fit(self, probas, y, clips, sample_weight):
        self.fitted_ = clone(self.mixer)
        self.fitted_.fit(probas[:, : self.n_experts], y, sample_weight=sample_weight)

    def _predict_proba(self, probas, clips):
        return self.fitted_.predict_proba(probas[:, : self.n_experts])

    def _weights(self, probas, clips):
        weights = self.fitted_.weights(probas[:, : self.n_experts])
        return np.pad(weights, ((0, 0), (0, probas.shape[1] - self.n_experts)))


class ConfidencePool(BaseMixer):
    r"""A log pool whose exponents move with how sure each expert is of the clip.

    .. math:: \mathrm{softmax}\left(\sum_m (a_m + c_m s_m(x)) \log h_m(x)\right)

    with :math:`s_m(x)` the negative entropy of the expert's answer, standardised over the training
    clips, less the mean over the experts. The strengths of the pulls :math:`(a_m - 1/M)^2` and
    :math:`c_m^2` are those of the largest evidence (Laplace's approximation), out of seven each:
    where clips don't tell whom to trust, the second is strong and this is a plain log pool.

    Attributes
    ----------
    exponents_, moves_ : ndarray of shape (n_experts,)
        The :math:`a_m` and :math:`c_m`.
    pulls_ : tuple of float
        The two strengths.
    """

    needs_fit = True

    def _fit(self, probas, y, clips, sample_weight):
        sure = -entr(probas).sum(axis=2)
        self.mean_, self.deviation_ = sure.mean(axis=0), sure.std(axis=0) + 1e-9
        features = self._features(probas)
        n_experts = probas.shape[1]
        centre = np.repeat([1 / n_experts, 0], n_experts)
        best = -np.inf
        for pulls in product(10.0 ** np.arange(-1, 6), repeat=2):
            pull = np.repeat(pulls, n_experts)
            found = minimize(
                _pool_loss,
                centre,
                (features, y, sample_weight, pull, centre),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, None)] * n_experts + [(None, None)] * n_experts,
            )
            proba = softmax(np.einsum("f,nfk->nk", found.x, features), axis=1)
            centred = features - np.einsum("nk,nfk->nf", proba, features)[:, :, np.newaxis]
            hessian = np.einsum("n,nk,nfk,ngk->fg", sample_weight, proba, centred, centred)
            scaled = np.eye(len(pull)) + hessian / np.sqrt(np.outer(pull, pull))
            evidence = -found.fun - np.linalg.slogdet(scaled)[1] / 2
            if evidence > best:
                best, self.pulls_ = evidence, pulls
                self.exponents_, self.moves_ = found.x[:n_experts], found.x[n_experts:]

    def _features(self, probas):
        logs = np.log(np.maximum(probas, 1e-6))
        logs -= logs.mean(axis=2, keepdims=True)
        sure = (-entr(probas).sum(axis=2) - self.mean_) / self.deviation_
        sure -= sure.mean(axis=1, keepdims=True)
        return np.concatenate([logs, sure[:, :, np.newaxis] * logs], axis=1)

    def _predict_proba(self, probas, clips):
        both = np.concatenate([self.exponents_, self.moves_])
        return softmax(np.einsum("f,nfk->nk", both, self._features(probas)), axis=1)

    def _weights(self, probas, clips):
        n_experts = probas.shape[1]
        return np.full((len(probas), n_experts), 1 / n_experts)


def _pool_loss(both, features, y, weight, pull, centre):
    """Return the penalised negative log-likelihood of exponents and moves, and its slope."""
    log_proba = log_softmax(np.einsum("f,nfk->nk", both, features), axis=1)
    slope = weight[:, np.newaxis] * (np.exp(log_proba) - np.eye(log_proba.shape[1])[y])
    excess = both - centre
    loss = pull @ excess**2 / 2 - weight @ log_proba[np.arange(len(y)), y]
    return loss, np.einsum("nk,nfk->f", slope, features) + pull * excess


def _timed_fit(mixer, probas, y, clips, sample_weight):
    start = time.perf_counter()
    fitted = clone(mixer).fit(probas, y, clips, sample_weight=sample_weight)
    return fitted, time.perf_counter() - start
