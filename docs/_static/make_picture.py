"""Make the picture of the front page, docs/_static/picture.png, from a real fit.

    python docs/_static/make_picture.py

The default mixture learns from three quarters of the bundled clips and predicts the others, of
tracks that it has not heard. Shown is one that it gets right although its experts disagree (two to
four of seven are right), the one of which it is most certain: what the experts see on the left,
what they and the mixture say on the right. Takes some minutes.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

VIEWS = {
    "original": "power in mel bands",
    "harmonic": "what is sustained",
    "percussive": "what is transient",
    "modulation": "rhythm of each band",
}

clips = load_mini_genres()
folds = StratifiedGroupKFold(4).split(clips.data, clips.target, clips.groups)
train, test = next(folds)
clf = MixtureOfExpertsClassifier(
    default_experts(10.0, max_epochs=30), cv=3, random_state=0, n_jobs=2
)
batch = clf.extract(clips.data)
clf.fit(batch[train], clips.target[train], groups=clips.groups[train])
truth = np.searchsorted(clf.classes_, clips.target[test])
probas, answers = clf.expert_predict_proba(batch[test]), clf.predict_proba(batch[test])
n_right = (probas.argmax(axis=2) == truth[:, np.newaxis]).sum(axis=1)
is_right = answers.argmax(axis=1) == truth
shown = np.argmax(answers.max(axis=1) * (is_right & (n_right >= 2) & (n_right <= 4)))
clip, by_expert, answer = batch[test[[shown]]], probas[shown], answers[shown]
genre_of_clip = clips.target[test[shown]]
names = list(clf.named_experts_)
print(f"{is_right.sum()} of {len(test)} clips right; shown: {clips.data[test[shown]]}")

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
figure = plt.figure(figsize=(11, 4.6), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[1.35, 1.1, 0.9])
for axes, (name, words) in zip(left.subplots(len(VIEWS), 1, sharex=False), VIEWS.items()):
    view = clip[name][0]
    if name == "modulation":
        view = view[:, 1 : len(view[0]) // 2]  # 0 Hz, the mean of each band, outshines the rest
    low, high = np.percentile(view, [1, 99])
    axes.imshow(view, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
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
axes.set_xticks(range(len(clf.classes_)), clf.classes_, fontsize=9)
axes.tick_params(length=0)
for spine in axes.spines.values():
    spine.set_visible(False)
middle.suptitle("one expert per view", fontweight="bold")

axes = right.subplots()
colours = ["C0" if genre == genre_of_clip else "0.7" for genre in clf.classes_]
axes.barh(clf.classes_, answer, color=colours)
for position, value in enumerate(answer):
    axes.text(value + 0.01, position, f"{value:.2f}", va="center")
axes.set(xlim=(0, 1), xlabel="predicted probability")
axes.invert_yaxis()
right.suptitle(f"one answer, and right: {clf.classes_[answer.argmax()]}", fontweight="bold")
file = Path(__file__).with_name("picture.png")
figure.savefig(file, dpi=130)
Image.open(file).convert("RGB").quantize(128).save(file, optimize=True)
