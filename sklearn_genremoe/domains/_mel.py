"""The original domain of the paper, and what all domains on mel bands have in common."""

from dataclasses import KW_ONLY
from typing import Literal

from .._fields import Count, NonNegative, Positive, with_init
from ._analysis import ClipAnalysis, mel_filterbank
from ._base_domain import BaseDomain, FrameLength


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
