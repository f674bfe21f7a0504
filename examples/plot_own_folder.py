"""
A folder of your own, with a manifest and some bad files
========================================================

Real folders have a table that says what is what, several clips of one artist, and a few files
that can't be decoded. Here such a folder is made of bundled clips, and then loaded, judged and
classified as yours would be.
"""

# %%
# The folder: clips, two of them broken, and a manifest with genre and artist.

import csv
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, cross_validate

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_audio_folder, load_mini_genres

bundled = load_mini_genres()
folder = Path(tempfile.mkdtemp())
with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(["path", "genre", "artist"])
    for path, genre, artist in zip(bundled.data, bundled.target, bundled.artists):
        shutil.copy(path, folder)
        table.writerow([Path(path).name, genre, artist])
names = sorted(path.name for path in folder.glob("*.ogg"))
# An interrupted copy, and a failed download.
for name, content in [(names[0], b""), (names[-1], b"404 not found")]:
    (folder / name).write_bytes(content)

# %%
# ``manifest.csv`` is found by itself; its artists become the groups.

clips = load_audio_folder(folder, group_by="artist")
print(clips.DESCR)

# %%
# With ``on_error="warn"`` bad files are reported once per call, with their paths, and left out of
# the fit; their probabilities are NaN. (The three quick experts keep this example short; leave
# ``[-3:]`` out.)

clf = MixtureOfExpertsClassifier(
    default_experts(duration=10.0)[-3:], "log_pool", on_error="warn", random_state=0
)
batch = clf.extract(clips.data)
good = np.setdiff1d(np.arange(len(batch)), list(batch.bad_clips))
print("left out:", [Path(clips.data[row]).name for row in batch.bad_clips])

# %%
# Judged between artists: none is in training and in test data at once. (A mixer that learns,
# such as ``"stacking"``, has inner folds, which must respect the groups too: see the page on fair
# evaluation.)

scores = cross_validate(
    clf,
    batch[good],
    clips.target[good],
    cv=StratifiedGroupKFold(3),
    groups=clips.groups[good],
    error_score="raise",
)
print(f"accuracy between artists: {scores['test_score'].mean():.2f}")

# %%
# Predictions for everything; who needs a label for bad files says which. These are the clips that
# it has learned from, so nearly all answers are right: how often it is right on others is above.

clf.fit(batch, clips.target)
answers = clf.predict(batch, missing="no audio")
names, counts = np.unique(answers, return_counts=True)

figure, ax = plt.subplots(layout="constrained")
ax.bar(names, counts, color=["#999999" if name == "no audio" else "#0072B2" for name in names])
ax.set_ylabel("clips")
ax.set_title("what the folder holds, by the mixture")
shutil.rmtree(folder)
