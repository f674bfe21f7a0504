"""From an audio file to waveforms: segments of it at a sample rate, and overlapping excerpts."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soxr

from .._clips import MAX_AMPLITUDE, is_beyond_full_scale
from .._files import user_path
from ._errors import BadClipError
from ._read import read_blocks, require_file

#: Amplitude below which a clip counts as silent: -100 dB of full scale, a third of the
#: smallest step of 16-bit audio.
SILENCE = 1e-5

#: Samples of one analysis frame (46 ms at 22,050 Hz); a shorter clip is refused.
ONE_FRAME = 1024

#: A rest at the end of a track that is shorter than this share of the window is left out.
REST = 0.01

# Seconds decoded before and after a segment, so that the resampler's filter sees what is really
# there, and coders with a memory are in step. Decoding begins at a whole second, which is a whole
# number of samples at every rate.
_LEAD = 1
_TAIL = 0.25

# Below this share of the power that uncorrelated channels would leave in their mean (-30 dB),
# channels cancel.
_CANCELLED = 1e-3


class Segment(NamedTuple):
    """Which part of a file is wanted, in seconds (None: to the end), and at which rate in Hz."""

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
    path: str | Path | BinaryIO,
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
    path : str, Path or binary file object
        A file that libsndfile reads: wav, flac, ogg, opus, mp3, aiff and others. With PyAV
        installed (``pip install av``) also what FFmpeg reads: m4a, aac, wma, webm, wv, ac3, the
        sound of videos, and files that were joined of several. A file object, such as
        :class:`io.BytesIO` or an upload, is read from its beginning.
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
        The file is missing, cannot be decoded, is empty, is cut off within the part that is read,
        ends before `offset`, is shorter than `min_samples`, is silent throughout, or holds NaN or
        infinite samples.
    ValueError
        `sample_rate`, `offset` or `duration` is out of range.

    Warns
    -----
    UserWarning
        Samples go far beyond full scale: integers, probably, that became floats.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> path = load_mini_genres().data[0]
    >>> decode_audio(path, duration=2.0).shape
    (44100,)
    """
    for name, value, accepted in (
        ("sample_rate", sample_rate, "a number of Hz above 0"),
        ("offset", offset, "seconds, 0 or more"),
        ("duration", duration, "seconds above 0, or None"),
    ):
        least = 0 if name == "offset" else math.ulp(0.0)
        is_number = isinstance(value, Real) and least <= value < math.inf
        if not (is_number or (name == "duration" and value is None)):
            raise ValueError(f"{name}={value!r}; expected {accepted}")
    source = user_path(path) if str(path)[:1] == "~" else path
    segment = Segment(sample_rate, offset, duration)
    return decode_parts(source, [segment], min_samples=min_samples)[0]


def decode_parts(
    source, segments: Sequence[Segment], *, min_samples: int = ONE_FRAME
) -> list[np.ndarray]:
    """Return what :func:`decode_audio` gives for segments of a file, overlaps decoded once."""
    require_file(source)
    waveforms: dict[Segment, np.ndarray] = {}
    waiting = sorted(set(segments), key=lambda segment: segment.start)
    while waiting:
        together = [waiting.pop(0)]
        stop = together[0].stop
        while waiting and waiting[0].start <= stop:
            together.append(waiting.pop(0))
            stop = max(stop, together[-1].stop)
        audio = _read_audio(source, together[0].start, None if stop == math.inf else stop)
        for segment in together:
            waveforms[segment] = _waveform(source, audio, segment, min_samples)
    return [waveforms[segment] for segment in segments]


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


class SourceAudio(NamedTuple):
    """Mono samples of a file at its own rate, from a whole second on.

    `end` is the number in the file of the frame behind the last one, `n_channels` the number of
    channels that the samples are the mean of.
    """

    samples: np.ndarray
    rate: int
    start: int
    end: int
    n_channels: int


@dataclass(frozen=True)
class SourceExcerpt:
    """An excerpt of a file from `offset` to `end`, decoded but not yet resampled.

    It has `seconds`, or less where the file is shorter.
    """

    path: str
    offset: float
    seconds: float
    end: float
    audio: SourceAudio

    def waveforms(self, sample_rates: Sequence[int], *, min_samples: int) -> list[np.ndarray]:
        """Return the excerpt at each of the rates, as :func:`decode_audio` would."""
        made = {
            rate: _waveform(
                self.path, self.audio, Segment(rate, self.offset, self.seconds), min_samples
            )
            for rate in set(sample_rates)
        }
        return [made[rate] for rate in sample_rates]


def read_excerpts(path: str, seconds: float, hop: float) -> Iterator[SourceExcerpt]:
    """Read a file from one end to the other, excerpt by excerpt, in little memory.

    Excerpts last `seconds` and begin `hop` seconds after each other. The last one ends within a
    millisecond of the end of the file, unless what is left behind the one before is shorter than
    `REST` of it. A file that is shorter than an excerpt is one excerpt. Raises a BadClipError for
    one that can't be read to its end, is empty, or holds NaN or infinite samples.
    """
    require_file(path)
    start, count = 0, 0  # second at which `kept` begins, and excerpts so far
    kept, rate = np.empty((0, 1), np.float32), 1

    def excerpt(offset: float, end: float) -> SourceExcerpt:
        segment = Segment(rate, offset, seconds)
        needed = slice((segment.start - start) * rate, math.ceil((segment.stop - start) * rate))
        mono = _mix_down(lambda: [kept[needed]])
        n_frames = segment.start * rate + len(mono)
        audio = SourceAudio(mono, rate, segment.start, n_frames, kept.shape[1])
        return SourceExcerpt(path, offset, seconds, end, audio)

    for rate, position, channels in read_blocks(path, 0, None):
        if not np.isfinite(channels).all():
            raise _not_finite(path)
        n_read = position + len(channels)
        kept = np.concatenate([kept, channels]) if len(kept) else channels
        while (count * hop + seconds + _TAIL) * rate <= n_read:
            yield excerpt(count * hop, count * hop + seconds)
            count += 1
        # The last excerpt may begin before the next one in turn.
        first = Segment(rate, max(0.0, min(count * hop, n_read / rate - seconds - 1))).start
        kept, start = kept[(first - start) * rate :], first
    total = n_read / rate
    while count * hop + seconds <= total:
        yield excerpt(count * hop, count * hop + seconds)
        count += 1
    covered = (count - 1) * hop + seconds if count else 0.0
    if not count or total - covered > REST * seconds:
        yield excerpt(max(0.0, math.floor(1000 * (total - seconds) + 1e-6) / 1000), total)


def _read_audio(source, start: int, stop: float | None) -> SourceAudio:
    """Read mono samples from a second to another, or a little further."""
    rate = end = n_channels = 0

    def blocks():
        nonlocal rate, end, n_channels
        for rate, position, channels in read_blocks(source, start, stop):
            end, n_channels = position + len(channels), channels.shape[1]
            yield channels[max(0, start * rate - position) :]

    mono = _mix_down(blocks)
    return SourceAudio(mono, rate, start, end, n_channels)


@np.errstate(invalid="ignore", over="ignore")  # what is not finite is found later
def _mix_down(read: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
    """Return the mean of the channels of blocks, or the loudest channel where they cancel."""
    monos, power = [], 0.0
    for channels in read():
        power += float(np.vdot(channels, channels))
        monos.append(_mean(channels))
    mono, n_channels = np.concatenate(monos), channels.shape[1]
    if n_channels == 1 or _power(mono) * n_channels >= _CANCELLED * power / n_channels:
        return mono
    powers = np.zeros(n_channels)
    for block in read():
        powers += [_power(channel.copy()) for channel in block.T]
    if _power(mono) * n_channels >= _CANCELLED * powers.mean():  # all had an offset in common
        return mono
    loudest = int(np.argmax(powers > 0.99 * powers.max()))  # the first of equal ones
    return np.concatenate([block[:, loudest] for block in read()])


def _mean(channels: np.ndarray) -> np.ndarray:
    """Mix down; numpy's own mean takes twenty times as long over so short an axis."""
    mono = channels[:, 0].copy()
    for channel in channels.T[1:]:
        mono += channel
    mono /= channels.shape[1]
    return mono


def _power(waveform: np.ndarray) -> float:
    """Return the power of a waveform but for its mean, summed over the samples."""
    if not len(waveform):
        return 0.0
    mean = float(waveform.mean(dtype=np.float64))
    return float(np.vdot(waveform, waveform)) - len(waveform) * mean**2


def _waveform(source, audio: SourceAudio, segment: Segment, min_samples: int) -> np.ndarray:
    """Cut a segment out of a file's samples and resample it; raise if it can't be used."""
    rate = audio.rate
    if round(segment.offset * rate) >= audio.end:
        raise BadClipError(
            source,
            f"ends after {audio.end / rate:.2f} s, before offset={segment.offset} s; "
            "take a smaller offset or leave the clip out",
        )
    last = None if segment.duration is None else math.ceil((segment.stop - audio.start) * rate)
    samples = audio.samples[(segment.start - audio.start) * rate : last]
    if rate != segment.sample_rate:
        samples = soxr.resample(samples, rate, segment.sample_rate, quality="HQ")
    waveform = samples[round((segment.offset - segment.start) * segment.sample_rate) :]
    if segment.duration is not None:
        n_samples = round(segment.duration * segment.sample_rate)
        waveform = waveform[:n_samples]
        min_samples = max(1, min(min_samples, n_samples))
    waveform = np.ascontiguousarray(waveform)
    _require_usable(source, waveform, segment.sample_rate, min_samples, SILENCE / audio.n_channels)
    return waveform


def _require_usable(source, waveform, rate: int, min_samples: int, silence: float) -> None:
    """Raise for a waveform that is too short, not finite, damaged or all silence."""
    if len(waveform) < min_samples:
        raise BadClipError(
            source,
            f"holds {len(waveform)} samples at {rate} Hz, shorter than one frame of {min_samples} "
            "samples; give a longer clip or leave it out",
        )
    peak = float(np.abs(waveform).max())
    if not peak <= MAX_AMPLITUDE:
        raise _not_finite(source)
    if peak < silence:
        raise BadClipError(
            source,
            f"is silent throughout (peak {peak:.1e} in {len(waveform) / rate:.2f} s); take another "
            "part of it by offset, or leave it out",
        )
    if is_beyond_full_scale(waveform, peak):
        warnings.warn(
            f"{source} holds samples of up to {peak:.4g}, where full scale is 1. Are they integers "
            "of 16 bits that became floats? Divide them by their full scale, 32768 (2147483648 for "
            "32 bits), before they are saved as floats, or save them as integers.",
            stacklevel=4,
        )


def _not_finite(source) -> BadClipError:
    return BadClipError(
        source,
        f"holds NaN or infinite samples, or more than {MAX_AMPLITUDE:.0e} times full scale: it is "
        "damaged; fetch it again, repair it or leave it out",
    )
