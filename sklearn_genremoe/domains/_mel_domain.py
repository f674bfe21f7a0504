"""What the domains on mel bands have in common."""

from numbers import Integral, Real

from .._compat import Interval
from ._analysis import ClipAnalysis, mel_filterbank, power_to_db
from ._base import BaseDomain


class MelDomain(BaseDomain):
    """A domain that starts from a log-mel spectrogram."""

    _parameter_constraints: dict = {
        **BaseDomain._parameter_constraints,
        "n_mels": [Interval(Integral, 1, None, closed="left")],
        "fmin": [Interval(Real, 0, None, closed="left")],
        "fmax": [Interval(Real, 0, None, closed="neither"), None],
        "top_db": [Interval(Real, 0, None, closed="neither"), None],
    }

    def _check_params(self):
        super()._check_params()
        mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax)

    def _log_mel(self, analysis: ClipAnalysis, part="original", separation=None):
        """Return the log-mel spectrogram in dB of the clip or of a part of it."""
        mel_power = analysis.mel_power(
            self.n_fft, self.hop_length, self.n_mels, self.fmin, self.fmax, part, separation
        )
        return power_to_db(mel_power, self.top_db)
