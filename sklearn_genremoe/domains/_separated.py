"""The harmonic and the percussive domain of the paper."""

from numbers import Integral, Real

import numpy as np

from .._compat import Interval
from ._analysis import Separation
from ._mel_domain import MelDomain


class SeparatedSpectrogram(MelDomain):
    """Log-mel spectrogram of one part of a harmonic-percussive separation."""

    _parameter_constraints: dict = {
        **MelDomain._parameter_constraints,
        "kernel_size": [Interval(Integral, 1, None, closed="left"), tuple],
        "power": [Interval(Real, 0, None, closed="neither")],
        "margin": [Interval(Real, 1, None, closed="left")],
    }

    def _check_params(self):
        super()._check_params()
        if isinstance(self.kernel_size, tuple):
            sizes = np.asarray(self.kernel_size)
            if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
                raise ValueError(
                    f"kernel_size={self.kernel_size!r} is not accepted; expected one positive "
                    "integer, or a tuple of two: frames and frequency bins."
                )

    def _part(self, analysis, part):
        """Return the log-mel spectrogram of the clip or of a part of it."""
        if part == "original":
            return self._log_mel(analysis)
        frames, bins = np.broadcast_to(self.kernel_size, 2).tolist()
        separation = Separation((frames, bins), self.power, self.margin)
        return self._log_mel(analysis, part, separation)


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
    kernel_size : int or tuple of (int, int), default=31
        Frames per running median along time and frequency bins per one along frequency; one
        number stands for both.
    power : float, default=2.0
        Exponent of the soft masks.
    margin : float, default=1.0
        How many times louder than the other part a part must be; at 1 the masks sum to 1.
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
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips extracted in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.

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

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        kernel_size=31,
        power=2.0,
        margin=1.0,
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
        self.kernel_size = kernel_size
        self.power = power
        self.margin = margin
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
        """Compute the harmonic log-mel spectrogram of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_mels, n_frames), dtype float32
            Decibels.
        """
        return self._part(analysis, "harmonic")


class PercussiveSpectrogram(SeparatedSpectrogram):
    """Log-mel spectrogram of the percussive (transient) part: the paper's percussive domain.

    Running medians along frequency of the amplitude spectrogram keep strokes, those along
    time keep tones. A soft mask made of both lets the percussive part of the clip
    pass [1]_::

        mask = strokes**power / (strokes**power + (margin * tones)**power)

    The power of what passes is summed over mel bands and taken in decibels, as in
    :class:`~sklearn_genremoe.LogMelSpectrogram`.

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
    kernel_size : int or tuple of (int, int), default=31
        Frames per running median along time and frequency bins per one along frequency; one
        number stands for both.
    power : float, default=2.0
        Exponent of the soft masks.
    margin : float, default=1.0
        How many times louder than the other part a part must be; at 1 the masks sum to 1.
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
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips extracted in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.

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

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        kernel_size=31,
        power=2.0,
        margin=1.0,
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
        self.kernel_size = kernel_size
        self.power = power
        self.margin = margin
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
        """Compute the percussive log-mel spectrogram of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_mels, n_frames), dtype float32
            Decibels.
        """
        return self._part(analysis, "percussive")
