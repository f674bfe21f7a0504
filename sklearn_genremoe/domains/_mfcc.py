"""The baseline domain of the paper."""

import math
from dataclasses import KW_ONLY

import numpy as np
import scipy.fft

from .._fields import Count, with_init
from ._mel import MelDomain

_DELTA_WIDTH = 9  # frames that a slope is fitted to


@with_init
class MFCC(MelDomain):
    """Mel-frequency cepstral coefficients: the paper's baseline domain.

    The first coefficients of the orthonormal cosine transform of the log-mel spectrogram along
    its bands, and below them their first and second differences over 9 frames (slope and
    curvature of the least-squares parabola; fewer frames where the clip is shorter).

    Parameters
    ----------
    n_mfcc : int, default=20
        Number of coefficients; the result has three times as many rows, at most 3 * n_mels.
    <inherited>

    See Also
    --------
    LogMelSpectrogram : What it is computed from.
    DomainUnion : Several domains for the price of one.

    References
    ----------
    .. [1] Davis, Mermelstein, "Comparison of parametric representations for monosyllabic word
       recognition in continuously spoken sentences", IEEE TASSP 28(4), 1980.

    Examples
    --------
    >>> from sklearn_genremoe import MFCC
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:2]
    >>> MFCC(duration=5.0).fit_transform(paths).shape
    (2, 60, 216)
    """

    _: KW_ONLY
    n_mfcc: Count = 20

    def features(self, analysis):
        mel = self._log_mel(analysis)
        mfcc = scipy.fft.dct(mel, axis=0, type=2, norm="ortho")[: self.n_mfcc]
        return np.concatenate([mfcc, _delta(mfcc, 1), _delta(mfcc, 2)])


def _delta(x, order):
    """Return the local difference of an order, as :func:`librosa.feature.delta` does.

    It is the derivative of the parabola (for order 1: the line) that fits the neighbours best, a
    constant of the fit; the outermost frames take it from the outermost full window.
    """
    n_frames = x.shape[1]
    width = min(_DELTA_WIDTH, n_frames - 1 + n_frames % 2)  # the largest odd number that fits
    if width <= order:
        return np.zeros_like(x)
    steps = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(steps, order + 1, increasing=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=1)
    derivative = windows @ (math.factorial(order) * fit[order])
    margin = width // 2
    return np.pad(derivative, ((0, 0), (margin, margin)), mode="edge").astype(x.dtype)
