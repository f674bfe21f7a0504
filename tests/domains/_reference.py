"""The feature domains by librosa, line by line from the specification, without our code."""

import librosa
import numpy as np
import soundfile

DOMAINS = ("original", "harmonic", "percussive", "modulation", "mfcc")


def load(path, rate=22050, duration=30.0):
    """First seconds at a sample rate, mono, filled up with zeros."""
    samples, native = soundfile.read(path, dtype="float32", always_2d=True)
    mono = librosa.to_mono(samples.T)
    return librosa.util.fix_length(
        librosa.resample(mono, orig_sr=native, target_sr=rate), size=round(duration * rate)
    )


def decibels(waveform, n_fft=1024, kernel_size=31, power=2.0, margin=1.0):
    """Log-mel spectrograms in dB of a waveform, its harmonic and its percussive part."""
    if len(waveform) < n_fft:
        waveform = librosa.util.fix_length(waveform, size=n_fft)
    spectrum = librosa.stft(
        waveform, n_fft=n_fft, hop_length=512, window="hann", center=True, pad_mode="reflect"
    )
    if min(spectrum.shape) > np.max(kernel_size) // 2:
        harmonic, percussive = librosa.decompose.hpss(
            spectrum, kernel_size=kernel_size, power=power, margin=margin
        )
    else:
        harmonic, percussive = separate_few_frames(spectrum, kernel_size, power)
    return {
        "original": log_mel(spectrum),
        "harmonic": log_mel(harmonic),
        "percussive": log_mel(percussive),
    }


def separate_few_frames(spectrum, kernel_size, power):
    """Separate by the definition: scipy's median filter, which librosa uses, reads beyond the
    end of its memory where the window reaches over more than the whole axis."""
    amplitude = np.abs(spectrum)

    def median(axis):
        margin = [(0, 0), (0, 0)]
        margin[axis] = (kernel_size // 2, kernel_size // 2)
        padded = np.pad(amplitude, margin, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=axis)
        return np.median(windows, axis=-1)

    harmonic, percussive = median(1), median(0)
    return tuple(
        spectrum * librosa.util.softmask(a, b, power=power, split_zeros=True)
        for a, b in ((harmonic, percussive), (percussive, harmonic))
    )


def log_mel(spectrum):
    mel = librosa.feature.melspectrogram(
        S=np.abs(spectrum) ** 2, sr=22050, n_mels=96, fmin=0, fmax=11025, htk=False, norm="slaney"
    )
    return librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80.0)


def zscore(x):
    # "A constant clip must give zeros": up to what float32 leaves of a constant.
    if x.std() <= 1e-6 * np.abs(x.mean()):
        return np.zeros_like(x, dtype=np.float32)
    return ((x - x.mean()) / x.std()).astype(np.float32)


def domains(waveform):
    """All five domains of a waveform."""
    in_decibels = decibels(waveform)
    features = {name: zscore(x) for name, x in in_decibels.items()}
    n_frames = features["original"].shape[1]
    modulation = np.abs(np.fft.fft(features["original"], axis=1))[:, : n_frames // 2]
    features["modulation"] = zscore(modulation)
    mfcc = librosa.feature.mfcc(S=in_decibels["original"], n_mfcc=20, dct_type=2, norm="ortho")
    deltas = [librosa.feature.delta(mfcc, width=9, order=order) for order in (1, 2)]
    features["mfcc"] = zscore(np.concatenate([mfcc, *deltas]))
    return features
