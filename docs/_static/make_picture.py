"""Make the picture of the front page, docs/_static/picture.png, from a real fit.

    python docs/_static/make_picture.py

The default mixture learns from the bundled clips without one track, and predicts a clip of that
track: what its experts see is on the left, what they and the mixture say on the right. Takes some
minutes.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

CLIP = 30
VIEWS = {
    "original": "power in mel bands",
    "harmonic": "what is sustained",
    "percussive": "what is transient",
    "modulation": "rhythm of each band",
}

clips = load_mini_genres()
train = clips.groups != clips.groups[CLIP]
clf = MixtureOfExpertsClassifier(
    default_experts(10.0, max_epochs=30), cv=3, random_state=0, n_jobs=2
)
batch = clf.extract(clips.data)
clf.fit(batch[train], clips.target[train], groups=clips.groups[train])
clip = batch[[CLIP]]
by_expert = clf.expert_predict_proba(clip)[0]
answer = clf.predict_proba(clip)[0]
names = list(clf.named_experts_)
print(clips.data[CLIP], clips.target[CLIP], dict(zip(clf.classes_, answer.round(2))))

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
figure = plt.figure(figsize=(11, 4.6), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[1.35, 1.1, 0.9])
for axes, (name, words) in zip(left.subplots(len(VIEWS), 1, sharex=False), VIEWS.items()):
    axes.imshow(clip[name][0], origin="lower", aspect="auto", cmap="magma")
    axes.set(xticks=[], yticks=[], title=f"{name}: {words}")
    axes.title.set(fontsize=9, ha="left", position=(0, 1))
    for spine in axes.spines.values():
        spine.set_visible(False)
left.suptitle("several views of a clip", fontweight="bold")

axes = middle.subplots()
image = axes.imshow(by_expert, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for (row, column), value in np.ndenumerate(by_expert):
    axes.text(
        column, row, f"{value:.2f}", ha="center", va="center", color="w" if value > 0.6 else "k"
    )
axes.set_yticks(range(len(names)), [name.replace("_", "\n") for name in names])
axes.set_xticks(range(len(clf.classes_)), clf.classes_)
axes.tick_params(length=0)
for spine in axes.spines.values():
    spine.set_visible(False)
middle.suptitle("one expert per view", fontweight="bold")

axes = right.subplots()
colours = ["C0" if genre == clips.target[CLIP] else "0.7" for genre in clf.classes_]
axes.bar(clf.classes_, answer, color=colours)
for position, value in enumerate(answer):
    axes.text(position, value + 0.01, f"{value:.2f}", ha="center")
axes.set(ylim=(0, 1), ylabel="predicted probability")
axes.set_xlabel(f"true genre: {clips.target[CLIP]}")
right.suptitle("one answer from the mixture", fontweight="bold")
figure.savefig(Path(__file__).with_name("picture.png"), dpi=130)
