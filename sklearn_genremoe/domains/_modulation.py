"""The modulation domain of the paper."""

import numpy as np
import scipy.fft

from .._compat import StrOptions
from ._analysis import power_to_db, zscore
from ._mel_domain import MelDomain


class ModulationSpectrogram(MelDomain):
    """How fast the mel bands pulse: the paper's modulation domain.

    The magnitude of the Fourier transform of each band of the z-scored log-mel spectrogram along
    time: column k tells how strongly a band pulses k times per clip.

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
    scale : {"linear", "log"}, default="linear"
        Magnitude, as in the paper, or its decibels with the floor `top_db`.
    drop_dc : bool, default=False
        Whether to begin at one pulse per clip. Else the first column is the mean of each band,
        as in the paper; it is so large that after normalisation nearly everything else is
        within 0.5 of zero.
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

    _parameter_constraints: dict = {
        **MelDomain._parameter_constraints,
        "scale": [StrOptions({"linear", "log"})],
        "drop_dc": ["boolean"],
    }

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        scale="linear",
        drop_dc=False,
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
        self.scale = scale
        self.drop_dc = drop_dc
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
        """Compute the modulation spectrogram of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_mels, n_frames // 2), dtype float32
            Magnitudes, or their decibels.
        """
        mel = zscore(self._log_mel(analysis))
        first = int(self.drop_dc)
        last = first + max(1, mel.shape[1] // 2)
        magnitude = np.abs(scipy.fft.rfft(mel, axis=1)[:, first:last])
        return power_to_db(magnitude**2, self.top_db) if self.scale == "log" else magnitude
