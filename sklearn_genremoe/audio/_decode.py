"""From an audio file to waveforms: segments of it at a sample rate, and overlapping excerpts."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import soxr

from .._clips import MAX_AMPLITUDE, warn_beyond_full_scale
from .._compat import progress_bar
from .._fields import NonNegative, Positive, checked
from .._files import user_path
from .._parallel import map_clips
from ._errors import BadClipError
from ._read import read_blocks, require_file, seconds_of_file

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

_NOT_FINITE = f"holds NaN or infinite samples, or some above {MAX_AMPLITUDE:.0e}; fetch it again"


class Segment(NamedTuple):
    """Which part of a file is wanted, in seconds (None: to the end), and at which rate in Hz."""

    sample_rate: float
    offset: float = 0.0
    duration: float | None = None

    @property
    def start(self) -> int:
        """Second at which decoding begins."""
        return max(0, math.floor(self.offset) - _LEAD)

    @property
    def end(self) -> float:
        """Second behind it."""
        return math.inf if self.duration is None else self.offset + self.duration

    @property
    def stop(self) -> float:
        """Second at which decoding ends."""
        return self.end + _TAIL

    @property
    def n_samples(self) -> Any:
        """Number of samples wanted."""
        return None if self.duration is None else round(self.duration * self.sample_rate)


@checked
def decode_audio(
    path,
    *,
    sample_rate: Positive = 22050,
    offset: NonNegative = 0.0,
    duration: Positive | None = None,
    min_samples: int = ONE_FRAME,
) -> np.ndarray:
    """Decode a part of an audio file to mono at a given sample rate.

    Reads only the part that is needed, takes the mean of the channels (where they cancel in their
    mean, as in opposite phase, the loudest channel), and resamples with soxr (quality "HQ").

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
    source = user_path(path) if str(path)[:1] == "~" else path
    segment = Segment(sample_rate, offset, duration)
    return decode_parts(source, [segment], min_samples=min_samples)[0]


def decode_parts(
    source, segments: Sequence[Segment], *, min_samples: int = ONE_FRAME
) -> list[np.ndarray]:
    """Return what :func:`decode_audio` gives for segments of a file or excerpt, overlaps once."""
    is_excerpt = isinstance(source, SourceExcerpt)
    path = source.path if is_excerpt else require_file(source)
    made: dict[Segment, np.ndarray] = {}
    waiting = sorted(set(segments), key=lambda segment: segment.start)
    while waiting:
        start, stop = waiting[0].start, waiting[0].stop
        for one in waiting:
            stop = max(stop, one.stop) if one.start <= stop else stop
        read = partial(read_blocks, source, start, stop)
        audio = source.audio if is_excerpt else _mix_down(read, start)
        together = [one for one in waiting if one.start <= stop]
        made |= {one: _waveform(path, audio, one, min_samples) for one in together}
        waiting = waiting[len(together) :]
    return [made[segment] for segment in segments]


def load_parts(
    source, parts: Sequence[tuple[Segment, str | None]], min_samples: int = ONE_FRAME
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Return segments of a file or excerpt, filled up, and by its path the length of a longer file.

    Each segment comes with what it is filled up with, or None for nothing.
    """
    waveforms = decode_parts(source, [segment for segment, _ in parts], min_samples=min_samples)
    filled, goes_on = [], False
    for waveform, (segment, fill) in zip(waveforms, parts):
        goes_on |= isinstance(source, str) and len(waveform) == segment.n_samples
        filled.append(fix_length(waveform, segment.n_samples, fill) if fill else waveform)
    return filled, seconds_of_file(source) if goes_on else {}


def process_clips(
    function: Callable, tasks: Mapping, take: Callable, on_error: str, n_jobs: Any, verbose: Any
) -> tuple[dict[Any, str], dict[str, float]]:
    """Apply a function to tasks in parallel; hand each key and what comes of it on, in order.

    The function returns its result and the lengths of files that go on behind what was read, by
    path. Return why clips are bad, by key, and all lengths.
    """
    bad: dict[Any, str] = {}
    seconds: dict[str, float] = {}
    attempts = map_clips(partial(_attempt, function), tasks.values(), n_jobs)
    with closing(attempts) as results:
        progress = progress_bar(results, total=len(tasks), unit="clip", disable=not verbose)
        for key, result in zip(tasks, progress, strict=True):
            if not isinstance(result, BadClipError):
                take(key, result[0])
                seconds |= result[1]
            elif on_error == "raise":
                raise result
            else:
                bad[key] = str(result)
    return bad, seconds


def _attempt(function: Callable, task: Any) -> Any:
    """Return the error of a bad clip, so that the first in order is raised, not that in time."""
    try:
        return function(task)
    except BadClipError as error:
        return error


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


class SourceExcerpt(NamedTuple):
    """An excerpt of a file from `offset` to `end`, decoded but not yet resampled.

    It lasts `duration` seconds, or less where the file is shorter.
    """

    path: str
    offset: float
    duration: float
    end: float
    audio: SourceAudio


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
        block = kept[(segment.start - start) * rate : math.ceil((segment.stop - start) * rate)]
        blocks = [(rate, segment.start * rate + len(block), block)]
        return SourceExcerpt(path, offset, seconds, end, _mix_down(lambda: blocks, segment.start))

    for rate, n_read, channels in read_blocks(path, 0, math.inf):
        if not np.isfinite(channels).all():
            raise BadClipError(path, _NOT_FINITE)
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


@np.errstate(invalid="ignore", over="ignore")  # what is not finite is found later
def _mix_down(read: Callable[[], Iterable], start: int) -> SourceAudio:
    """Take the mean of the channels of blocks, or the loudest channel where they cancel."""
    monos, power = [], 0.0
    for block in read():
        power += float(np.vdot(block[2], block[2]))
        monos.append(_mean(block[2]))
    rate, end, channels = block
    mono, n_channels = np.concatenate(monos), channels.shape[1]
    if n_channels > 1 and _power(mono) * n_channels < _CANCELLED * power / n_channels:
        channels = np.concatenate([block[2] for block in read()]).T
        powers = np.array([_power(channel.copy()) for channel in channels])
        # Unless all had an offset in common; the first of equal ones.
        if _power(mono) * n_channels < _CANCELLED * powers.mean():
            mono = channels[np.argmax(powers > 0.99 * powers.max())]
    return SourceAudio(mono, rate, start, end, n_channels)


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
    rate, target = audio.rate, segment.sample_rate
    if round(segment.offset * rate) >= audio.end:
        found = f"ends after {audio.end / rate:.2f} s, before offset={segment.offset} s"
        raise BadClipError(source, f"{found}; take a smaller offset or leave the clip out")
    first = (segment.start - audio.start) * rate
    last = None if segment.duration is None else math.ceil((segment.stop - audio.start) * rate)
    waveform = audio.samples[first:last]
    if rate != target:
        waveform = soxr.resample(waveform, rate, target, quality="HQ")
    waveform = waveform[round((segment.offset - segment.start) * target) :][: segment.n_samples]
    waveform = np.ascontiguousarray(waveform)
    if segment.n_samples is not None:
        min_samples = max(1, min(min_samples, segment.n_samples))
    peak = float(np.abs(waveform).max(initial=0.0))
    if len(waveform) < min_samples:
        found = f"holds {len(waveform)} samples at {target} Hz, shorter than one frame of "
        raise BadClipError(source, f"{found}{min_samples} samples; give a longer clip")
    if not peak <= MAX_AMPLITUDE:
        raise BadClipError(source, _NOT_FINITE)
    if peak < SILENCE / audio.n_channels:
        found = f"is silent throughout (peak {peak:.1e} in {len(waveform) / target:.2f} s)"
        raise BadClipError(source, f"{found}; read another part by offset, or leave it out")
    warn_beyond_full_scale(source, waveform, peak, stacklevel=6)
    return waveform
