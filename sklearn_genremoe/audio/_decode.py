"""From an audio file to a waveform."""

import math
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ._errors import BadClipError

#: Amplitude below which a clip counts as silent: -100 dB of full scale, a third of the
#: smallest step of 16-bit audio.
SILENCE = 1e-5

#: Samples of one analysis frame (46 ms at 22,050 Hz); a shorter clip is refused.
ONE_FRAME = 1024

# Native samples decoded before and after a part, so that the resampler's filter sees what is
# really there: a few hundred samples. Before it, mp3 needs more: a frame's bits may begin up to 511
# bytes earlier, which is 20 small frames of 1,152 samples.
_LEAD = 2**15
_TAIL = 2**12


def decode_audio(
    path: str | Path,
    *,
    sample_rate: int = 22050,
    offset: float = 0.0,
    duration: float | None = None,
    min_samples: int = ONE_FRAME,
) -> np.ndarray:
    """Decode a part of an audio file to mono at a given sample rate.

    Reads only the part that is needed, takes the mean of the channels, and resamples with
    soxr (quality "HQ").

    Parameters
    ----------
    path : str or Path
        A file that libsndfile reads: wav, flac, ogg, opus, mp3, aiff and others.
    sample_rate : int, default=22050
        Sample rate of the result in Hz.
    offset : float, default=0.0
        Where to begin, in seconds.
    duration : float, default=None
        How much to read, in seconds; None reads to the end.
    min_samples : int, default=1024
        The least number of samples at `sample_rate` that makes a usable clip, unless
        `duration` asks for less.

    Returns
    -------
    waveform : ndarray of shape (n_samples,), dtype float32
        At most ``round(duration * sample_rate)`` samples, fewer where the file ends earlier.
        Full scale is -1 to 1.

    Raises
    ------
    BadClipError
        The file is missing, cannot be decoded, is empty, ends before `offset`, is shorter
        than `min_samples`, is silent throughout, or holds NaN or infinite samples.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> path = load_mini_genres().data[0]
    >>> decode_audio(path, duration=2.0).shape
    (44100,)
    """
    _require_file(path)
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            native, lead = _read_part(file, path, sample_rate, offset, duration)
            native_rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise BadClipError(
            path,
            f"could not be decoded (libsndfile says: {error.error_string.strip()}); accepted is "
            "what it reads (wav, flac, ogg, opus, mp3, ...): convert the file, for example with "
            "ffmpeg -i FILE clip.flac, or leave it out",
        ) from None
    if native_rate == sample_rate:
        waveform = native[lead:]
    else:
        resampled = soxr.resample(native, native_rate, sample_rate, quality="HQ")
        waveform = resampled[lead * sample_rate // native_rate :]
    if duration is not None:
        n_samples = round(duration * sample_rate)
        waveform = waveform[:n_samples]
        min_samples = max(1, min(min_samples, n_samples))
    _require_usable(waveform, path, sample_rate, min_samples)
    return np.ascontiguousarray(waveform)


def fix_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut a waveform at the end, or fill it up with zeros, to a number of samples.

    Parameters
    ----------
    waveform : ndarray of shape (any,)
        The waveform.
    n_samples : int
        The length wanted.

    Returns
    -------
    waveform : ndarray of shape (n_samples,)
        A view where the waveform is long enough, else a padded copy.

    Examples
    --------
    >>> import numpy as np
    >>> fix_length(np.ones(2), 3)
    array([1., 1., 0.])
    """
    if waveform.shape[0] >= n_samples:
        return waveform[:n_samples]
    return np.pad(waveform, (0, n_samples - waveform.shape[0]))


def _require_file(path) -> None:
    if not Path(path).exists():
        raise BadClipError(path, "no such file; check the path and the working directory")
    if not Path(path).is_file():
        raise BadClipError(path, "is not a file; give the path of one audio file per clip")
    if Path(path).stat().st_size == 0:
        raise BadClipError(path, "the file is empty (0 bytes); fetch it again or leave it out")


def _read_part(file, path, sample_rate, offset, duration) -> tuple[np.ndarray, int]:
    """Read mono samples at the native rate, and how many of them precede `offset`."""
    rate = file.samplerate
    if file.frames == 0:
        raise BadClipError(path, "holds no samples; fetch it again or leave it out")
    start = round(offset * rate)
    if start >= file.frames:
        raise BadClipError(
            path,
            f"ends after {file.frames / rate:.2f} s, before offset={offset} s; "
            "take a smaller offset or leave the clip out",
        )
    # Begin a little earlier, by a number of samples that is whole at both rates.
    step = rate // math.gcd(rate, sample_rate)
    lead = min(start, max(_LEAD, step)) // step * step
    file.seek(start - lead)
    wanted = -1 if duration is None else lead + math.ceil(duration * rate) + _TAIL
    channels = file.read(wanted, dtype="float32", always_2d=True)
    return _mean_of_channels(channels), lead


def _mean_of_channels(channels: np.ndarray) -> np.ndarray:
    """Mix down; numpy's own mean takes twenty times as long over so short an axis."""
    mono = channels[:, 0].copy()
    for channel in channels.T[1:]:
        mono += channel
    mono /= channels.shape[1]
    return mono


def _require_usable(waveform, path, sample_rate, min_samples) -> None:
    if waveform.shape[0] < min_samples:
        raise BadClipError(
            path,
            f"holds {waveform.shape[0]} samples at {sample_rate} Hz, shorter than one frame of "
            f"{min_samples} samples; give a longer clip or leave it out",
        )
    peak = np.abs(waveform).max()
    if not np.isfinite(peak):
        raise BadClipError(
            path,
            "holds NaN or infinite samples; samples must be finite: repair the file or leave it "
            "out",
        )
    if peak < SILENCE:
        raise BadClipError(
            path,
            f"is silent throughout (peak {peak:.1e} of full scale in the "
            f"{waveform.shape[0] / sample_rate:.2f} s that were read); take another part of it "
            "by offset, or leave it out",
        )
