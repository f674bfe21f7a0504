"""Make the picture of the front page, docs/_static/picture.png, from a real fit.

    python docs/_static/make_picture.py

The default mixture learns from the bundled clips without one track, and predicts a clip of that
track: views of the clip are on the left, what experts and mixture predict on the right. Takes some
minutes.
"""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

CLIP = 14
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

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
figure = plt.figure(figsize=(11, 4.8), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[1.2, 1.25, 0.9])
for axes, (name, words) in zip(left.subplots(len(VIEWS), 1, sharex=False), VIEWS.items()):
    view = clip[name][0]
    if name == "modulation":
        view = view[:, 1:]  # its column at 0 Hz, the mean of each band, would outshine the others
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
colours = ["C0" if genre == clips.target[CLIP] else "0.7" for genre in clf.classes_]
axes.barh(clf.classes_, answer, color=colours)
for position, value in enumerate(answer):
    axes.text(value + 0.02, position, f"{value:.2f}", va="center")
axes.invert_yaxis()
axes.tick_params(axis="y", length=0)
axes.set(xlim=(0, 1), xticks=[0, 0.5, 1])
axes.set_xlabel(f"probability\n(true genre: {clips.target[CLIP]})")
right.suptitle("the mixture's answer", fontweight="bold")

# A palette of 128 colours takes a third of the bytes, and nobody sees it.
file = io.BytesIO()
figure.savefig(file, dpi=130)
picture = Image.open(file).convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT)
picture.save(Path(__file__).with_name("picture.png"), optimize=True)
