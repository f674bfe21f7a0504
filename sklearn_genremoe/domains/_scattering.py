"""Joint time-frequency scattering: how a spectrogram moves, as channels of a feature domain."""

from dataclasses import KW_ONLY, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .._fields import Count, with_init
from ._analysis import zscore
from ._base_domain import FrameLength
from ._mel import SeparatedSpectrogram

_PARTS = ("original", "harmonic", "percussive")
# Periods of the modulations, in frames and in bins; inf is what all bins do alike.
_FRAMES = (3.0, 6.0, 12.0, 24.0)
_BINS = (np.inf, 32.0, 16.0, 8.0, 4.0, 2.0)
_N_GROUPS = 16  # of neighbouring bins
_BANDWIDTH = 0.4  # of a filter, standard deviation in its centre's frequency
_WIDEST = 10.0  # bins, standard deviation of the widest filters
_FRAMES_PER_POINT = 8  # of the magnitudes
QUIET = 1e-3  # a modulation below it is none


@with_init
class CoarseSpectrogram(SeparatedSpectrogram):
    """A domain that starts from spectrograms of few frames, with little to choose.

    Parameters
    ----------
    n_fft : int, default=2048
        Samples per frame of the spectrograms (93 ms at 22,050 Hz).
    hop_length : int, default=1707
        Samples from one frame to the next (77 ms at 22,050 Hz).
    n_mels : int, default=128
        Number of mel bands.
    kernel_size : int or tuple of (int, int), default=(9, 63)
        Of the separation: frames per running median along time and frequency bins per one along
        frequency; one number stands for both.
    """

    n_fft: FrameLength = 2048
    hop_length: Count = 1707
    n_mels: Count = 128
    kernel_size: Count | tuple[int, int] = field(default=(9, 63), kw_only=True)
    power: float = field(default=2.0, init=False)
    margin: float = field(default=1.0, init=False)
    fmin: float = field(default=0.0, init=False)
    fmax: float | None = field(default=None, init=False)
    top_db: float | None = field(default=80.0, init=False)
    normalize: None = field(default=None, init=False)


@with_init
class TimeFrequencyScattering(CoarseSpectrogram):
    r"""Joint time-frequency scattering: rhythm, tremolo, sweeps and textures in each register.

    The log-mel spectrogram, or that of its harmonic or percussive part, shifted and scaled to mean
    0 and deviation 1, passes through Gabor filters :math:`g_{rs}` for modulations along time and
    along the bins at once, the first order of joint time-frequency scattering [1]_, a model of
    spectro-temporal receptive fields [2]_. Of the magnitudes, averaged over 16 groups :math:`b` of
    neighbouring bins and over stretches :math:`t` of 8 frames, the logarithm is taken,

    .. math:: \log\left(10^{-3} + \frac{1}{|b||t|} \sum_{f \in b,\, \tau \in t}
        |x * g_{rs}|(\tau, f)\right)

    Its 40 channels are four rates :math:`r` (periods of 3, 6, 12 and 24 frames: 4.3 to 0.5 Hz)
    times ten scales :math:`s` (what all bins do alike, periods of 32 bins upwards and downwards, of
    16, 8 and 4 likewise, and of 2).

    Parameters
    ----------
    part : {"original", "harmonic", "percussive", "all"}, default="original"
        The whole clip, or a part as in :class:`~sklearn_genremoe.HarmonicSpectrogram` and
        :class:`~sklearn_genremoe.PercussiveSpectrogram`; or the channels of these three, 120 in
        that order.
    <inherited>

    See Also
    --------
    sklearn_genremoe.domains.time_frequency_scattering : The same of spectrograms.
    sklearn_genremoe.domains.modulation_statistics : Its means and deviations over time.

    References
    ----------
    .. [1] Andén, Lostanlen, Mallat, "Joint Time-Frequency Scattering", IEEE Transactions on
       Signal Processing 67(14), 2019.
    .. [2] Chi, Ru, Shamma, "Multiresolution spectrotemporal analysis of complex sounds", Journal
       of the Acoustical Society of America 118(2), 2005.

    Examples
    --------
    >>> from sklearn_genremoe import TimeFrequencyScattering
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> TimeFrequencyScattering(duration=5.0, part="percussive").fit_transform(paths).shape
    (2, 40, 16, 8)
    """

    _: KW_ONLY
    part: Literal["original", "harmonic", "percussive", "all"] = "original"

    output_ndim = 3

    def features(self, analysis):
        parts = _PARTS if self.part == "all" else (self.part,)
        return np.concatenate([scattering(zscore(self._part(analysis, part))) for part in parts])


def time_frequency_scattering(X: Any) -> NDArray[np.float32]:
    """Compute the joint time-frequency scattering of spectrograms.

    See :class:`~sklearn_genremoe.TimeFrequencyScattering`, which starts from clips.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        Spectrograms with a logarithmic amplitude, scaled to deviation 1 per clip, and some 64 to
        128 bins; may be mapped from a file.

    Returns
    -------
    scattering : ndarray of shape (n_clips, 40, n_groups, n_points), dtype float32
        For each rate and scale the logarithms of the magnitudes, in 16 groups of bins (fewer than
        32 bins: one for two bins) and at a point per 8 frames.

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames or bins.

    Examples
    --------
    >>> from sklearn_genremoe import LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import time_frequency_scattering
    >>> X, y = make_genre_clips(4, duration=2.0, random_state=0)
    >>> mel = LogMelSpectrogram(n_fft=2048, hop_length=1707, n_mels=128).transform(X)
    >>> time_frequency_scattering(mel).shape
    (4, 40, 16, 3)
    """
    return clip_by_clip(scattering, "time_frequency_scattering", X)


def scattering(spectrogram: Any) -> NDArray[np.float32]:
    """Return what time_frequency_scattering says of one spectrogram."""
    n_bins, n_frames = np.shape(spectrogram)
    n_points = max(1, round(n_frames / _FRAMES_PER_POINT))
    points = [rate @ _stretches(rate.shape[1], n_points) for rate in magnitudes(spectrogram)]
    by_group = np.reshape(points, (-1, min(_N_GROUPS, -(-n_bins // 2)), n_points))
    return np.log(by_group + np.float32(QUIET))


def magnitudes(spectrogram: Any) -> list[NDArray[np.float32]]:
    """Return the strength of modulations over time: an array (n_filters, n_points) by rate."""
    n_bins, n_frames = np.shape(spectrogram)
    bank, groups = _filters_over_bins(n_bins)
    spectrum = scipy.fft.rfft(np.asarray(spectrogram, dtype=np.float32), axis=1)
    frequencies = np.arange(spectrum.shape[1]) / n_frames
    sizes = np.diff(groups, append=len(bank))[:, np.newaxis].astype(np.float32)
    found = []
    for period in _FRAMES:
        weights = np.exp(-0.5 * ((frequencies * period - 1) / _BANDWIDTH) ** 2)
        weights[0] = 0  # what doesn't change is no modulation
        # Nothing of the filter lies beyond, so fewer points in time say the same.
        n_points = min(len(weights), int(np.ceil(4 * n_frames / period)))
        kept = (spectrum * weights.astype(np.float32))[:, :n_points]
        in_time = scipy.fft.ifft(kept, axis=1) * np.float32(n_points / n_frames)
        found.append(np.add.reduceat(np.abs(bank @ in_time), groups, axis=0) / sizes)
    return found


@lru_cache(maxsize=8)
def _filters_over_bins(n_bins):
    """Return Gabor filters of shape (n_filters, n_bins) and where each group of them begins."""
    rows: list[NDArray] = []
    groups: list[int] = []
    bins = np.arange(n_bins)
    widest_step = max(2, n_bins // _N_GROUPS)  # so that each scale has the same groups
    for period in _BINS:
        sigma = min(period / (2 * np.pi * _BANDWIDTH), _WIDEST)
        step = int(np.clip(period / 2, 2, widest_step))
        centres = np.arange((min(step, n_bins) - 1) / 2, n_bins, step)
        for sign in (1, -1) if 2 < period < np.inf else (1,):
            for part in np.array_split(centres, min(_N_GROUPS, len(centres))):
                groups.append(len(rows))
                for centre in part:
                    away = bins - centre
                    wave = np.exp(2j * np.pi * sign * away / period - 0.5 * (away / sigma) ** 2)
                    rows.append(wave / sigma)
    return np.array(rows, dtype=np.complex64), np.array(groups)


@lru_cache(maxsize=32)
def _stretches(n_before, n_after):
    """Return weights of shape (n_before, n_after) that average points over equal stretches."""
    edges = np.linspace(0, n_before, n_after + 1)
    starts = np.arange(n_before)[:, np.newaxis]
    shared = np.minimum(edges[1:], starts + 1) - np.maximum(edges[:-1], starts)
    return (np.maximum(shared, 0) * (n_after / n_before)).astype(np.float32)


def clip_by_clip(function, caller: str, *arrays: Any) -> NDArray:
    """Return what a function says of spectrograms, one clip at a time, as they may be large."""
    for X in arrays:
        if np.ndim(X) != 3 or 0 in np.shape(X)[1:]:
            expected = "spectrograms of shape (n_clips, n_bins, n_frames), none of them zero"
            raise ValueError(f"X has the shape {np.shape(X)}; {caller} expects {expected}")
    rows = [function(*clip) for clip in zip(*arrays, strict=True)]
    of_silence = function(*[np.zeros(np.shape(X)[1:]) for X in arrays])
    return np.array(rows, of_silence.dtype).reshape(len(rows), *of_silence.shape)
