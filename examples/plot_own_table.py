"""
A table of your own beside the audio
====================================

A mixture takes any table with a row per clip as one more view: embeddings that were computed on
another machine, statistics made by hand, an export of a library. Here such a table stands beside
the views that are extracted from the audio.
"""

# %%
# The clips and their table
# -------------------------
# In your case the table comes from a file, ``table = np.load("mert.npy")``, in the order of the
# clips. This one is made on the spot: mean and deviation of what librosa knows about colour,
# harmony and rhythm.

import librosa
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import CollectionReport

clips = load_mini_genres()


def describe(path):
    """Sum up a clip in a few dozen numbers."""
    amplitude = np.abs(librosa.stft(decode_audio(path), hop_length=1024))
    rows = [
        librosa.feature.spectral_contrast(S=amplitude),
        librosa.feature.chroma_stft(S=amplitude**2, tuning=0.0),
        np.log(librosa.feature.spectral_flatness(S=amplitude)),
        librosa.feature.spectral_rolloff(S=amplitude) / 1000,
        librosa.onset.onset_strength(S=librosa.amplitude_to_db(amplitude))[np.newaxis],
    ]
    return np.concatenate([statistic(axis=1) for row in rows for statistic in (row.mean, row.std)])


table = np.stack([describe(path) for path in clips.data])
print(f"table: {table.shape[0]} clips, {table.shape[1]} features")

# %%
# An expert in a line
# -------------------
# The expert named ``table`` begins with no domain, so it takes the entry of its name.

linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000))
experts = [*default_experts(duration=10.0, networks=False), ("table", linear)]
clf = MixtureOfExpertsClassifier(experts, "log_pool", random_state=0)

# %%
# One batch of both
# -----------------
# ``|`` puts the table beside what was extracted. Splitters and grid searches index the batch by
# clips, like an array.

quick = MixtureOfExpertsClassifier(default_experts(duration=10.0, networks=False), "log_pool")
batch = quick.extract(clips.data) | {"table": table}
print(batch)

# %%
# On tracks that were left out
# ----------------------------

report = CollectionReport.from_cross_validation(clf, batch, clips.target, clips.groups, cv=4)
accuracy = report.scores().xs("accuracy", level="measure")
print(accuracy.round(2))
report.plot("scores")
plt.show()
