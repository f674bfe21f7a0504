"""Compiled inner loops."""

import numpy as np

from .._compat import compiled

_TINY = np.float32(np.finfo(np.float32).tiny)


@compiled
def mel_power(amplitude, wanted, other, margin, exponent, weights, first, last):
    """Sum the power of what a soft mask lets through over mel bands, ``weights @ power``.

    The mask is ``wanted**exponent / (wanted**exponent + (margin * other)**exponent)``; where both
    are empty it is 0.5 if the margin is 1, so that masks sum to 1, else 0. With an exponent of 0
    all passes. A bin belongs to the bands ``first[bin] <= band < last[bin]`` only.
    """
    n_bins, n_frames = amplitude.shape
    sums = np.zeros((len(weights), n_frames), dtype=np.float32)
    power = np.empty(n_frames, dtype=np.float32)
    margin = np.float32(margin)
    both_empty = np.float32(0.5) if margin == 1 else np.float32(0)
    for row in range(n_bins):
        # Decided outside of the inner loop, which vectorises without powers.
        if exponent == 0:
            for i in range(n_frames):
                power[i] = amplitude[row, i] ** 2
        elif exponent == 2:
            for i in range(n_frames):
                a, b = wanted[row, i], other[row, i] * margin
                ratio = _ratio(a, b)
                mask = _mask(a, b, ratio * ratio, both_empty)
                power[i] = (mask * amplitude[row, i]) ** 2
        else:
            for i in range(n_frames):
                a, b = wanted[row, i], other[row, i] * margin
                mask = _mask(a, b, np.float32(_ratio(a, b) ** exponent), both_empty)
                power[i] = (mask * amplitude[row, i]) ** 2
        _add_to_bands(power, row, weights, first, last, sums)
    return sums


@compiled
def _add_to_bands(power, row, weights, first, last, sums):
    """Add one bin to the few bands that it belongs to."""
    for band in range(first[row], last[row]):
        weight = weights[band, row]
        for i in range(len(power)):
            sums[band, i] += weight * power[i]


@compiled
def _ratio(a, b):
    """Divide the smaller by the larger, which neither overflows nor loses precision."""
    larger = a if a > b else b
    smaller = b if a > b else a
    return smaller / (larger if larger >= _TINY else np.float32(1))


@compiled
def _mask(a, b, odds, both_empty):
    """Return the share of a, given the odds of the smaller of a and b."""
    one = np.float32(1)
    share = (one if a >= b else odds) / (one + odds)
    return share if a >= _TINY or b >= _TINY else both_empty
