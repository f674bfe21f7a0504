"""The original domain of the paper."""

from ._base import domain
from ._mel import MelDomain


@domain
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
