"""From an audio file to a waveform."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from ._errors import BadClipError
from ._read import read_blocks, require_file

#: Amplitude below which a clip counts as silent: -100 dB of full scale, a third of the
#: smallest step of 16-bit audio.
SILENCE = 1e-5

#: Amplitude beyond which samples are damage, and spectra would exceed single precision.
LOUDEST = 1e12

#: Samples of one analysis frame (46 ms at 22,050 Hz); a shorter clip is refused.
ONE_FRAME = 1024

# Seconds decoded before and after a part, so that the resampler's filter sees what is really
# there, and coders with a memory are in step. Parts begin at a whole second, which is a whole
# number of samples at every rate.
_LEAD = 1
_TAIL = 0.25

# Below this share of the power that uncorrelated channels would leave in their mean (-30 dB),
# channels cancel.
_CANCELLED = 1e-3


class Part(NamedTuple):
    """A part of a file, and how it is wanted.

    Attributes
    ----------
    sample_rate : int
        Sample rate wanted in Hz.
    offset : float
        Where to begin, in seconds.
    duration : float or None
        How much to read, in seconds; None reads to the end.
    """

    sample_rate: int
    offset: float = 0.0
    duration: float | None = None

    @property
    def start(self) -> int:
        """Second at which decoding begins."""
        return max(0, math.floor(self.offset) - _LEAD)

    @property
    def stop(self) -> float:
        """Second at which decoding ends."""
        return math.inf if self.duration is None else self.offset + self.duration + _TAIL


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
    soxr (quality "HQ"). Where the channels cancel in their mean, as those of a recording with one
    channel in opposite phase do, the channel with the most energy is taken instead.

    Parameters
    ----------
    path : str or Path
        A file that libsndfile reads: wav, flac, ogg, opus, mp3, aiff and others. With PyAV
        installed (``pip install 'sklearn-genremoe[ffmpeg]'``) also what FFmpeg reads: m4a, aac,
        wma, webm, wv, ac3 and others.
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
    return decode_parts(path, [Part(sample_rate, offset, duration)], min_samples=min_samples)[0]


def decode_parts(
    path: str | Path, parts: Sequence[Part], *, min_samples: int = ONE_FRAME
) -> list[np.ndarray]:
    """Decode parts of an audio file, each at its own sample rate, with one decode.

    Parameters
    ----------
    path : str or Path
        As in :func:`decode_audio`.
    parts : sequence of Part
        The parts; where they overlap, the file is decoded once for all of them.
    min_samples : int, default=1024
        As in :func:`decode_audio`.

    Returns
    -------
    waveforms : list of ndarray of shape (n_samples,), dtype float32
        What :func:`decode_audio` gives for each part.
    """
    require_file(path)
    waveforms: dict[Part, np.ndarray] = {}
    waiting = sorted(set(parts), key=lambda part: part.start)
    while waiting:
        together = [waiting.pop(0)]
        stop = together[0].stop
        while waiting and waiting[0].start <= stop:
            together.append(waiting.pop(0))
            stop = max(stop, together[-1].stop)
        start = together[0].start
        native = _read_mono(path, start, stop)
        for part in together:
            waveform = _resampled(path, native, part)
            _require_usable(waveform, path, part, min_samples, SILENCE / native.n_channels)
            waveforms[part] = waveform
    return [waveforms[part] for part in parts]


def fix_length(waveform: np.ndarray, n_samples: int, fill: str = "zeros") -> np.ndarray:
    """Cut a waveform at the end, or fill it up, to a number of samples.

    Parameters
    ----------
    waveform : ndarray of shape (any,)
        The waveform.
    n_samples : int
        The length wanted.
    fill : {"zeros", "repeat"}, default="zeros"
        What to fill up with: zeros, or the waveform again and again.

    Returns
    -------
    waveform : ndarray of shape (n_samples,)
        A view where the waveform is long enough, else a padded copy.

    Examples
    --------
    >>> import numpy as np
    >>> fix_length(np.array([1.0, 2.0]), 3)
    array([1., 2., 0.])
    >>> fix_length(np.array([1.0, 2.0]), 5, fill="repeat")
    array([1., 2., 1., 2., 1.])
    """
    if fill not in ("zeros", "repeat"):
        raise ValueError(f"fill={fill!r}; expected 'zeros' or 'repeat'")
    if waveform.shape[0] >= n_samples:
        return waveform[:n_samples]
    if fill == "repeat" and waveform.shape[0]:
        return np.resize(waveform, n_samples)
    return np.pad(waveform, (0, n_samples - waveform.shape[0]))


class _Native(NamedTuple):
    """Mono samples of a file from a second on, as they were recorded.

    Attributes
    ----------
    samples : ndarray of shape (n_frames,), dtype float32
        The samples.
    rate : int
        Their sample rate in Hz.
    start : int
        The second at which they begin.
    end : int
        The number in the file of the frame behind the last one.
    n_channels : int
        How many channels they are the mean of.
    """

    samples: np.ndarray
    rate: int
    start: int
    end: int
    n_channels: int


def _read_mono(path, start: int, stop: float) -> _Native:
    """Read mono samples from a second to another, or a little further."""
    limit = None if stop == math.inf else stop
    blocks: list[np.ndarray] = []
    power = 0.0
    for rate, end, channels in _blocks_from(path, start, limit):  # noqa: B007
        power += float(np.vdot(channels, channels))
        blocks.append(_mean_of_channels(channels))
    mono = np.concatenate(blocks)
    n_channels = channels.shape[1]
    if n_channels > 1 and _power(mono) * n_channels < _CANCELLED * power / n_channels:
        mono = _loudest_channel(path, start, limit, mono)
    return _Native(mono, rate, start, end, n_channels)


def _blocks_from(path, start, stop):
    """Yield blocks from second `start` on, each with the frame at which it ends."""
    for rate, position, channels in read_blocks(path, start, stop):
        yield rate, position + len(channels), channels[max(0, start * rate - position) :]


def _power(waveform: np.ndarray) -> float:
    """Return the power of a waveform but for its mean, summed over the samples."""
    if not len(waveform):
        return 0.0
    mean = float(waveform.mean(dtype=np.float64))
    return float(np.vdot(waveform, waveform)) - len(waveform) * mean**2


def _loudest_channel(path, start, stop, mono: np.ndarray) -> np.ndarray:
    """Read the channel with the most energy, if the mean of all really lacks what they have."""
    powers = sum(
        np.array([_power(channel.copy()) for channel in channels.T])
        for _, _, channels in _blocks_from(path, start, stop)
    )
    if _power(mono) * len(powers) >= _CANCELLED * powers.mean():
        return mono
    loudest = int(np.argmax(powers > 0.99 * powers.max()))  # the first of equal ones
    blocks = _blocks_from(path, start, stop)
    return np.concatenate([channels[:, loudest] for _, _, channels in blocks])


def _mean_of_channels(channels: np.ndarray) -> np.ndarray:
    """Mix down; numpy's own mean takes twenty times as long over so short an axis."""
    mono = channels[:, 0].copy()
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found later
        for channel in channels.T[1:]:
            mono += channel
    mono /= channels.shape[1]
    return mono


def _resampled(path, native: _Native, part: Part) -> np.ndarray:
    """Cut a part out of native samples and resample it."""
    rate = native.rate
    if native.end == 0:
        raise BadClipError(path, "holds no samples; fetch it again or leave it out")
    if round(part.offset * rate) >= native.end:
        raise BadClipError(
            path,
            f"ends after {native.end / rate:.2f} s, before offset={part.offset} s; "
            "take a smaller offset or leave the clip out",
        )
    last = None if part.duration is None else math.ceil((part.stop - native.start) * rate)
    samples = native.samples[(part.start - native.start) * rate : last]
    if rate != part.sample_rate:
        samples = soxr.resample(samples, rate, part.sample_rate, quality="HQ")
    waveform = samples[round((part.offset - part.start) * part.sample_rate) :]
    if part.duration is not None:
        waveform = waveform[: round(part.duration * part.sample_rate)]
    return np.ascontiguousarray(waveform)


def _require_usable(waveform, path, part, min_samples, silence) -> None:
    """Raise for a waveform that is too short, not finite, or all silence."""
    if part.duration is not None:
        min_samples = max(1, min(min_samples, round(part.duration * part.sample_rate)))
    if waveform.shape[0] < min_samples:
        raise BadClipError(
            path,
            f"holds {waveform.shape[0]} samples at {part.sample_rate} Hz, shorter than one frame "
            f"of {min_samples} samples; give a longer clip or leave it out",
        )
    peak = np.abs(waveform).max()
    if not np.isfinite(peak):
        raise BadClipError(
            path,
            "holds NaN or infinite samples; samples must be finite: repair the file or leave it "
            "out",
        )
    if peak > LOUDEST:
        raise BadClipError(
            path,
            f"holds samples of up to {peak:.1e} times full scale, which no recording has: the file "
            "is damaged, fetch it again or leave it out",
        )
    if peak < silence:
        raise BadClipError(
            path,
            f"is silent throughout (peak {peak:.1e} of full scale in the "
            f"{waveform.shape[0] / part.sample_rate:.2f} s that were read); take another part of "
            "it by offset, or leave it out",
        )
