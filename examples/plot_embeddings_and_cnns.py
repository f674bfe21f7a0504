"""
Embeddings next to networks
===========================

An embedding is a row of numbers by which a network that was trained on other music sums up a
clip. A mixture takes any table with a row per clip: embeddings of MERT, CLAP or musicnn that were
computed on another machine, statistics made by hand, an export of a library. Here such a table
stands next to a network that is trained on spectrograms, and their predictions are combined.
"""

# %%
# The clips and their table
# -------------------------
# In your case the table comes from a file, ``table = np.load("mert.npy")``, in the order of the
# clips. Ours is made on the spot, so that the example needs no download: mean and deviation of
# what librosa knows about colour, harmony and rhythm.

import librosa
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_genremoe import (
    CNNClassifier,
    DomainUnion,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
)
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres

clips = load_mini_genres()
y, groups = clips.target, clips.groups


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
# One batch of both
# -----------------
# A :class:`~sklearn_genremoe.domains.DomainBatch` holds spectrograms and tables side by side. It
# is indexed by clips like an array, so that everything in scikit-learn that splits data takes it.

mel = LogMelSpectrogram(duration=10.0, n_fft=2048, hop_length=1707, n_mels=64, normalize="bin")
batch = DomainUnion([("mel", mel)]).transform(clips.data) | {"table": table}
print(batch)

# %%
# An expert in two lines
# ----------------------
# The expert named ``table`` begins with no domain, so it takes the entry of its name. Replacing it
# by a random forest, or tuning ``table__logisticregression__C``, works as ever.

cnn = CNNClassifier((8, 16, 24), max_epochs=30, batch_size=8, crop_frames=64)
experts = [
    ("mel", make_pipeline(mel, cnn)),
    ("table", make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000))),
]
clf = MixtureOfExpertsClassifier(experts, mixer="log_pool", random_state=0, n_jobs=2)

# %%
# On tracks that were left out
# ----------------------------

folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
accuracies = {name: [] for name in ("mel", "table", "mixture")}
for train, test in folds.split(batch, y, groups):
    clf.fit(batch[train], y[train], groups=groups[train])
    by_expert = clf.expert_predict_proba(batch[test])
    answers = [*by_expert.swapaxes(0, 1), clf.predict_proba(batch[test])]
    for name, proba in zip(accuracies, answers):
        accuracies[name].append(np.mean(clf.classes_[proba.argmax(axis=1)] == y[test]))
for name, values in accuracies.items():
    print(f"{name:<8} {np.mean(values):.2f} (folds {np.min(values):.2f} to {np.max(values):.2f})")

# %%
# With four dozen clips a fold measures to about 0.14, so nothing follows from these figures but
# how it is done. With :class:`~sklearn_genremoe.AudioSetEmbedding` in place of the table, no
# table is needed: see :doc:`../user_guide/pretrained`.

fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for position, values in enumerate(accuracies.values()):
    ax.bar(position, np.mean(values), color=f"C{position}", alpha=0.7)
    ax.plot(np.full(len(values), position), values, "k.")
ax.set_xticks(range(len(accuracies)), accuracies)
ax.axhline(0.25, color="grey", linestyle=":", label="chance")
ax.set_ylabel("accuracy by fold")
ax.set_ylim(0, 1)
ax.legend()
plt.show()
