"""Several mixers that learn from one and the same cross-fitting of the experts."""

import time

import numpy as np
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


def _timed_fit(mixer, probas, y, clips, sample_weight):
    start = time.perf_counter()
    fitted = clone(mixer).fit(probas, y, clips, sample_weight=sample_weight)
    return fitted, time.perf_counter() - start
