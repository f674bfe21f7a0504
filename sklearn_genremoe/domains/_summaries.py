"""What classical methods see of a spectrogram."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .._fields import with_init
from ._analysis import zscore
from ._scattering import QUIET, CoarseSpectrogram, clip_by_clip, magnitudes

_N_BANDS = 32  # of each part, in a covariance
_N_MFCC = 20
_MFCC_SCALE = 0.05  # per dB, which brings coefficients to the size of z-scores
_RIDGE = 1e-2  # of the mean variance, so that the logarithm stays finite


@with_init
class SpectralStatistics(CoarseSpectrogram):
    """Sum up a clip by a row of numbers: how it moves, or what sounds together in it.

    Two kinds, for classifiers that take tables:

    - "modulation": :func:`~sklearn_genremoe.domains.modulation_statistics` of the log-mel
      spectrogram;
    - "covariance": :func:`~sklearn_genremoe.domains.covariance_statistics` of the harmonic and the
      percussive spectrogram and the MFCC.

    Parameters
    ----------
    kind : {"modulation", "covariance"}, default="modulation"
        Which of them.
    <inherited>

    See Also
    --------
    sklearn_genremoe.TimeFrequencyScattering : The modulations over time, for networks.
    sklearn_genremoe.default_experts : Two of these experts learn from them.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> from sklearn_genremoe.domains import SpectralStatistics
    >>> paths = load_mini_genres().data[:2]
    >>> SpectralStatistics(kind="covariance", duration=5.0).fit_transform(paths).shape
    (2, 3654)
    """

    _: KW_ONLY
    kind: Literal["modulation", "covariance"] = "modulation"

    output_ndim = 1

    def features(self, analysis):
        mel = self._log_mel(analysis)
        if self.kind == "modulation":
            return _modulations(zscore(mel))
        harmonic, percussive = (zscore(self._part(analysis, p)) for p in ("harmonic", "percussive"))
        return _covariance(harmonic, percussive, scipy.fft.dct(mel, axis=0, norm="ortho"))


def time_statistics(X: Any, percentiles: Sequence[float] = ()) -> NDArray[np.float64]:
    """Sum up each bin of spectrograms by a few numbers, for classifiers that take tables.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        The spectrograms; may be mapped from a file.
    percentiles : sequence of float, default=()
        Percentiles over time to be added, from 0 to 100.

    Returns
    -------
    statistics : ndarray of shape (n_clips, (3 + n_percentiles) * n_bins)
        Mean over time, standard deviation over time, and standard deviation of the differences
        between successive frames (zero for a single frame); then the percentiles.

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames.

    Examples
    --------
    >>> from sklearn_genremoe import MFCC
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import time_statistics
    >>> X, y = make_genre_clips(4, random_state=0)
    >>> time_statistics(MFCC().transform(X)).shape
    (4, 180)
    """
    return clip_by_clip(partial(_over_time, percentiles=percentiles), "time_statistics", X)


def modulation_statistics(X: Any) -> NDArray[np.float64]:
    """Sum up how spectrograms move: rhythm, tremolo, sweeps and textures, in each register.

    Of the magnitudes of :func:`time_frequency_scattering`, before they are averaged over stretches
    of time, the logarithms of mean and deviation over time are kept, the first relative to the
    mean over all channels and groups of bins, the second to the first, so that it doesn't matter
    how loud a clip is, nor which colour it has.

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

    Examples
    --------
    >>> from sklearn_genremoe import LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import modulation_statistics
    >>> X, y = make_genre_clips(4, duration=2.0, random_state=0)
    >>> modulation_statistics(LogMelSpectrogram(n_mels=128).transform(X)).shape
    (4, 1280)
    """
    return clip_by_clip(_modulations, "modulation_statistics", X)


def covariance_statistics(harmonic: Any, percussive: Any, mfcc: Any) -> NDArray[np.float64]:
    """Sum up what sounds together: means and covariances of bands and coefficients over time.

    Both spectrograms are averaged over neighbouring bins to 32 bands, the first 20 MFCC are scaled
    by 0.05. Of the covariance matrix of these 84 rows over time, plus a hundredth of the mean
    variance on its diagonal, the matrix logarithm is taken, in which differences of covariance
    matrices have a length (the log-Euclidean metric [1]_).

    Parameters
    ----------
    harmonic, percussive : array-like of shape (n_clips, n_bins, n_frames)
        Log-mel spectrograms of the two parts, scaled to deviation 1 per clip.
    mfcc : array-like of shape (n_clips, n_coefficients, n_frames)
        Mel-frequency cepstral coefficients in dB, those of order 0 and up first.

    Returns
    -------
    statistics : ndarray of shape (n_clips, n_features)
        The means of the rows, then the upper triangle of the logarithm, what is off the diagonal
        times the root of 2: 3,654 features.

    Raises
    ------
    ValueError
        If an array doesn't have three dimensions, or no frames or bins.

    References
    ----------
    .. [1] Arsigny, Fillard, Pennec, Ayache, "Geometric means in a novel vector space structure on
       symmetric positive-definite matrices", SIAM Journal on Matrix Analysis and Applications
       29(1), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.domains import covariance_statistics
    >>> mel = np.random.default_rng(0).normal(size=(2, 128, 50))
    >>> covariance_statistics(mel, mel, mel).shape
    (2, 3654)
    """
    return clip_by_clip(_covariance, "covariance_statistics", harmonic, percussive, mfcc)


def _over_time(spectrogram, percentiles):
    """Return what time_statistics says of one spectrogram."""
    frames = np.asarray(spectrogram, dtype=np.float64)
    changes = np.diff(frames, axis=1) if frames.shape[1] > 1 else np.zeros_like(frames)
    numbers = [frames.mean(axis=1), frames.std(axis=1), changes.std(axis=1)]
    return np.concatenate([*numbers, *np.percentile(frames, percentiles, axis=1)])


def _covariance(harmonic, percussive, mfcc):
    """Return what covariance_statistics says of one clip."""
    of_both = [np.array_split(x, min(_N_BANDS, len(x))) for x in (harmonic, percussive)]
    bands = [band.mean(axis=0) for of_part in of_both for band in of_part]
    rows = np.concatenate([bands, _MFCC_SCALE * mfcc[:_N_MFCC]]).astype(np.float64)
    means = rows.mean(axis=1)
    away = rows - means[:, np.newaxis]
    covariance = away @ away.T / rows.shape[1]
    covariance += (_RIDGE * covariance.trace() / len(rows) + QUIET**2) * np.eye(len(rows))
    variances, axes = np.linalg.eigh(covariance)
    logarithm = np.sqrt(2) * (axes * np.log(variances)) @ axes.T
    logarithm[np.diag_indices(len(rows))] /= np.sqrt(2)
    return np.concatenate([means, logarithm[np.triu_indices(len(rows))]])


def _modulations(spectrogram):
    """Return what modulation_statistics says of one spectrogram."""
    rates = magnitudes(spectrogram)
    means = np.concatenate([rate.mean(axis=1, dtype=np.float64) for rate in rates])
    deviations = np.concatenate([rate.std(axis=1, dtype=np.float64) for rate in rates])
    strength = np.log(means + QUIET)
    variation = np.log(deviations + QUIET) - strength
    return np.concatenate([strength - strength.mean(), variation])
