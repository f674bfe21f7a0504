"""Synthetic clips whose genre can be told from one acoustic cue only.

Every clip is made of steady tones and short hits; where modulation is the cue, of a trembling
noise as well. The audible range is cut into as many registers as there are genres.

============  =============================  ============================  ==================
cue           tones                          hits                          noise
============  =============================  ============================  ==================
harmonic      one, in the genre's register   everywhere, random colour     none
percussive    everywhere, random colour      louder in genre's register    none
modulation    everywhere, random colour      everywhere, random colour     level at genre's rate
============  =============================  ============================  ==================

The parts without the cue are drawn from the same distribution for all genres, and tones or hits
without the cue are much louder than hits or tones with it. So the power spectrum of a clip hardly
gives its genre away; median filtering across frequency or time, or the spectrum of the level over
time, uncovers it.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Annotated, Literal

import numpy as np
from sklearn.utils import check_random_state

from .._compat import Interval
from .._fields import checked
from ._bunch import described

SAMPLE_RATE = 22050
CUES = ("harmonic", "percussive", "modulation")

#: Hz; the registers share this range, equally wide on the mel scale.
_RANGE = (400.0, 8000.0)
#: dB; the colour of a part without the cue differs by up to this much, up or down, per register.
_COLOUR = 10.0

#: Hz between the tones of a part without the cue. Ten bins of the usual STFT: near enough to
#: fill the mel bands, far enough to leave the vertical median (31 bins) on the gaps.
_TONE_SPACING = 215.0

#: Hits per second and the decay of one in s. Hits must touch less than half of the frames
#: under the horizontal median (31 frames, 0.72 s), or it takes them for tones.
_HIT_RATE = 4.0
_HIT_DECAY = 0.01
_HIT_LENGTH = 0.06
#: dB by which the register of the genre stands out of the hits.
_HIT_CONTRAST = 20.0
#: dB between a hit and a tone in a bin of the usual STFT (n_fft=1024).
_HIT_LEVEL = {"harmonic": 50.0, "percussive": -22.0, "modulation": -20.0}

#: Hz; slowest and fastest trembling, below half the frame rate (43 Hz) and resolved in 1 s.
_RATES = (3.0, 15.0)
#: dB (root mean square) of the trembling, and of the random flutter that hides it from the eye.
_TREMBLE = 3.5
_FLUTTER = 6.0
_FLUTTER_STEP = 0.023
#: dB between the noise and a tone in a bin of the usual STFT.
_NOISE_LEVEL = -3.0

_N_FFT = 1024


@checked
def make_genre_clips(
    n_clips: Annotated[int, Interval(Integral, 2, None, closed="left")] = 60,
    genres: Iterable | int = ("folk", "jazz", "rock"),
    *,
    cue: Literal["harmonic", "percussive", "modulation", "mixed"] = "harmonic",
    duration: Annotated[float, Interval(Real, 1, math.inf, closed="left")] = 3.0,
    random_state=None,
    return_X_y=True,
):
    """Make synthetic clips whose genre can be told from one acoustic cue only.

    They show which cue a model listens to: experts on other domains should do much worse.

    Parameters
    ----------
    n_clips : int, default=60
        Number of clips, spread evenly over the genres (and cues, if mixed).
    genres : sequence of str or int, default=("folk", "jazz", "rock")
        Two to eight names, or their number.
    cue : {"harmonic", "percussive", "modulation", "mixed"}, default="harmonic"
        What tells the genre. ``"harmonic"``: the register of a soft steady tone under loud
        hits. ``"percussive"``: the register that stands out of soft hits under loud tones.
        ``"modulation"``: the rate, 3 to 15 Hz, at which a noise trembles, under random flutter
        of its level. ``"mixed"``: one of the three, another one from clip to clip.
    duration : float, default=3.0
        Length of each clip in s, at least 1.
    random_state : int, RandomState instance or None, default=None
        The seed; the same one gives the same clips.
    return_X_y : bool, default=True
        Whether to return a tuple instead of a Bunch.

    Returns
    -------
    X : ndarray of shape (n_clips, n_times), float32
        Waveforms at 22,050 Hz with peaks of 1; ``n_times`` is ``duration`` x 22,050, rounded.
    y : ndarray of str of shape (n_clips,)
        The genre of each clip.
    clips : :class:`~sklearn.utils.Bunch`
        If `return_X_y` is False, instead of the tuple, with the attributes

        data, target : ndarray
            X and y.
        target_names : list of str
            The genres in alphabetical order.
        cue : ndarray of str of shape (n_clips,)
            The cue that tells each clip's genre.
        sample_rate : int
            22050.
        DESCR : str
            What was made, in words.

    Raises
    ------
    ValueError
        If the cue is unknown, there are fewer than two or more than eight genres, fewer clips
        than genres, or clips shorter than 1 s.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> X, y = make_genre_clips(6, ["calm", "wild"], cue="percussive", duration=1, random_state=0)
    >>> X.shape, X.dtype, sorted(y.tolist())
    ((6, 22050), dtype('float32'), ['calm', 'calm', 'calm', 'wild', 'wild', 'wild'])
    """
    names = _genre_names(genres)
    if n_clips < len(names):
        raise ValueError(f"n_clips={n_clips}; pass at least {len(names)}, one for each genre.")
    rng = check_random_state(random_state)
    n_times = round(duration * SAMPLE_RATE)
    cues = CUES if cue == "mixed" else (cue,)

    rows = rng.permutation(n_clips)
    genre = rows % len(names)
    cue_of_clip = np.array(cues)[rows // len(names) % len(cues)]
    X = np.stack(
        [_clip(this, index, len(names), n_times, rng) for this, index in zip(cue_of_clip, genre)]
    )
    y = np.array(names)[genre]
    if return_X_y:
        return X, y
    source = f"make_genre_clips: synthetic, {duration} s at {SAMPLE_RATE} Hz"
    return described(
        source, X, y, {"The only cue": str(cue)}, cue=cue_of_clip, sample_rate=SAMPLE_RATE
    )


def _genre_names(genres) -> list[str]:
    if isinstance(genres, Integral):
        names = [f"genre_{index}" for index in range(genres)]
    else:
        names = [] if isinstance(genres, str) else [str(genre) for genre in genres]
    if not 2 <= len(names) <= 8 or len(set(names)) < len(names):
        raise ValueError(f"genres={genres!r}; pass two to eight different names, or their number.")
    return names


def _clip(cue: str, genre: int, n_genres: int, n_times: int, rng) -> np.ndarray:
    low, high = (np.log1p(hertz / 700.0) for hertz in _RANGE)
    edges = 700.0 * np.expm1(np.linspace(low, high, n_genres + 1))  # of the registers
    if cue == "harmonic":
        low, high = edges[genre : genre + 2]
        frequencies = np.array([low * (high / low) ** rng.uniform(0.1, 0.9)])
        amplitudes = np.ones(1)
    else:
        frequencies = np.arange(edges[0], edges[-1], _TONE_SPACING)
        frequencies += rng.uniform(0, _TONE_SPACING)
        frequencies += rng.uniform(-0.15, 0.15, len(frequencies)) * _TONE_SPACING
        amplitudes = _gains(rng.uniform(-_COLOUR, _COLOUR, n_genres), edges, frequencies)
    clip = _steady_tones(frequencies, amplitudes, n_times, rng)
    if cue == "percussive":
        colour = np.where(np.arange(n_genres) == genre, _HIT_CONTRAST, 0.0)
    else:
        colour = rng.uniform(-_COLOUR, _COLOUR, n_genres)
    clip += _gain(_HIT_LEVEL[cue]) * _hits(edges, colour, n_times, rng)
    if cue == "modulation":
        rate = np.linspace(*_RATES, n_genres)[genre]
        clip += _gain(_NOISE_LEVEL) * _trembling_noise(rate, n_times, rng)
    return (clip / np.abs(clip).max()).astype(np.float32)


def _gain(level):
    """Return the factor on amplitudes for a level in dB."""
    return 10 ** (np.asarray(level) / 20)


def _gains(colour: np.ndarray, edges: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Return the factors at frequencies for a level in dB per register."""
    return _gain(colour)[np.clip(np.searchsorted(edges, frequencies) - 1, 0, len(colour) - 1)]


def _steady_tones(frequencies, amplitudes, n_times: int, rng) -> np.ndarray:
    """Add up tones, each moved to a whole number of periods per clip."""
    spectrum = np.zeros(n_times // 2 + 1, dtype=complex)
    periods = np.round(frequencies * n_times / SAMPLE_RATE).astype(int)
    phases = rng.uniform(0, 2 * np.pi, len(frequencies))
    np.add.at(spectrum, periods, amplitudes * np.exp(1j * phases))
    return np.fft.irfft(spectrum, n_times) * n_times / 2


def _hits(edges: np.ndarray, colour: np.ndarray, n_times: int, rng) -> np.ndarray:
    """Return short decaying noises as loud, in an STFT bin, as a tone of amplitude 1."""
    length = round(_HIT_LENGTH * SAMPLE_RATE)
    envelope = np.exp(-np.arange(length) / (_HIT_DECAY * SAMPLE_RATE))
    gains = _gains(colour, edges, np.fft.rfftfreq(length, 1 / SAMPLE_RATE))

    n_hits = max(2, round(_HIT_RATE * n_times / SAMPLE_RATE))
    period = n_times / n_hits
    clip = np.zeros(n_times)
    for hit in range(n_hits):
        # Irregular enough for no rate of its own, regular enough never to crowd a window.
        start = int((hit + rng.uniform(0, 0.6)) * period)
        burst = np.fft.irfft(np.fft.rfft(rng.standard_normal(length) * envelope) * gains, length)
        burst *= rng.uniform(0.7, 1.3) / np.linalg.norm(burst)
        clip[start : start + length] += burst[: n_times - start]
    # A burst of unit norm has a magnitude of 1 in the bins, a tone one of a quarter of n_fft.
    return clip * _N_FFT / 4


def _trembling_noise(rate: float, n_times: int, rng) -> np.ndarray:
    """Return white noise as loud, in an STFT bin, as a tone of amplitude 1, on average."""
    times = np.arange(n_times) / SAMPLE_RATE
    steps = np.arange(0, times[-1] + _FLUTTER_STEP, _FLUTTER_STEP)
    level = np.interp(times, steps, _FLUTTER * rng.standard_normal(len(steps)))
    level += _TREMBLE * np.sqrt(2) * np.sin(2 * np.pi * (rate * times + rng.uniform()))
    # The squares of a Hann window add up to 3/8 of its length.
    loudness = (_N_FFT / 4) / np.sqrt(3 / 8 * _N_FFT)
    return rng.standard_normal(n_times) * loudness * _gain(level)
