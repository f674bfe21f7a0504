"""What classical methods see of a spectrogram."""

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

# Periods of the modulations, in frames and in bins; inf is what all bins do alike.
_FRAMES = (3.0, 6.0, 12.0, 24.0)
_BINS = (np.inf, 32.0, 16.0, 8.0, 4.0, 2.0)
_N_GROUPS = 16  # of neighbouring bins
_BANDWIDTH = 0.4  # of a filter, standard deviation in its centre's frequency
_WIDEST = 10.0  # bins, standard deviation of the widest filters
_QUIET = 1e-3  # below it, a modulation is none


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
    _check_spectrograms(X, "time_statistics")
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
    r"""Sum up how spectrograms move: rhythm, tremolo, sweeps and textures, in each register.

    Each spectrogram :math:`x` passes through Gabor filters :math:`g_{rs}` for modulations along
    time and along the bins at once, the first order of joint time-frequency scattering [1]_, a
    model of spectro-temporal receptive fields [2]_. Of the magnitudes, averaged over groups
    :math:`b` of neighbouring bins,

    .. math:: u_{rsb}(t) = \frac{1}{|b|} \sum_{f \in b} |x * g_{rs}|(t, f)

    the logarithms of mean and deviation over time are kept, the first relative to the mean over
    all :math:`r, s, b`, the second to the first. Four rates :math:`r` (periods of 3, 6, 12 and 24
    frames, 4.3 to 0.5 Hz in the domains of :func:`~sklearn_genremoe.default_experts`) come with
    ten scales :math:`s` (periods of 2 to 32 bins, of 4 to 32 upwards and downwards, and what all
    bins do alike), so that it doesn't matter how loud a clip is, nor which colour it has.

    With a ``FunctionTransformer``, any classifier for tables becomes an expert.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        Spectrograms with a logarithmic amplitude (dB, or scaled to deviation 1) and some 64 to
        128 bins; may be mapped from a file.

    Returns
    -------
    statistics : ndarray of shape (n_clips, n_features)
        For 128 bins 1,280 features: for each rate, scale and up to 16 groups of bins the strength
        of the modulation, then for each its variation.

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames or bins.

    See Also
    --------
    time_statistics : What a spectrogram has in each bin, a quicker summary.
    sklearn_genremoe.default_experts : One of these experts learns from them.

    References
    ----------
    .. [1] Andén, Lostanlen, Mallat, "Joint Time-Frequency Scattering", IEEE Transactions on
       Signal Processing 67(14), 2019.
    .. [2] Chi, Ru, Shamma, "Multiresolution spectrotemporal analysis of complex sounds", Journal
       of the Acoustical Society of America 118(2), 2005.

    Examples
    --------
    >>> from sklearn_genremoe import LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import modulation_statistics
    >>> X, y = make_genre_clips(4, duration=2.0, random_state=0)
    >>> modulation_statistics(LogMelSpectrogram(n_mels=128).transform(X)).shape
    (4, 1280)
    """
    _check_spectrograms(X, "modulation_statistics")
    bank, groups = _filters_over_bins(np.shape(X)[1])
    statistics = [_modulations(clip, bank, groups) for clip in X]  # a clip at a time: may be large
    return np.array(statistics).reshape(len(X), 2 * len(_FRAMES) * len(groups))


def _modulations(clip, bank, groups):
    """Return what modulation_statistics says of one spectrogram."""
    n_frames = np.shape(clip)[1]
    spectrum = scipy.fft.rfft(np.asarray(clip, dtype=np.float32), axis=1)
    frequencies = np.arange(spectrum.shape[1]) / n_frames
    sizes = np.diff(groups, append=len(bank))[:, np.newaxis]
    means, deviations = [], []
    for period in _FRAMES:
        weights = np.exp(-0.5 * ((frequencies * period - 1) / _BANDWIDTH) ** 2)
        weights[0] = 0  # what doesn't change is no modulation
        # Nothing of the filter lies beyond, so fewer points in time say the same.
        n_points = min(len(weights), int(np.ceil(4 * n_frames / period)))
        kept = (spectrum * weights.astype(np.float32))[:, :n_points]
        in_time = scipy.fft.ifft(kept, axis=1) * np.float32(n_points / n_frames)
        magnitude = np.add.reduceat(np.abs(bank @ in_time), groups, axis=0) / sizes
        means.append(magnitude.mean(axis=1, dtype=np.float64))
        deviations.append(magnitude.std(axis=1, dtype=np.float64))
    strength = np.log(np.concatenate(means) + _QUIET)
    variation = np.log(np.concatenate(deviations) + _QUIET) - strength
    return np.concatenate([strength - strength.mean(), variation])


@lru_cache(maxsize=8)
def _filters_over_bins(n_bins):
    """Return Gabor filters of shape (n_filters, n_bins) and where each group of them begins."""
    rows: list[NDArray] = []
    groups: list[int] = []
    bins = np.arange(n_bins)
    for period in _BINS:
        sigma = min(period / (2 * np.pi * _BANDWIDTH), _WIDEST)
        step = int(np.clip(period / 2, 2, 8))
        centres = np.arange((min(step, n_bins) - 1) / 2, n_bins, step)
        for sign in (1, -1) if 2 < period < np.inf else (1,):
            for part in np.array_split(centres, min(_N_GROUPS, len(centres))):
                groups.append(len(rows))
                for centre in part:
                    away = bins - centre
                    wave = np.exp(2j * np.pi * sign * away / period - 0.5 * (away / sigma) ** 2)
                    rows.append(wave / sigma)
    return np.array(rows, dtype=np.complex64), np.array(groups)


def _check_spectrograms(X, function):
    """Refuse what are no spectrograms."""
    if np.ndim(X) != 3 or 0 in np.shape(X)[1:]:
        raise ValueError(
            f"X has the shape {np.shape(X)}; {function} expects spectrograms of shape "
            "(n_clips, n_bins, n_frames), with at least one bin and one frame, as the feature "
            "domains give them."
        )
