"""Audio files as a 2-D array for any scikit-learn estimator."""

from dataclasses import KW_ONLY
from functools import partial
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin

from .._fields import Count, NonNegative, Positive, with_init
from ._decode import Segment, load_parts
from ._transformer import ClipTransformer, process_clips


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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
