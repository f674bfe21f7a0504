"""Several mixers that learn from one and the same cross-fitting of the experts."""

import time

from sklearn.base import clone

from sklearn_genremoe.mixture import BaseMixer


class EveryMixer(BaseMixer):
    """Several mixers that learn from the same opinions; the first one answers.

    Parameters
    ----------
    mixers : dict of str to BaseMixer
        The mixers by name.

    Attributes
    ----------
    fitted_ : dict of str to BaseMixer
        Fitted clones of the mixers.
    seconds_ : dict of str to float
        How long each took to fit.
    """

    needs_fit = True
    needs_clips = True

    def __init__(self, mixers):
        self.mixers = mixers

    def _fit(self, opinions, y, clips, sample_weight):
        self.fitted_ = {}
        self.seconds_ = {}
        for name, mixer in self.mixers.items():
            start = time.perf_counter()
            self.fitted_[name] = clone(mixer).fit(opinions, y, clips, sample_weight=sample_weight)
            self.seconds_[name] = time.perf_counter() - start

    def _weights(self, opinions, clips):
        return next(iter(self.fitted_.values())).weights(opinions, clips)
