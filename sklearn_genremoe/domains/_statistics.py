"""What classical methods see of a spectrogram."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._scattering import QUIET, check_spectrograms, magnitudes


def time_statistics(X: Any) -> NDArray[np.float64]:
    """Sum up each bin of spectrograms by three numbers.

    With a ``FunctionTransformer``, any classifier for tables becomes an expert.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        The spectrograms; may be mapped from a file.

    Returns
    -------
    statistics : ndarray of shape (n_clips, 3 * n_bins)
        Mean over time, standard deviation over time, and standard deviation of the differences
        between successive frames (zero for a single frame).

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames.

    See Also
    --------
    sklearn_genremoe.default_experts : Two of these experts learn from them.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer, StandardScaler
    >>> from sklearn_genremoe import MFCC
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import time_statistics
    >>> X, y = make_genre_clips(12, random_state=0)
    >>> clf = make_pipeline(
    ...     MFCC(duration=2.0),
    ...     FunctionTransformer(time_statistics),
    ...     StandardScaler(),
    ...     LogisticRegression(C=0.1),
    ... )
    >>> clf.fit(X, y).score(X, y)
    1.0
    """
    check_spectrograms(X, "time_statistics")
    _, n_bins, n_frames = np.shape(X)
    statistics = np.zeros((len(X), 3, n_bins))
    for clip, (mean, deviation, change) in zip(X, statistics):  # a clip at a time: X may be large
        frames = np.asarray(clip, dtype=np.float64)
        mean[:] = frames.mean(axis=1)
        deviation[:] = frames.std(axis=1)
        if n_frames > 1:
            change[:] = np.diff(frames, axis=1).std(axis=1)
    return statistics.reshape(len(X), 3 * n_bins)


def modulation_statistics(X: Any) -> NDArray[np.float64]:
    """Sum up how spectrograms move: rhythm, tremolo, sweeps and textures, in each register.

    Of the magnitudes of :func:`time_frequency_scattering`, before they are averaged over stretches
    of time, the logarithms of mean and deviation over time are kept, the first relative to the
    mean over all channels and groups of bins, the second to the first, so that it doesn't matter
    how loud a clip is, nor which colour it has.

    With a ``FunctionTransformer``, any classifier for tables becomes an expert.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        Spectrograms with a logarithmic amplitude (dB, or scaled to deviation 1) and some 64 to
        128 bins; may be mapped from a file.

    Returns
    -------
    statistics : ndarray of shape (n_clips, n_features)
        For each of the 40 channels and 16 groups of bins the strength of the modulation, then for
        each its variation: 1,280 features.

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames or bins.

    See Also
    --------
    time_frequency_scattering : What they are statistics of.
    time_statistics : What a spectrogram has in each bin, a quicker summary.
    sklearn_genremoe.default_experts : One of these experts learns from them.

    Examples
    --------
    >>> from sklearn_genremoe import LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import modulation_statistics
    >>> X, y = make_genre_clips(4, duration=2.0, random_state=0)
    >>> modulation_statistics(LogMelSpectrogram(n_mels=128).transform(X)).shape
    (4, 1280)
    """
    check_spectrograms(X, "modulation_statistics")
    rows = [_modulations(clip) for clip in X]  # a clip at a time: X may be large
    return np.array(rows).reshape(len(X), len(_modulations(np.zeros(np.shape(X)[1:]))))


def _modulations(spectrogram):
    """Return what modulation_statistics says of one spectrogram."""
    rates = magnitudes(spectrogram)
    means = np.concatenate([rate.mean(axis=1, dtype=np.float64) for rate in rates])
    deviations = np.concatenate([rate.std(axis=1, dtype=np.float64) for rate in rates])
    strength = np.log(means + QUIET)
    variation = np.log(deviations + QUIET) - strength
    return np.concatenate([strength - strength.mean(), variation])
