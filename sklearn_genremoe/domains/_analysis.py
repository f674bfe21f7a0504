"""What several domains need of one clip, computed once."""

import warnings
from functools import lru_cache, wraps
from typing import NamedTuple

import numpy as np
import scipy.fft

from .._rows import read_only
from ._median import running_median
from ._mel_kernels import mel_power

_MIN_POWER = 1e-10  # -100 dB, as in librosa.power_to_db
_CHUNK = 64  # frames transformed at a time: 0.5 MB, which stays in the second-level cache


class Separation(NamedTuple):
    """How to part the harmonic from the percussive, by running medians and soft masks."""

    kernel_size: tuple[int, int]  # frames along time, bins along frequency
    power: float  # exponent of the masks
    margin: float  # how many times louder one part must be than the other; 1 splits everything


def _once(method):
    """Let a method of an analysis compute once for the same arguments."""

    @wraps(method)
    def kept(self, *args, **kwargs):
        key = (method.__name__, *args, *sorted(kwargs.items()))
        if key not in self._kept:
            found = method(self, *args, **kwargs)
            # All domains see the same arrays.
            read = tuple(map(read_only, found)) if isinstance(found, tuple) else read_only(found)
            self._kept[key] = read
        return self._kept[key]

    return kept


class ClipAnalysis:
    """Spectrograms of one clip, computed when first asked for and then kept.

    All domains of a clip share one analysis, so that the clip is transformed once and each pair
    of median filters runs once, whatever the number of domains.

    Parameters
    ----------
    waveform : array-like of shape (n_samples,)
        The clip; filled up with zeros to one frame by spectrograms that need more.
    sample_rate : int
        Its sample rate in Hz.

    Attributes
    ----------
    waveform : ndarray of shape (n_samples,), dtype float32
        The clip; read-only, as all arrays here.
    sample_rate : int
        The sample rate as given.

    See Also
    --------
    BaseDomain : Its method ``features`` gets the analysis of a clip.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.domains import ClipAnalysis
    >>> clip = ClipAnalysis(np.sin(np.arange(22050) / 8), 22050)
    >>> clip.amplitude(1024, 512).shape
    (513, 44)
    >>> clip.amplitude(1024, 512) is clip.amplitude(1024, 512)
    True
    """

    def __init__(self, waveform, sample_rate):
        self.waveform = read_only(np.asarray(waveform, dtype=np.float32))
        self.sample_rate = sample_rate
        self._kept: dict[tuple, object] = {}

    @_once
    def amplitude(self, n_fft, hop_length):
        """Return the amplitude spectrogram.

        Periodic Hann window of `n_fft` samples, frames centred, edges reflected.

        Parameters
        ----------
        n_fft : int
            Samples per frame.
        hop_length : int
            Samples from one frame to the next.

        Returns
        -------
        amplitude : ndarray of shape (1 + n_fft // 2, n_frames), dtype float32
            Magnitude of the short-time Fourier transform.
        """
        return np.ascontiguousarray(self._frames(n_fft, hop_length).T)

    @_once
    def _frames(self, n_fft, hop_length):
        return magnitude_by_frames(self.waveform, n_fft, hop_length)

    @_once
    def medians(self, n_fft, hop_length, kernel_size):
        """Return the amplitude spectrogram smoothed along time and along frequency.

        Parameters
        ----------
        n_fft, hop_length : int
            The spectrogram.
        kernel_size : tuple of (int, int)
            Frames per running median along time, and bins per one along frequency.

        Returns
        -------
        harmonic, percussive : ndarray of shape (1 + n_fft // 2, n_frames), dtype float32
            Medians over neighbouring frames, which keep tones, and over neighbouring bins,
            which keep strokes.
        """
        frames, bins = kernel_size
        harmonic = running_median(self._frames(n_fft, hop_length), frames)
        percussive = running_median(self.amplitude(n_fft, hop_length), bins)
        return np.ascontiguousarray(harmonic.T), percussive

    @_once
    def mel_power(self, n_fft, hop_length, n_mels, fmin, fmax, part="original", separation=None):
        """Return the mel power spectrogram of the clip or of a part of it.

        Parameters
        ----------
        n_fft, hop_length : int
            The spectrogram.
        n_mels : int
            Number of mel bands.
        fmin, fmax : float
            Range of the bands in Hz; `fmax` None means half the sample rate.
        part : {"original", "harmonic", "percussive"}, default="original"
            The part.
        separation : Separation, default=None
            How to part the harmonic from the percussive, where one of them is wanted.

        Returns
        -------
        mel_power : ndarray of shape (n_mels, n_frames), dtype float32
            Power per band.
        """
        amplitude = self.amplitude(n_fft, hop_length)
        bands = mel_filterbank(self.sample_rate, n_fft, n_mels, fmin, fmax)
        if part == "original":
            return mel_power(amplitude, amplitude, amplitude, 1.0, 0.0, *bands)
        wanted, other = self.medians(n_fft, hop_length, separation.kernel_size)
        if part == "percussive":
            wanted, other = other, wanted
        return mel_power(amplitude, wanted, other, separation.margin, separation.power, *bands)

    @_once
    def log_mel(
        self, n_fft, hop_length, n_mels, fmin, fmax, top_db, part="original", separation=None
    ):
        """Return the mel power spectrogram of the clip or of a part of it in decibels.

        Parameters
        ----------
        n_fft, hop_length, n_mels, fmin, fmax : int or float
            As in :meth:`mel_power`.
        top_db : float or None
            Floor below the maximum, in dB; None for no floor.
        part, separation : str and Separation
            As in :meth:`mel_power`.

        Returns
        -------
        log_mel : ndarray of shape (n_mels, n_frames), dtype float32
            Decibels.
        """
        power = self.mel_power(n_fft, hop_length, n_mels, fmin, fmax, part, separation)
        return power_to_db(power, top_db)


def magnitude_by_frames(waveform, n_fft, hop_length):
    """Return the magnitude of the short-time Fourier transform, (n_frames, 1 + n_fft // 2)."""
    if len(waveform) < n_fft:
        waveform = np.pad(waveform, (0, n_fft - len(waveform)))
    padded = np.pad(waveform, n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    # Transformed in double precision, like librosa does: single precision would blur the
    # bins that are 100 dB below their frame's maximum, and the masks depend on them.
    window = np.hanning(n_fft + 1)[:-1]  # periodic
    amplitude = np.empty((len(frames), 1 + n_fft // 2), dtype=np.float32)
    for start in range(0, len(frames), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        spectra = scipy.fft.rfft(frames[chunk] * window, axis=1, overwrite_x=True)
        np.abs(spectra.astype(np.complex64), out=amplitude[chunk])
    return amplitude


@lru_cache(maxsize=32)
def mel_filterbank(sample_rate, n_fft, n_mels, fmin, fmax):
    """Return librosa's Slaney mel filterbank, and to which bands each frequency bin belongs.

    ``weights[:, bin]`` is zero outside ``first[bin] <= band < last[bin]``.
    """
    nyquist = sample_rate / 2
    top = nyquist if fmax is None else fmax
    if not fmin < top <= nyquist:
        found = f"fmin={fmin} and fmax={fmax} at sample_rate={sample_rate}"
        raise ValueError(f"{found}; expected fmin < fmax <= sample_rate / 2 = {nyquist:g}")
    from librosa.filters import mel  # slow to import, so not before it is needed

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters detected", UserWarning)
        weights = mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    n_empty = np.count_nonzero(~weights.any(axis=1))
    if n_empty:
        found = f"n_mels={n_mels} at n_fft={n_fft} and sample_rate={sample_rate}"
        raise ValueError(f"{found}: {n_empty} bands would be empty; take fewer, or a larger n_fft")
    filled = weights > 0
    first = np.argmax(filled, axis=0)
    last = first + np.count_nonzero(filled, axis=0)
    return weights, first, last


def power_to_db(power, top_db):
    """Convert power, at least 1e-10, to decibels, no more than `top_db` below the maximum."""
    decibels = np.log(np.maximum(power, np.float32(_MIN_POWER)))  # 3 times as fast as log10
    decibels *= np.float32(10 / np.log(10))
    if top_db is not None:
        np.maximum(decibels, decibels.max() - np.float32(top_db), out=decibels)
    return decibels


def zscore(x, axis=None):
    """Shift and scale to mean 0 and deviation 1; zeros where x is constant within rounding."""
    mean = x.mean(axis=axis, keepdims=True, dtype=np.float64)
    scores = x - mean.astype(np.float32)
    deviation = np.sqrt(np.square(scores).mean(axis=axis, keepdims=True, dtype=np.float64))
    constant = deviation <= 1e-6 * np.abs(mean)
    scores *= np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)
    return scores
