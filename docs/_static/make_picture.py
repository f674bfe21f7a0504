"""Make the pictures of the front page, picture.png and picture_narrow.png, from a real fit.

    python docs/_static/make_picture.py

The default mixture learns from the bundled clips without one track, and predicts a clip of that
track: what the experts see, what they predict, and what the mixture answers. The narrow picture is
for telephones.
"""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from sklearn_genremoe import (
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    default_experts,
)
from sklearn_genremoe.datasets import load_mini_genres

CLIP = 14
VIEWS = {
    "original: power in mel bands": LogMelSpectrogram(duration=10.0),
    "harmonic: what is sustained": HarmonicSpectrogram(duration=10.0),
    "percussive: what is transient": PercussiveSpectrogram(duration=10.0),
    # Its column at 0 Hz, the mean of each band, would outshine the others.
    "modulation: rhythm of each band": ModulationSpectrogram(duration=10.0, drop_dc=True),
}

clips = load_mini_genres()
train = clips.groups != clips.groups[CLIP]
clf = MixtureOfExpertsClassifier(default_experts(10.0), cv=3, random_state=0, n_jobs=2)
batch = clf.extract(clips.data)
clf.fit(batch[train], clips.target[train], groups=clips.groups[train])
views = DomainUnion(list(VIEWS.items())).transform(clips.data[[CLIP]])
by_expert = clf.expert_predict_proba(batch[[CLIP]])[0]
answer = clf.predict_proba(batch[[CLIP]])[0]
names = list(clf.named_experts_)
print(clips.data[CLIP], clips.target[CLIP], dict(zip(clf.classes_, answer.round(2))))

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})


def draw_views(part):
    """Draw what the paper's four domains show of the clip."""
    for axes, name in zip(part.subplots(len(VIEWS), 1), VIEWS):
        view = views[name][0]
        low, high = np.percentile(view, [5, 99.5])
        axes.imshow(view, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10, loc="left")
        for spine in axes.spines.values():
            spine.set_visible(False)
    part.suptitle("views of one clip", fontweight="bold")


def draw_experts(part):
    """Draw the probabilities that each expert predicts."""
    axes = part.subplots()
    axes.imshow(by_expert, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(by_expert):
        colour = "w" if value > 0.6 else "k"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_yticks(range(len(names)), [name.replace("_", "\n") for name in names])
    axes.set_xticks(range(len(clf.classes_)), clf.classes_, fontsize=10)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    part.suptitle("what each expert predicts", fontweight="bold")


def draw_answer(part):
    """Draw the probabilities that the mixture predicts."""
    axes = part.subplots()
    colours = ["C0" if genre == clips.target[CLIP] else "0.7" for genre in clf.classes_]
    axes.barh(clf.classes_, answer, color=colours)
    for position, value in enumerate(answer):
        axes.text(value + 0.02, position, f"{value:.2f}", va="center")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    axes.set_xlabel(f"probability\n(true genre: {clips.target[CLIP]})")
    part.suptitle("the mixture's answer", fontweight="bold")


def save(figure, name, dpi):
    """Save with a palette of 128 colours, a third of the bytes; nobody sees it."""
    file = io.BytesIO()
    figure.savefig(file, dpi=dpi)
    picture = Image.open(file).convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT)
    picture.save(Path(__file__).with_name(name), optimize=True)


parts = (draw_views, draw_experts, draw_answer)
figure = plt.figure(figsize=(11, 4.8), layout="constrained")
for draw, part in zip(parts, figure.subfigures(1, 3, width_ratios=[1.2, 1.25, 0.9])):
    draw(part)
save(figure, "picture.png", 130)
figure = plt.figure(figsize=(4.4, 7.5 + 0.5 * len(names)), layout="constrained")
for draw, part in zip(
    parts, figure.subfigures(3, 1, height_ratios=[1, 0.25 + 0.17 * len(names), 0.65])
):
    draw(part)
save(figure, "picture_narrow.png", 140)
