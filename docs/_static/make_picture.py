"""Make the picture of the front page, docs/_static/picture.png, from a real fit.

    python docs/_static/make_picture.py

The default mixture learns from three quarters of the bundled clips and predicts the others, of
tracks that it has not heard. Shown is one that it gets right although its experts disagree (two to
four of seven are right), the one of which it is most certain: views of the clip are on the left,
what experts and mixture predict on the right. Takes some minutes.
"""

import io
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
genre = clips.target[test[shown]]
names = list(clf.named_experts_)
print(f"{is_right.sum()} of {len(test)} clips right; shown: {clips.data[test[shown]]}")

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
figure = plt.figure(figsize=(11, 4.8), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[1.2, 1.25, 0.9])
for axes, (name, words) in zip(left.subplots(len(VIEWS), 1, sharex=False), VIEWS.items()):
    view = clip[name][0]
    if name == "modulation":
        view = view[
            :, 1 : len(view[0]) // 2
        ]  # its column at 0 Hz, the mean of each band, would outshine the others
    low, high = np.percentile(view, [5, 99.5])
    axes.imshow(view, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{name}: {words}", fontsize=10, loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)
left.suptitle("views of one clip", fontweight="bold")

axes = middle.subplots()
axes.imshow(by_expert, cmap="Blues", vmin=0, vmax=1, aspect="auto")
for (row, column), value in np.ndenumerate(by_expert):
    axes.text(
        column, row, f"{value:.2f}", ha="center", va="center", color="w" if value > 0.6 else "k"
    )
axes.set_yticks(range(len(names)), [name.replace("_", "\n") for name in names])
axes.set_xticks(range(len(clf.classes_)), clf.classes_, fontsize=10)
axes.tick_params(length=0)
for spine in axes.spines.values():
    spine.set_visible(False)
middle.suptitle("what each expert predicts", fontweight="bold")

axes = right.subplots()
colours = ["C0" if name == genre else "0.7" for name in clf.classes_]
axes.barh(clf.classes_, answer, color=colours)
for position, value in enumerate(answer):
    axes.text(value + 0.02, position, f"{value:.2f}", va="center")
axes.invert_yaxis()
axes.tick_params(axis="y", length=0)
axes.set(xlim=(0, 1), xticks=[0, 0.5, 1])
axes.set_xlabel("predicted probability")
right.suptitle("the mixture's answer", fontweight="bold")

# A palette of 128 colours takes a third of the bytes, and nobody sees it.
file = io.BytesIO()
figure.savefig(file, dpi=130)
picture = Image.open(file).convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT)
picture.save(Path(__file__).with_name("picture.png"), optimize=True)
