"""The harmonic and the percussive domain of the paper."""

from dataclasses import KW_ONLY
from numbers import Real
from typing import Annotated

import numpy as np

from .._compat import Interval
from .._fields import Count, Positive, with_init
from ._analysis import Separation
from ._mel import MelDomain


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
