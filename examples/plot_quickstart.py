"""
Quickstart: a folder of labelled clips
======================================

From labelled clips to a genre classifier that is judged on music it has never heard, and saved
for next month. Each clip is turned into several views (spectrograms of its power, of its sustained
and of its percussive part, and so on); one classifier, the expert, learns from each view, and a
mixer combines their predicted probabilities into one answer.

The 48 bundled clips are enough to see how things work, and too few to rank methods. To keep this
short, the networks are trained on crops of 5 s, and the mixer is ``"log_pool"`` (the geometric
mean of the experts' probabilities), which trains every expert once; ``"stacking"``, the default,
trains each of them six times to learn how much each is worth.
"""

# %%
# The clips
# ---------
# ``clips.data`` are paths, ``clips.target`` genres. Several clips may be cut from one track;
# ``clips.groups`` names the track of each, so that no track is in training and in test data at
# once.
# For a folder of your own: ``load_audio_folder("my_clips")``.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from sklearn_genremoe import (
    MFCC,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    StackingMixer,
    default_experts,
    load_model,
    save_model,
)
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import time_statistics
from sklearn_genremoe.inspection import MixtureWeightsDisplay

clips = load_mini_genres()
X, y = clips.data, clips.target
print(clips)

# %%
# Extract once
# ------------
# Each file is decoded and analysed once, for all experts together. Every fold below takes its
# part of the batch. In a notebook an estimator is shown as the diagram below: click on a part to
# see its parameters.

experts = default_experts(duration=10.0, crop_frames=64)  # 5 s: half the work of 10 s
clf = MixtureOfExpertsClassifier(experts, mixer="log_pool", n_jobs=2, random_state=0, verbose=1)
print(f"Extracting {len(experts)} views of {len(X)} clips")
batch = clf.extract(X)
clf

# %%
# Judge on tracks that were held out
# ----------------------------------
# Four folds by track; scikit-learn keeps the four models and what each of them has not heard. A
# scorer is called once per fold, so it can move a progress bar. The baseline is what everyone
# should try first: mean and deviation of MFCC with a support vector machine.

folds = StratifiedGroupKFold(4)
judged = {"groups": clips.groups, "cv": folds}
clf.set_params(verbose=0)
with tqdm(total=folds.n_splits, desc="folds", unit="fold") as bar:

    def score(model, X, y):
        bar.update()
        return model.score(X, y)

    kept = cross_validate(
        clf, batch, y, **judged, scoring=score, return_estimator=True, return_indices=True
    )
held_out = kept["indices"]["test"]
rows = np.concatenate(held_out)
by_expert = np.concatenate(
    [model.expert_predict_proba(batch[test]) for model, test in zip(kept["estimator"], held_out)]
)[rows.argsort()]
by_mixture = LogPoolMixer().predict_proba(by_expert)

svm = make_pipeline(
    MFCC(duration=10.0, normalize=None),
    FunctionTransformer(time_statistics),
    StandardScaler(),
    SVC(C=10),
)
by_svm = cross_val_predict(svm, X, y, **judged)

# %%
# With so few clips an interval is worth more than a figure:

genres = np.unique(y)
answers = {name: genres[by_expert[:, m].argmax(axis=1)] for m, (name, _) in enumerate(experts)}
best = max(answers, key=lambda name: (answers[name] == y).mean())
right = {
    "chance": np.full(len(y), 1 / len(genres)),
    "MFCC + SVM": by_svm == y,
    f"best expert ({best})": answers[best] == y,
    "mixture": genres[by_mixture.argmax(axis=1)] == y,
}
accuracy = pd.Series({name: np.mean(values) for name, values in right.items()})
half_width = 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(y))
table = pd.DataFrame({"accuracy": accuracy, "95 % +-": half_width}).round(2)
print(table)
print(f"{len(y)} clips: differences under 15 points mean nothing here.")

# %%
# Fit on everything, and save
# ---------------------------
# ``load_model`` runs nothing that a file says, unlike a pickle.

print("Training on all clips")
clf.set_params(verbose=1).fit(batch, y)
save_model(clf, "genres.skops")
loaded = load_model("genres.skops")
print(f"{Path(X[0]).name} sounds like {loaded.predict(X[:1])[0]}; its genre is {y[0]}")
print("(It was among the training clips; the table above is about tracks that were held out.)")

# %%
# What is confused with what, and how much each expert counts. In the log pool all experts count
# alike; ``"stacking"`` learns from the answers on held-out tracks how much each of them is worth.

figure, (left, beside) = plt.subplots(
    1, 2, figsize=(12, 4.5), width_ratios=(2, 3), layout="constrained"
)
ConfusionMatrixDisplay.from_predictions(
    y, genres[by_mixture.argmax(axis=1)], ax=left, colorbar=False, cmap="Blues"
)
left.set_title("held-out tracks: clips per genre and answer")
stacking = StackingMixer().fit(by_expert, np.searchsorted(genres, y))
weights = stacking.weights(by_expert)
MixtureWeightsDisplay.from_predictions(
    weights, y, expert_names=[name for name, _ in experts], ax=beside
)
beside.set_title("weights that stacking gives the experts", pad=68)
figure.savefig("quickstart.png", dpi=100)
print("In this folder: the picture is in quickstart.png, the model in genres.skops.")
