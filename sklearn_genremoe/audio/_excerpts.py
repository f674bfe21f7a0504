"""From a file of any length to overlapping excerpts, with one decode and little memory."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ._decode import (
    _CANCELLED,
    _TAIL,
    SILENCE,
    Part,
    _blocks_from,
    _mean_of_channels,
    _Native,
    _power,
    _require_usable,
    _resampled,
)
from ._errors import BadClipError
from ._read import require_file

#: A rest at the end of a track that is shorter than this share of the window is left out.
REST = 0.01


@dataclass(frozen=True)
class Excerpt:
    """An excerpt of a file, decoded but not yet resampled.

    Attributes
    ----------
    path : str
        The file.
    offset, seconds : float
        Where the excerpt begins, and its length; a file that is shorter has less.
    end : float
        Second at which it ends.
    native : _Native
        Samples of the file from somewhat before `offset` on.
    """

    path: str
    offset: float
    seconds: float
    end: float
    native: _Native

    def waveforms(self, sample_rates: Sequence[int], *, min_samples: int) -> list[np.ndarray]:
        """Return the excerpt at each of the rates, as :func:`decode_audio` would.

        Parameters
        ----------
        sample_rates : sequence of int
            Hz.
        min_samples : int
            As in :func:`decode_audio`.

        Returns
        -------
        waveforms : list of ndarray of shape (n_samples,), dtype float32
            The waveforms.
        """
        made: dict[int, np.ndarray] = {}
        silence = SILENCE / self.native.n_channels
        for rate in set(sample_rates):
            part = Part(rate, self.offset, self.seconds)
            made[rate] = _resampled(self.path, self.native, part)
            _require_usable(made[rate], self.path, part, min_samples, silence)
        return [made[rate] for rate in sample_rates]


def read_excerpts(path: str, seconds: float, hop: float) -> Iterator[Excerpt]:
    """Read a file from one end to the other, excerpt by excerpt.

    Parameters
    ----------
    path : str
        The file.
    seconds : float
        Length of an excerpt.
    hop : float
        Seconds from the beginning of one to the beginning of the next.

    Yields
    ------
    excerpt : Excerpt
        The excerpts in order. The last one ends within a millisecond of the end of the file, unless
        what is left behind the one before is shorter than `REST` of it. A file that is
        shorter than an excerpt is one excerpt.

    Raises
    ------
    BadClipError
        The file can't be read to its end, is empty, or holds NaN or infinite samples.
    """
    require_file(path)
    start, count = 0, 0  # second at which `kept` begins, and excerpts so far
    kept, rate = np.empty((0, 1), np.float32), 1

    def excerpt(offset: float, end: float) -> Excerpt:
        part = Part(rate, offset, seconds)
        needed = slice((part.start - start) * rate, math.ceil((part.stop - start) * rate))
        mono = _mono(kept[needed])
        n_frames = part.start * rate + len(mono)
        native = _Native(mono, rate, part.start, n_frames, kept.shape[1])
        return Excerpt(path, offset, seconds, end, native)

    for rate, n_read, channels in _blocks_from(path, 0, None):
        if not np.isfinite(channels).all():
            raise BadClipError(
                path,
                "holds NaN or infinite samples; samples must be finite: repair the file or leave "
                "it out",
            )
        kept = np.concatenate([kept, channels]) if len(kept) else channels
        while (count * hop + seconds + _TAIL) * rate <= n_read:
            yield excerpt(count * hop, count * hop + seconds)
            count += 1
        # The last excerpt may begin before the next one in turn.
        first = Part(rate, max(0.0, min(count * hop, n_read / rate - seconds - 1))).start
        kept, start = kept[(first - start) * rate :], first
    total = n_read / rate
    if not n_read:
        raise BadClipError(path, "holds no samples; fetch it again or leave it out")
    while count * hop + seconds <= total:
        yield excerpt(count * hop, count * hop + seconds)
        count += 1
    heard = (count - 1) * hop + seconds if count else 0.0
    if not count or total - heard > REST * seconds:
        yield excerpt(max(0.0, math.floor(1000 * (total - seconds) + 1e-6) / 1000), total)


def _mono(channels: np.ndarray) -> np.ndarray:
    """Mix down, or take the loudest channel where they cancel, as when decoding a clip."""
    mono = _mean_of_channels(channels)
    n_channels = channels.shape[1]
    bound = _CANCELLED * float(np.vdot(channels, channels)) / n_channels
    if n_channels == 1 or _power(mono) * n_channels >= bound:
        return mono
    powers = np.array([_power(channel.copy()) for channel in channels.T])
    if _power(mono) * n_channels >= _CANCELLED * powers.mean():
        return mono
    loudest = int(np.argmax(powers > 0.99 * powers.max()))
    return channels[:, loudest].copy()
