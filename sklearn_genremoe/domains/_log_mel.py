"""The original domain of the paper."""

from ._mel import MelDomain


class LogMelSpectrogram(MelDomain):
    """Log-mel spectrogram: the paper's original domain.

    Power of the short-time Fourier transform (periodic Hann window, frames centred, edges
    reflected), summed over triangular bands on Slaney's mel scale, in decibels.

    Takes paths, decoded one by one, or waveforms, and gives (n_clips, n_mels, n_frames), which
    :class:`~sklearn_genremoe.CNNClassifier` learns from.

    Parameters
    ----------
    <signal>
    <others>

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

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        offset=0.0,
        fill="zeros",
        fmin=0.0,
        fmax=None,
        top_db=80.0,
        normalize="clip",
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ):
        self.sample_rate = sample_rate
        self.duration = duration
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.offset = offset
        self.fill = fill
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.normalize = normalize
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def features(self, analysis):
        return self._log_mel(analysis)
