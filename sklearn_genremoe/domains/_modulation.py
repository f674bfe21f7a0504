"""The modulation domain of the paper."""

import numpy as np
import scipy.fft

from .._compat import StrOptions
from ._analysis import power_to_db, zscore
from ._mel import MelDomain


class ModulationSpectrogram(MelDomain):
    """How fast the mel bands pulse: the paper's modulation domain.

    The magnitude of the Fourier transform of each band of the z-scored log-mel spectrogram along
    time: column k tells how strongly a band pulses k times per clip.

    Parameters
    ----------
    <signal>
    scale : {"linear", "log"}, default="linear"
        Magnitude, as in the paper, or its decibels with the floor `top_db`.
    drop_dc : bool, default=False
        Whether to begin at one pulse per clip. Else the first column is the mean of each band,
        as in the paper; it is so large that after normalisation nearly everything else is
        within 0.5 of zero.
    <others>

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
        mel = zscore(self._log_mel(analysis))
        if self.drop_dc and mel.shape[1] < 2:
            raise ValueError(
                "drop_dc=True leaves nothing of a clip of one frame; expected at least two frames: "
                "give longer clips, a shorter hop_length, or drop_dc=False"
            )
        first = int(self.drop_dc)
        last = first + max(1, mel.shape[1] // 2)
        magnitude = np.abs(scipy.fft.rfft(mel, axis=1)[:, first:last])
        return power_to_db(magnitude**2, self.top_db) if self.scale == "log" else magnitude
