"""What several domains need of one clip, computed once."""

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal

from ._median import running_median

_AMIN = 1e-10  # the least power, as in librosa.power_to_db


class ClipAnalysis:
    """Spectra of one clip, computed when first asked for and then kept.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        The clip.
    sample_rate : int
        Its sample rate in Hz.
    """

    def __init__(self, waveform, sample_rate):
        self.waveform = np.asarray(waveform, dtype=np.float32)
        self.sample_rate = sample_rate
        self._kept = {}

    def _once(self, compute, *key):
        """Return ``compute(*key)``, computed once per key."""
        full = (compute.__name__, *key)
        if full not in self._kept:
            self._kept[full] = compute(*key)
        return self._kept[full]

    def amplitude(self, n_fft, hop_length):
        """Return the amplitude spectrogram, (1 + n_fft // 2, n_frames)."""
        return self._once(self._amplitude, n_fft, hop_length)

    def mel_power(self, source, stft, mel, hpss=None):
        """Return the mel power spectrogram of a source, (n_mels, n_frames)."""
        return self._once(self._mel_power, source, stft, mel, hpss)

    def _amplitude(self, n_fft, hop_length):
        waveform = self.waveform
        if waveform.shape[0] < n_fft:
            waveform = np.pad(waveform, (0, n_fft - waveform.shape[0]))
        padded = np.pad(waveform, n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
        window = scipy.signal.get_window("hann", n_fft).astype(np.float32)
        return np.ascontiguousarray(np.abs(scipy.fft.rfft(frames * window, axis=1)).T)

    def _medians(self, stft, kernel_size):
        amplitude = self.amplitude(*stft)
        return (
            np.ascontiguousarray(running_median(amplitude.T, kernel_size[0]).T),
            running_median(amplitude, kernel_size[1]),
        )

    def _mel_power(self, source, stft, mel, hpss):
        amplitude = self.amplitude(*stft)
        if source != "original":
            kernel_size, power, margin = hpss
            harmonic, percussive = self._once(self._medians, stft, kernel_size)
            wanted, other = (
                (harmonic, percussive) if source == "harmonic" else (percussive, harmonic)
            )
            amplitude = amplitude * soft_mask(wanted, other * np.float32(margin), power, margin)
        return mel_filterbank(self.sample_rate, stft[0], *mel) @ (amplitude * amplitude)


def soft_mask(wanted, other, power, margin):
    larger = np.maximum(wanted, other)
    empty = larger < np.finfo(np.float32).tiny
    larger[empty] = 1
    a, b = (wanted / larger) ** power, (other / larger) ** power
    a[empty] = b[empty] = 1 if margin == 1 else 0
    b[empty] = 1
    return a / (a + b)


@lru_cache(maxsize=16)
def mel_filterbank(sample_rate, n_fft, n_mels, fmin, fmax):
    """Return the Slaney mel filterbank, (n_mels, 1 + n_fft // 2)."""
    from librosa.filters import mel  # a second to import, so only where it is needed

    return mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)


def power_to_db(power, top_db):
    """Return decibels of power, floored `top_db` below the maximum."""
    db = 10.0 * np.log10(np.maximum(_AMIN, power))
    return db if top_db is None else np.maximum(db, db.max() - np.float32(top_db))


def zscore(x, axis=None):
    """Return x with mean 0 and deviation 1, or zeros where x is constant."""
    centred = x - x.mean(axis=axis, keepdims=True, dtype=np.float64).astype(np.float32)
    deviation = centred.std(axis=axis, keepdims=True, dtype=np.float64)
    scale = np.abs(x).max(axis=axis, keepdims=True)
    flat = deviation <= 1e-6 * scale
    centred /= np.where(flat, 1, deviation).astype(np.float32)
    return np.where(flat, np.float32(0), centred)
