"""The modulation domain of the paper."""

from dataclasses import KW_ONLY
from typing import Literal

import numpy as np
import scipy.fft

from .._fields import with_init
from ._analysis import power_to_db, zscore
from ._mel import MelDomain


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
