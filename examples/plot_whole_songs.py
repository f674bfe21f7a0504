"""
A song whose genre changes
==========================

A classifier of short clips becomes one of whole songs, mixes or hours of radio by windows: it
classifies a stretch of some seconds, then the next one, and so on. The answers in their order show
how the genre changes. Put together they are the answer for the whole track.
"""

# %%
# A song of three parts
# ---------------------
# Two clips of each of three genres make one track of a minute, with a change of genre every twenty
# seconds. No clip of their tracks is learned from.

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from sklearn_genremoe import MixtureOfExpertsClassifier, WindowedClassifier, default_experts
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import TimelineDisplay

clips = load_mini_genres()
X, y, groups = np.asarray(clips.data), clips.target, clips.groups
parts = []
for genre in ("ambient", "rock", "electronic"):
    tracks = np.unique(groups[y == genre])[:2]
    parts += [np.flatnonzero(groups == track)[0] for track in tracks]
song = np.concatenate([decode_audio(X[row]) for row in parts])
path = Path(tempfile.mkdtemp()) / "song.wav"
soundfile.write(path, song, 22050)
print(f"a song of {len(song) / 22050:.0f} s: {', '.join(y[parts])}")

# %%
# Learn from windows
# ------------------
# ``fit`` divides each clip into windows, which have its genre and stay together when the mixer
# learns from experts that haven't heard them.

mixture = MixtureOfExpertsClassifier(
    default_experts(5.0, networks=False), "log_pool", random_state=0
)
windowed = WindowedClassifier(mixture, window=5.0, hop=2.5)
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
# Above, the probability of each genre; the song changes at the dashed lines. Below, how much each
# expert counts.

display = TimelineDisplay.from_estimator(windowed, path)
for place in display.ax_:
    for change in (20, 40):
        place.axvline(change, color="black", linewidth=1, linestyle="--")
display.figure_.savefig("timeline.png", dpi=150)
