"""
A song whose genre changes
==========================

A classifier of short clips becomes one of whole songs, mixes or hours of radio by windows: it
classifies a stretch of some seconds, then the next one, and so on. The answers in their order show
how the genre changes over time; put together they are the answer for the whole track.
"""

# %%
# A song of four parts
# --------------------
# Two clips of each genre, kept apart from those that are learned from, make one track: a minute
# and twenty seconds with a change of genre every twenty seconds.

import tempfile
from pathlib import Path

import numpy as np
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import (
    MFCC,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    PercussiveSpectrogram,
    WindowedClassifier,
)
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import time_statistics
from sklearn_genremoe.inspection import TimelineDisplay

clips = load_mini_genres()
X, y, groups = np.asarray(clips.data), clips.target, clips.groups
genres = ["ambient", "rock", "folk", "electronic"]
parts = []
for genre in genres:
    # From two tracks each, of which no other clip is learned from either.
    tracks = np.unique(groups[y == genre])[-2:]
    parts += [np.flatnonzero(groups == track)[0] for track in tracks]
song = np.concatenate([decode_audio(X[row]) for row in parts])
path = Path(tempfile.mkdtemp()) / "song.wav"
soundfile.write(path, song, 22050)
print(f"a song of {len(song) / 22050:.0f} s: {', '.join(y[parts])}")

# %%
# Learn from windows
# ------------------
# The experts here are linear models of four views, which are trained in seconds; networks would do
# just as well. ``fit`` divides each clip into windows, which have its genre and stay together when
# the mixer learns from experts that haven't heard them.


def expert(domain):
    statistics = FunctionTransformer(time_statistics)
    return make_pipeline(domain, statistics, StandardScaler(), LogisticRegression(C=0.01))


signal = {"n_fft": 2048, "hop_length": 1024}
mixture = MixtureOfExpertsClassifier(
    [
        ("original", expert(LogMelSpectrogram(**signal))),
        ("harmonic", expert(HarmonicSpectrogram(**signal))),
        ("percussive", expert(PercussiveSpectrogram(**signal))),
        ("mfcc", expert(MFCC(**signal, normalize=None))),
    ],
    random_state=0,
)
windowed = WindowedClassifier(mixture, window=5.0, hop=2.5, n_jobs=2)
rest = ~np.isin(groups, groups[parts])
windowed.fit(X[rest], y[rest], groups=groups[rest])

# %%
# The song as a whole, and window by window
# -----------------------------------------

for genre, proba in zip(windowed.classes_, windowed.predict_proba([path])[0]):
    print(f"{genre:12}{proba:.2f}")

windows = windowed.predict_windows(path)
print(windows.round(2).iloc[::4, :6])

# %%
# How the genre changes
# ---------------------
# Above, the probability of each genre; the song is ambient, rock, folk and electronic, for twenty
# seconds each. With three dozen clips to learn from, the mixture hears better when the song changes
# than into what. Below, how much each expert counts.

display = TimelineDisplay.from_estimator(windowed, path)
for place in display.ax_:
    for change in (20, 40, 60):
        place.axvline(change, color="black", linewidth=1, linestyle="--")
display.figure_.savefig("timeline.png", dpi=150)
