"""
A folder of your own, with a manifest and some bad files
========================================================

Real folders have a table that says what is what, several clips of one track, and a few files that
can't be decoded. Here such a folder is made of bundled clips, and then loaded, judged and
classified as yours would be.
"""

# %%
# The folder: clips, two of them broken, and a manifest with genre and track.

import csv
import shutil
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.audio import BadClipWarning
from sklearn_genremoe.datasets import load_audio_folder, load_mini_genres
from sklearn_genremoe.inspection import CollectionReport

bundled = load_mini_genres()
folder = Path(tempfile.mkdtemp())
with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(["path", "genre", "track"])
    for path, genre, track in zip(bundled.data, bundled.target, bundled.groups):
        shutil.copy(path, folder)
        table.writerow([Path(path).name, genre, track])
names = sorted(path.name for path in folder.glob("*.ogg"))
# An interrupted copy, and a failed download.
for name, content in [(names[0], b""), (names[-1], b"404 not found")]:
    (folder / name).write_bytes(content)

# %%
# ``manifest.csv`` is found by itself; its tracks become the groups.

clips = load_audio_folder(folder)
print(clips)

# %%
# With ``on_error="warn"`` one warning lists the bad files, and the work goes on without them. (The
# quick experts keep this example short.)

clf = MixtureOfExpertsClassifier(
    default_experts(duration=10.0, networks=False), "log_pool", on_error="warn", random_state=0
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", BadClipWarning)  # shown as a table instead
    batch = clf.extract(clips.data)
for row, reason in batch.bad_clips.items():
    print(f"row {row}: {reason.replace(str(folder), 'my_clips')}")

# %%
# Each clip is judged by experts that haven't heard its track.

report = CollectionReport.from_cross_validation(clf, batch, clips.target, clips.groups, cv=4)
print(*report.summary(), sep="\n")
figure, ax = plt.subplots(layout="constrained")
report.plot("confusion", ax=ax)
ax.set_title("clips of tracks that were not trained on")

# %%
# The model to keep learns from all clips. For a bad file ``predict`` answers what it is told to:

with warnings.catch_warnings():
    warnings.simplefilter("ignore", BadClipWarning)
    clf.fit(batch, clips.target)
    print(clf.predict(clips.data[:3], missing="no audio"))
shutil.rmtree(folder)
