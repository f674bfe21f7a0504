"""What all feature domains have in common."""

from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .._sklearn_compat import Interval, StrOptions
from ..audio._clips import check_clips
from ._analysis import ClipAnalysis, power_to_db, zscore
from ._batch import DomainBatch
from ._extraction import extract

#: Parameters that say how to compute, not what.
_HOW = frozenset({"on_error", "n_jobs", "verbose"})


class BaseDomain(TransformerMixin, BaseEstimator):
    """A view of a clip as a spectrogram; the base class of all feature domains.

    A new domain spells out its parameters in ``__init__``, as scikit-learn demands, and
    implements :meth:`features`. All the rest (reading files, validation, parallel work,
    caching, sharing intermediate results with other domains) is done here and in
    :class:`~sklearn_genremoe.DomainUnion`.
    """

    _parameter_constraints: dict = {
        "sample_rate": [Interval(Integral, 1, None, closed="left")],
        "duration": [Interval(Real, 0, None, closed="neither")],
        "offset": [Interval(Real, 0, None, closed="left")],
        "n_fft": [Interval(Integral, 2, None, closed="left")],
        "hop_length": [Interval(Integral, 1, None, closed="left")],
        "n_mels": [Interval(Integral, 1, None, closed="left")],
        "fmin": [Interval(Real, 0, None, closed="left")],
        "fmax": [Interval(Real, 0, None, closed="neither"), None],
        "top_db": [Interval(Real, 0, None, closed="neither"), None],
        "normalize": [StrOptions({"clip", "bin"}), None],
        "on_error": [StrOptions({"raise", "warn"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def features(self, analysis: ClipAnalysis) -> np.ndarray:
        """Compute the domain of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_bins, n_frames)
            The features before normalisation.
        """

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            Paths, waveforms, or domains extracted before.
        y : None
            Ignored.

        Returns
        -------
        self : BaseDomain
            The domain.
        """
        self._validate_params()
        if isinstance(X, DomainBatch):
            X.find(self)
        else:
            self._check(X, reset=True)
        return self

    def transform(self, X):
        """Compute the domain of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            Paths, waveforms, or domains extracted before, of which this one is picked.

        Returns
        -------
        spectrograms : ndarray of shape (n_clips, n_bins, n_frames), dtype float32
            The features.
        """
        self._validate_params()
        if isinstance(X, DomainBatch):
            return X.find(self)
        clips = self._check(X, reset=False)
        batch = extract(
            clips,
            {"domain": self},
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        return batch["domain"]

    def spectrogram(self, analysis: ClipAnalysis) -> np.ndarray:
        """Compute the normalised domain of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_bins, n_frames), dtype float32
            The features.
        """
        x = self.features(analysis).astype(np.float32, copy=False)
        if self.normalize is None:
            return x
        return zscore(x, axis=None if self.normalize == "clip" else 1)

    @property
    def signature(self) -> tuple:
        """What is computed: the class and its parameters, without how it is computed."""
        params = self.get_params(deep=False)
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            *((name, params[name]) for name in sorted(params.keys() - _HOW)),
        )

    @property
    def n_samples(self) -> int:
        """Samples per clip that are read from a file."""
        return round(self.duration * self.sample_rate)

    def _check(self, X, reset):
        return check_clips(self, X, path_samples=self.n_samples, reset=reset)

    def _log_mel(self, analysis, part="original", separation=None):
        """Return the log-mel spectrogram in dB of the clip or of a part of it."""
        mel_power = analysis.mel_power(
            self.n_fft, self.hop_length, self.n_mels, self.fmin, self.fmax, part, separation
        )
        return power_to_db(mel_power, self.top_db)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags
