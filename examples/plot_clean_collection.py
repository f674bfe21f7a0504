"""
Clean a collection
==================

Some labels of a collection are wrong, one file is there twice, another one is broken.
Cross-validation finds them: each clip is judged by models that haven't heard its track.
"""

# %%
# The bundled clips, four of them with a wrong label, one encoded a second time, and a failed
# download.

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.audio import BadClipWarning, decode_audio
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import CollectionReport

clips = load_mini_genres()
folder = Path(tempfile.mkdtemp())
soundfile.write(folder / "copy.mp3", decode_audio(clips.data[20]), 22050)
(folder / "broken.ogg").write_text("404 not found")

paths = [*clips.data, folder / "copy.mp3", folder / "broken.ogg"]
genres = np.array([*clips.target, clips.target[20], "rock"])
tracks = np.array([*clips.groups, "copied", "unknown"])
wrong = {5: "rock", 17: "folk", 30: "electronic", 44: "ambient"}
for row, genre in wrong.items():
    genres[row] = genre

# %%
# The quick experts keep this example short.

clf = MixtureOfExpertsClassifier(default_experts(10.0, networks=False), "log_pool", random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", BadClipWarning)  # the report lists it
    report = CollectionReport.from_cross_validation(clf, paths, genres, tracks, cv=4)
report

# %%
# The most suspicious labels. Which of them are wrong indeed?

issues = report.label_issues(10)[["genre", "predicted", "proba_genre", "votes_for_genre"]]
issues["changed"] = issues.index.isin(list(wrong))
print(issues.round(2))

# %%
# The copy, and the broken file.

print(report.duplicates()[["similarity", "same_genre", "same_group"]])
frame = report.frame()
print(frame.loc[frame["error"] != "", "error"].item().replace(str(folder), "my_clips"))

# %%
# How far can the answers be trusted?

_, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
report.plot("confusion", ax=axes[0])
report.plot("coverage", ax=axes[1])

# %%
# All of it is on one page, with a player for each clip, where labels are marked as right or wrong.
# :doc:`/user_guide/clean_collection` tells how to go on from there.

page = report.save(folder / "report.html")
print(f"{page.stat().st_size / 1000:.0f} kB")
