"""Compiled inner loops."""

import numpy as np

from ._compiled import compiled

_TINY = np.float32(np.finfo(np.float32).tiny)


@compiled
def masked_power(amplitude, wanted, other, margin, power):
    """Return the power of what a soft mask lets through.

    The mask is ``wanted ** power / (wanted ** power + (margin * other) ** power)``; where both
    are empty it is 0.5 if the margin is 1, so that masks sum to 1, else 0.

    Parameters
    ----------
    amplitude, wanted, other : ndarray of shape (n_bins, n_frames), dtype float32
        The amplitude spectrogram, and what two filters made of it.
    margin, power : float
        The constants of the mask.

    Returns
    -------
    masked : ndarray of shape (n_bins, n_frames), dtype float32
        ``(mask * amplitude) ** 2``.
    """
    masked = np.empty_like(amplitude)
    margin = np.float32(margin)
    both_empty = np.float32(0.5) if margin == 1 else np.float32(0)
    n_rows, n_frames = amplitude.shape
    for row in range(n_rows):
        if power == 2:  # decided outside of the inner loop, which vectorises without powers
            for i in range(n_frames):
                a, b = wanted[row, i], other[row, i] * margin
                ratio = _ratio(a, b)
                mask = _mask(a, b, ratio * ratio, both_empty)
                masked[row, i] = (mask * amplitude[row, i]) ** 2
        else:
            for i in range(n_frames):
                a, b = wanted[row, i], other[row, i] * margin
                mask = _mask(a, b, np.float32(_ratio(a, b) ** power), both_empty)
                masked[row, i] = (mask * amplitude[row, i]) ** 2
    return masked


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


@compiled
def weighted_sums(weights, first, last, power):
    """Multiply a banded matrix with a matrix.

    Parameters
    ----------
    weights : ndarray of shape (n_bands, n_bins), dtype float32
        The matrix.
    first, last : ndarray of shape (n_bands,), dtype int
        Weights are zero outside ``first[band] <= bin < last[band]``.
    power : ndarray of shape (n_bins, n_frames), dtype float32
        The other matrix.

    Returns
    -------
    sums : ndarray of shape (n_bands, n_frames), dtype float32
        ``weights @ power``.
    """
    n_frames = power.shape[1]
    sums = np.zeros((len(weights), n_frames), dtype=np.float32)
    for band in range(len(weights)):
        for row in range(first[band], last[band]):
            weight = weights[band, row]
            for i in range(n_frames):
                sums[band, i] += weight * power[row, i]
    return sums
