"""Audio files as a 2-D array for any scikit-learn estimator."""

import warnings
from contextlib import closing
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from .._clips import check_clips
from .._compat import Interval, StrOptions, progress_bar
from .._parallel import map_clips
from ._decode import Segment, decode_parts, fix_length
from ._errors import BadClipError, BadClipWarning, warn_of_long_files
from ._read import seconds_of_file


class AudioLoader(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its row
        with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Files decoded in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.

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

    _parameter_constraints: dict = {
        "sample_rate": [Interval(Integral, 1, None, closed="left")],
        "duration": [Interval(Real, 0, None, closed="neither")],
        "offset": [Interval(Real, 0, None, closed="left")],
        "fill": [StrOptions({"zeros", "repeat"})],
        "on_error": [StrOptions({"raise", "warn"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        offset=0.0,
        *,
        fill="zeros",
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ):
        self.sample_rate = sample_rate
        self.duration = duration
        self.offset = offset
        self.fill = fill
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_clips, n_samples)
            Paths or waveforms.
        y : None
            Ignored.

        Returns
        -------
        self : AudioLoader
            The loader.
        """
        self._check(X, reset=True)
        return self

    def fit_transform(self, X, y=None):  # as inherited, but X is checked once
        return self._load(self._check(X, reset=True))

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
        return self._load(self._check(X, reset=False))

    def _check(self, X, reset):
        self._validate_params()
        if reset:
            self.bad_clips_ = {}
        n_samples = round(self.duration * self.sample_rate)
        return check_clips(self, X, path_samples=n_samples, reset=reset)

    def _load(self, clips):
        if clips.paths is None:
            return clips.waveforms
        segment = Segment(self.sample_rate, self.offset, self.duration)
        n_samples = round(self.duration * self.sample_rate)
        load = partial(_load, segment=segment, n_samples=n_samples, fill=self.fill)
        waveforms = np.full((len(clips), n_samples), np.nan, dtype=np.float32)
        bad: dict[int, str] = {}
        seconds: dict[str, float] = {}
        with closing(map_clips(load, clips.paths, self.n_jobs)) as loaded:
            bar = progress_bar(loaded, total=len(clips), unit="clip", disable=not self.verbose)
            for row, clip in enumerate(bar):
                if not isinstance(clip, BadClipError):
                    waveforms[row], length = clip
                    if length is not None:
                        seconds[clips.paths[row]] = length
                elif self.on_error == "raise":
                    raise clip
                else:
                    bad[row] = str(clip)
        if bad or hasattr(self, "bad_clips_"):
            self.bad_clips_ = bad
        if bad:
            warnings.warn(BadClipWarning(bad), stacklevel=4)
        warn_of_long_files(seconds, self.offset + self.duration)
        return waveforms

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _load(path, segment, n_samples, fill):
    """Return a waveform and the length of a file that goes on; or the error, to keep the order."""
    try:
        waveform = decode_parts(path, [segment])[0]
    except BadClipError as error:
        return error
    length = seconds_of_file(path) if len(waveform) == n_samples else None
    return fix_length(waveform, n_samples, fill), length
