"""From clips to arrays: the loader, and what it has in common with the feature domains."""

import warnings
from dataclasses import KW_ONLY
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from .._clips import check_clips
from .._fields import Count, NonNegative, OnError, Positive, Verbosity, with_init
from ._decode import Segment, load_parts, process_clips
from ._errors import BadClipWarning, warn_of_long_files


@with_init
class ClipTransformer(TransformerMixin):
    """From clips to arrays, stateless.

    Parameters
    ----------
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips worked on in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.
    """

    _: KW_ONLY
    on_error: OnError = "raise"
    n_jobs: int | None = None
    verbose: Verbosity = 0

    _preserved: ClassVar[tuple[str, ...]] = ("float32",)

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read.

        Parameters
        ----------
        X : sequence of str or Path, or array-like
            As in :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        self._check(X, self._plan(), reset=True)
        return self

    def fit_transform(self, X, y=None):
        """Fit to the clips and return what :meth:`transform` gives.

        Parameters
        ----------
        X : sequence of str or Path, or array-like
            As in :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        Xt : ndarray or DomainBatch
            As from :meth:`transform`.
        """
        return self._transform(X, reset=True)

    def _check(self, X, plan, reset):
        """Return clips, checked; of the plan, the number of samples that it reads of a file."""
        if reset:
            self.bad_clips_: dict[int, str] = {}
        return check_clips(self, X, path_samples=plan.n_samples, reset=reset)

    def _report(self, bad_clips, seconds, plan) -> None:
        """Keep which clips are bad, and warn of these and of long files, once each."""
        if bad_clips or hasattr(self, "bad_clips_"):
            self.bad_clips_ = bad_clips
        if bad_clips:
            warnings.warn(BadClipWarning(bad_clips), stacklevel=5)
        warn_of_long_files(seconds, plan.end)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = [*self._preserved]
        return tags


@with_init
class AudioLoader(OneToOneFeatureMixin, ClipTransformer, BaseEstimator):
    """Decode audio files to waveforms of one length.

    Each file is decoded, mixed to mono, resampled, and cut or filled up to
    ``duration * sample_rate`` samples. Waveforms (numbers in 2-D) pass through. All waveforms are
    held at once, 2.6 MB per clip of 30 s, where pipelines that begin with a domain such as
    :class:`~sklearn_genremoe.LogMelSpectrogram` read files clip by clip.

    Parameters
    ----------
    sample_rate : int, default=22050
        Sample rate of the result in Hz.
    duration : float, default=30.0
        Length of the result in seconds.
    offset : float, default=0.0
        Where in the file to begin, in seconds.
    fill : {"zeros", "repeat"}, default="zeros"
        What files that are shorter than `duration` are filled up with: zeros, or the clip again
        and again.
    <inherited>

    See Also
    --------
    sklearn_genremoe.LogMelSpectrogram : Reads files by itself, and needs less memory.
    decode_audio : One file.

    Examples
    --------
    >>> from sklearn_genremoe import AudioLoader
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:3]
    >>> AudioLoader(duration=2.0).fit_transform(paths).shape
    (3, 44100)
    """

    sample_rate: Count = 22050
    duration: Positive = 30.0
    offset: NonNegative = 0.0
    _: KW_ONLY
    fill: Literal["zeros", "repeat"] = "zeros"

    _preserved = ("float64", "float32")

    def transform(self, X):
        """Load the clips.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_clips, n_samples)
            Paths or waveforms.

        Returns
        -------
        waveforms : ndarray of shape (n_clips, n_samples)
            Of float32 for paths and integers, which are scaled by the full scale of their type;
            other arrays as they came. Rows of bad clips are NaN.
        """
        return self._transform(X, reset=False)

    def _plan(self) -> Segment:
        self._validate_params()
        return Segment(self.sample_rate, self.offset, self.duration)

    def _transform(self, X, reset):
        segment = self._plan()
        clips = self._check(X, segment, reset)
        if clips.paths is None:
            return clips.waveforms
        waveforms = np.full((len(clips), segment.n_samples), np.nan, dtype=np.float32)
        load = partial(load_parts, parts=[(segment, self.fill)])
        tasks = dict(enumerate(clips.paths))

        def take(row, loaded):
            [waveforms[row]] = loaded

        bad, seconds = process_clips(load, tasks, take, self.on_error, self.n_jobs, self.verbose)
        self._report(bad, seconds, segment)
        return waveforms
