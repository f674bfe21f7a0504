"""
Four experts and two mixtures on real clips
===========================================

The whole system in one go: real clips, four views of each, one network per view, and mixtures
that decide how much to trust each network, judged on tracks that none of them has heard.

The bundled set has 48 clips of ten seconds, and the networks a quarter of the paper's filters, so
that everything runs in a few minutes on two cores. Some three dozen clips teach a network little,
and the figures below move by several points from seed to seed: they show how things work, not how
well they can.
"""

# %%
# The clips
# ---------
# Several clips may be cut from one track. ``groups`` names the track of each clip, so that no
# track is in training and in test data at once.

import time
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    BalancedMixer,
    CNNClassifier,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    RNNMixer,
)
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import MixtureWeightsDisplay

clips = load_mini_genres()
print(clips.DESCR)

# %%
# Four views of each clip
# -----------------------
# The log-mel spectrogram, its harmonic and its percussive part, and the spectrum over time of
# each band. They are extracted once, up front: whatever is cross-validated below takes its view
# from the batch. (Paths would do as well, and be decoded when they are needed.)

domains = [
    ("original", LogMelSpectrogram(duration=10.0)),
    ("harmonic", HarmonicSpectrogram(duration=10.0)),
    ("percussive", PercussiveSpectrogram(duration=10.0)),
    ("modulation", ModulationSpectrogram(duration=10.0)),
]
start = time.perf_counter()
batch = DomainUnion(domains, verbose=1).transform(clips.data)
print(f"{batch}, extracted in {time.perf_counter() - start:.1f} s")

# %%
# Experts and mixture
# -------------------
# An expert is a view and a classifier. MoER, the paper's best mixture, lets a recurrent network
# see the clip and weigh the experts; it learns from their predictions for clips that they weren't
# trained on. MoEB is their plain average and takes no training, so the same experts serve both.
#
# The epochs are the paper's. Its batches of 16 would make three steps of an epoch here, too few
# for the running means of the batch normalisation; batches of four make nine.

cnn = CNNClassifier(channels=(16, 32, 32, 48, 64), max_epochs=50, batch_size=4)
moer = MixtureOfExpertsClassifier(
    experts=[(name, make_pipeline(domain, cnn)) for name, domain in domains],
    mixer=RNNMixer(max_epochs=20, batch_size=4),
    cv=StratifiedGroupKFold(3),
    n_jobs=2,
    random_state=0,
    verbose=1,
)

# %%
# Four folds by track
# -------------------

names = [name for name, _ in domains]
models = [*names, "MoEB", "MoER"]
n_folds = 4
accuracy = np.zeros((n_folds, len(models)))
weights = np.zeros((len(batch), len(names)))
folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)

for fold, (train, test) in enumerate(folds.split(batch, clips.target, clips.groups)):
    start = time.perf_counter()
    fitted = clone(moer).fit(batch[train], clips.target[train], groups=clips.groups[train])
    expert_proba = fitted.expert_predict_proba(batch[test])
    probabilities = [
        *expert_proba.swapaxes(0, 1),
        BalancedMixer().predict_proba(expert_proba),
        fitted.predict_proba(batch[test]),
    ]
    for model, proba in enumerate(probabilities):
        predicted = fitted.classes_[proba.argmax(axis=1)]
        accuracy[fold, model] = np.mean(predicted == clips.target[test])
    weights[test] = fitted.mixture_weights(batch[test])
    print(
        f"fold {fold + 1} of {n_folds}: MoEB {accuracy[fold, -2]:.2f}, "
        f"MoER {accuracy[fold, -1]:.2f} ({time.perf_counter() - start:.0f} s)",
        flush=True,
    )

# %%
# How well each one does on the tracks that it has not heard: mean and deviation over the folds.
# With a dozen test clips, a fold measures to about 0.14.

print(f"{'accuracy':<14}mean   dev.")
for model, column in zip(models, accuracy.T):
    print(f"{model:<14}{column.mean():.2f}   {column.std():.2f}")
print(f"{'chance level':<14}{1 / len(clips.target_names):.2f}")

# %%
# Whom the mixture trusts
# -----------------------
# The weights that MoER gives to the experts on the test clips of all folds, averaged over each
# genre.

display = MixtureWeightsDisplay.from_predictions(weights, clips.target, expert_names=names)
display.figure_.savefig("mixture_weights.png", dpi=150)
print("the mixture weights are drawn in mixture_weights.png")

# %%
# One file
# --------
# A fitted mixture takes paths just as well. This clip was in the test data of the last fold.

path = clips.data[test[0]]
[expert_proba] = fitted.expert_predict_proba([path])
[weight] = fitted.mixture_weights([path])
[proba] = fitted.predict_proba([path])
print("/".join(Path(path).parts[-2:]))
print(f"{'':<14}{'weight':>6}  " + "".join(f"{genre:>12}" for genre in fitted.classes_))
for name, share, row in zip(names, weight, expert_proba):
    print(f"{name:<14}{share:6.2f}  " + "".join(f"{value:12.2f}" for value in row))
print(f"{'MoER':<14}{'':6}  " + "".join(f"{value:12.2f}" for value in proba))
print(f"\npredicted: {fitted.predict([path])[0]}, in truth: {clips.target[test[0]]}")
