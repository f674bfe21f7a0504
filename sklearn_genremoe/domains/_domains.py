"""The feature domains of the paper."""

from numbers import Integral, Real

import numpy as np
import scipy.fft
from scipy.signal import savgol_filter

from .._sklearn_compat import Interval, StrOptions
from ._analysis import Separation, power_to_db, zscore
from ._base import BaseDomain

_HPSS_CONSTRAINTS: dict = {
    "kernel_size": [Interval(Integral, 1, None, closed="left")],
    "power": [Interval(Real, 0, None, closed="neither")],
    "margin": [Interval(Real, 1, None, closed="left")],
}


class LogMelSpectrogram(BaseDomain):
    """Log-mel spectrogram: the paper's original domain."""

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        offset=0.0,
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
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.normalize = normalize
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def features(self, analysis):
        return self._log_mel(analysis)


class _SeparatedSpectrogram(BaseDomain):
    """Log-mel spectrogram of one part of a harmonic-percussive separation."""

    _parameter_constraints: dict = {**BaseDomain._parameter_constraints, **_HPSS_CONSTRAINTS}

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
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.normalize = normalize
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _separated_log_mel(self, analysis, part):
        separation = Separation(self.kernel_size, self.power, self.margin)
        return self._log_mel(analysis, part, separation)


class HarmonicSpectrogram(_SeparatedSpectrogram):
    """Log-mel spectrogram of what sounds on: the paper's harmonic domain."""

    def features(self, analysis):
        return self._separated_log_mel(analysis, "harmonic")


class PercussiveSpectrogram(_SeparatedSpectrogram):
    """Log-mel spectrogram of what strikes: the paper's percussive domain."""

    def features(self, analysis):
        return self._separated_log_mel(analysis, "percussive")


class ModulationSpectrogram(BaseDomain):
    """Rhythm of each mel band: the paper's modulation domain."""

    _parameter_constraints: dict = {
        **BaseDomain._parameter_constraints,
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
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.normalize = normalize
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def features(self, analysis):
        mel = zscore(self._log_mel(analysis))
        first = 1 if self.drop_dc else 0
        n_bins = max(1, mel.shape[1] // 2)
        modulation = np.abs(scipy.fft.rfft(mel, axis=1))[:, first : first + n_bins]
        return power_to_db(modulation**2, self.top_db) if self.scale == "log" else modulation


class MFCC(BaseDomain):
    """Mel-frequency cepstral coefficients with their first and second differences."""

    _parameter_constraints: dict = {
        **BaseDomain._parameter_constraints,
        "n_mfcc": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        sample_rate=22050,
        duration=30.0,
        n_fft=1024,
        hop_length=512,
        n_mels=96,
        *,
        n_mfcc=20,
        offset=0.0,
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
        self.n_mfcc = n_mfcc
        self.offset = offset
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.normalize = normalize
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def features(self, analysis):
        mel = self._log_mel(analysis)
        mfcc = scipy.fft.dct(mel, axis=0, type=2, norm="ortho")[: self.n_mfcc]
        width = min(9, mfcc.shape[1] - (mfcc.shape[1] + 1) % 2)
        deltas = [
            savgol_filter(mfcc, width, polyorder=order, deriv=order, axis=1)
            if width > order
            else np.zeros_like(mfcc)
            for order in (1, 2)
        ]
        return np.concatenate([mfcc, *deltas])
