"""The domains of the paper, which start from spectrograms on mel bands."""

import math
from dataclasses import KW_ONLY
from numbers import Real
from typing import Annotated, Literal

import numpy as np
import scipy.fft

from .._compat import Interval
from .._fields import Count, NonNegative, Positive, with_init
from ._analysis import ClipAnalysis, Separation, mel_filterbank, power_to_db, zscore
from ._base_domain import BaseDomain, FrameLength

_DELTA_WIDTH = 9  # frames that a slope is fitted to


@with_init
class MelDomain(BaseDomain):
    """A domain that starts from a log-mel spectrogram.

    Parameters
    ----------
    sample_rate : int, default=22050
        Sample rate in Hz: files are resampled to it, waveforms are taken to have it.
    duration : float, default=30.0
        Seconds read from each file; shorter files are filled up. Waveforms keep their length.
    n_fft : int, default=1024
        Samples per frame (46 ms at 22,050 Hz).
    hop_length : int, default=512
        Samples from one frame to the next (23 ms at 22,050 Hz).
    n_mels : int, default=96
        Number of mel bands.
    offset : float, default=0.0
        Where in each file to begin, in seconds.
    fill : {"zeros", "repeat"}, default="zeros"
        What files that are shorter than `duration` are filled up with: zeros, or the clip again
        and again.
    fmin : float, default=0.0
        Lower end of the mel bands in Hz.
    fmax : float, default=None
        Upper end of the mel bands in Hz; None means half the sample rate.
    top_db : float, default=80.0
        Floor of the decibels below the clip's own maximum; None for no floor.
    normalize : {"clip", "bin"} or None, default="clip"
        What is shifted and scaled to mean 0 and deviation 1: the whole clip, each of its
        mel bands by itself, or nothing. What is constant becomes zeros.
    """

    sample_rate: Count = 22050
    duration: Positive = 30.0
    n_fft: FrameLength = 1024
    hop_length: Count = 512
    n_mels: Count = 96
    _: KW_ONLY
    offset: NonNegative = 0.0
    fill: Literal["zeros", "repeat"] = "zeros"
    fmin: NonNegative = 0.0
    fmax: Positive | None = None
    top_db: Positive | None = 80.0
    normalize: Literal["clip", "bin"] | None = "clip"

    def _check_params(self):
        super()._check_params()
        mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax)

    def _log_mel(self, analysis: ClipAnalysis, part="original", separation=None):
        """Return the log-mel spectrogram in dB of the clip or of a part of it."""
        bands = (self.n_fft, self.hop_length, self.n_mels, self.fmin, self.fmax)
        return analysis.log_mel(*bands, self.top_db, part, separation)


@with_init
class LogMelSpectrogram(MelDomain):
    """Log-mel spectrogram: the paper's original domain.

    Power of the short-time Fourier transform (periodic Hann window, frames centred, edges
    reflected), summed over triangular bands on Slaney's mel scale, in decibels.

    Takes paths, decoded one by one, or waveforms, and gives (n_clips, n_mels, n_frames), which
    :class:`~sklearn_genremoe.CNNClassifier` learns from.

    Parameters
    ----------
    <inherited>

    See Also
    --------
    HarmonicSpectrogram : Of the harmonic (sustained) part.
    PercussiveSpectrogram : Of the percussive (transient) part.
    DomainUnion : Several domains for the price of one.

    References
    ----------
    .. [1] Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music
       Genre Classification", APSIPA 2019.

    Examples
    --------
    >>> from sklearn_genremoe import LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> LogMelSpectrogram(duration=5.0).fit_transform(paths).shape
    (2, 96, 216)
    """

    def features(self, analysis):
        return self._log_mel(analysis)


@with_init
class SeparatedSpectrogram(MelDomain):
    """Log-mel spectrogram of one part of a harmonic-percussive separation.

    Parameters
    ----------
    kernel_size : int or tuple of (int, int), default=31
        Frames per running median along time and frequency bins per one along frequency; one
        number stands for both.
    power : float, default=2.0
        Exponent of the soft masks.
    margin : float, default=1.0
        How many times louder than the other part a part must be; at 1 the masks sum to 1.
    """

    _: KW_ONLY
    kernel_size: Count | tuple[int, int] = 31
    power: Positive = 2.0
    margin: Annotated[float, Interval(Real, 1, None, closed="left")] = 1.0

    def _check_params(self):
        super()._check_params()
        sizes = np.asarray(self.kernel_size)
        if sizes.shape not in ((), (2,)) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
            expected = "a positive integer, or a tuple of two: frames and frequency bins"
            raise ValueError(f"kernel_size={self.kernel_size!r}; expected {expected}")

    def features(self, analysis):
        return self._part(analysis, self._name)

    def _part(self, analysis, part):
        """Return the log-mel spectrogram of the clip or of a part of it."""
        if part == "original":
            return self._log_mel(analysis)
        frames, bins = np.broadcast_to(self.kernel_size, 2).tolist()
        separation = Separation((frames, bins), self.power, self.margin)
        return self._log_mel(analysis, part, separation)


@with_init
class HarmonicSpectrogram(SeparatedSpectrogram):
    """Log-mel spectrogram of the harmonic (sustained) part: the paper's harmonic domain.

    Running medians along time of the amplitude spectrogram keep tones, those along
    frequency keep strokes. A soft mask made of both lets the harmonic part of the clip
    pass [1]_::

        mask = tones**power / (tones**power + (margin * strokes)**power)

    The power of what passes is summed over mel bands and taken in decibels, as in
    :class:`~sklearn_genremoe.LogMelSpectrogram`.

    Parameters
    ----------
    <inherited>

    See Also
    --------
    PercussiveSpectrogram : The other part.
    DomainUnion : Both parts, and more, for the price of one.

    References
    ----------
    .. [1] Fitzgerald, "Harmonic/Percussive Separation using Median Filtering", DAFx 2010.
       The soft masks are those of :func:`librosa.decompose.hpss`.

    Examples
    --------
    >>> from sklearn_genremoe import HarmonicSpectrogram
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> HarmonicSpectrogram(duration=5.0).fit_transform(paths).shape
    (2, 96, 216)
    """

    _name = "harmonic"


@with_init
class PercussiveSpectrogram(SeparatedSpectrogram):
    """Log-mel spectrogram of the percussive (transient) part: the paper's percussive domain.

    What the mask of :class:`~sklearn_genremoe.HarmonicSpectrogram` keeps out passes [1]_::

        mask = strokes**power / (strokes**power + (margin * tones)**power)

    Parameters
    ----------
    <inherited>

    See Also
    --------
    HarmonicSpectrogram : The other part.
    DomainUnion : Both parts, and more, for the price of one.

    References
    ----------
    .. [1] Fitzgerald, "Harmonic/Percussive Separation using Median Filtering", DAFx 2010.
       The soft masks are those of :func:`librosa.decompose.hpss`.

    Examples
    --------
    >>> from sklearn_genremoe import PercussiveSpectrogram
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> PercussiveSpectrogram(duration=5.0).fit_transform(paths).shape
    (2, 96, 216)
    """

    _name = "percussive"


@with_init
class ModulationSpectrogram(MelDomain):
    """How fast the mel bands pulse: the paper's modulation domain.

    The magnitude of the Fourier transform of each band of the z-scored log-mel spectrogram along
    time: column k tells how strongly a band pulses k times per clip.

    Parameters
    ----------
    scale : {"linear", "log"}, default="linear"
        Magnitude, as in the paper, or its decibels with the floor `top_db`.
    drop_dc : bool, default=False
        Whether to begin at one pulse per clip. Else the first column is the mean of each band,
        as in the paper; it is so large that after normalisation nearly everything else is
        within 0.5 of zero.
    <inherited>

    See Also
    --------
    LogMelSpectrogram : What it is computed from.
    DomainUnion : Several domains for the price of one.

    References
    ----------
    .. [1] Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music
       Genre Classification", APSIPA 2019.

    Examples
    --------
    >>> from sklearn_genremoe import ModulationSpectrogram
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> ModulationSpectrogram(duration=5.0).fit_transform(paths).shape
    (2, 96, 108)
    """

    _: KW_ONLY
    scale: Literal["linear", "log"] = "linear"
    drop_dc: bool = False

    def features(self, analysis):
        mel = zscore(self._log_mel(analysis))
        if self.drop_dc and mel.shape[1] < 2:
            advice = "give longer clips, a shorter hop_length, or drop_dc=False"
            raise ValueError(f"drop_dc=True leaves nothing of a clip of one frame; {advice}")
        first = int(self.drop_dc)
        last = first + max(1, mel.shape[1] // 2)
        magnitude = np.abs(scipy.fft.rfft(mel, axis=1)[:, first:last])
        return power_to_db(magnitude**2, self.top_db) if self.scale == "log" else magnitude


@with_init
class MFCC(MelDomain):
    """Mel-frequency cepstral coefficients: the paper's baseline domain.

    The first coefficients of the orthonormal cosine transform of the log-mel spectrogram along
    its bands, and below them their first and second differences over 9 frames (slope and
    curvature of the least-squares parabola; fewer frames where the clip is shorter).

    Parameters
    ----------
    n_mfcc : int, default=20
        Number of coefficients; the result has three times as many rows, at most 3 * n_mels.
    <inherited>

    See Also
    --------
    LogMelSpectrogram : What it is computed from.
    DomainUnion : Several domains for the price of one.

    References
    ----------
    .. [1] Davis, Mermelstein, "Comparison of parametric representations for monosyllabic word
       recognition in continuously spoken sentences", IEEE TASSP 28(4), 1980.

    Examples
    --------
    >>> from sklearn_genremoe import MFCC
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> MFCC(duration=5.0).fit_transform(paths).shape
    (2, 60, 216)
    """

    _: KW_ONLY
    n_mfcc: Count = 20

    def features(self, analysis):
        mel = self._log_mel(analysis)
        mfcc = scipy.fft.dct(mel, axis=0, type=2, norm="ortho")[: self.n_mfcc]
        return np.concatenate([mfcc, _delta(mfcc, 1), _delta(mfcc, 2)])


def _delta(x, order):
    """Return the local difference of an order, as :func:`librosa.feature.delta` does.

    It is the derivative of the parabola (for order 1: the line) that fits the neighbours best, a
    constant of the fit; the outermost frames take it from the outermost full window.
    """
    n_frames = x.shape[1]
    width = min(_DELTA_WIDTH, n_frames - 1 + n_frames % 2)  # the largest odd number that fits
    if width <= order:
        return np.zeros_like(x)
    steps = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(steps, order + 1, increasing=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=1)
    derivative = windows @ (math.factorial(order) * fit[order])
    margin = width // 2
    return np.pad(derivative, ((0, 0), (margin, margin)), mode="edge").astype(x.dtype)


def paper_domains() -> dict[str, MelDomain]:
    """Return the four domains of the paper by name."""
    parts = {"harmonic": HarmonicSpectrogram(), "percussive": PercussiveSpectrogram()}
    return {"original": LogMelSpectrogram(), **parts, "modulation": ModulationSpectrogram()}
