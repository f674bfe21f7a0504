"""
How many clips do I need?
=========================

A learning curve on your own clips answers better than any rule. Here the quick experts, and the
baseline that everyone should try first, learn from ever more of the bundled clips.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.model_selection import StratifiedGroupKFold, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import MFCC, MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import time_statistics

sklearn.set_config(enable_metadata_routing=True)
clips = load_mini_genres()
mixture = MixtureOfExpertsClassifier(
    default_experts(duration=10.0, networks=False), "log_pool", random_state=0
)
statistics = make_pipeline(
    MFCC(duration=10.0, normalize=None), FunctionTransformer(time_statistics)
).fit_transform(clips.data)
contenders = {
    "mixture of the quick experts": (mixture, mixture.extract(clips.data)),
    "MFCC and a support vector machine": (make_pipeline(StandardScaler(), SVC(C=10)), statistics),
}

# %%
# Groups keep the clips of one track on one side. Three draws of the folds make the curves
# smoother.

fractions = np.linspace(0.3, 1.0, 4)
curves = {}
for name, (classifier, X) in contenders.items():
    found = []
    for seed in range(3):
        sizes, _, scores = learning_curve(
            classifier,
            X,
            clips.target,
            cv=StratifiedGroupKFold(4, shuffle=True, random_state=seed),
            params={"groups": clips.groups},
            train_sizes=fractions,
            shuffle=True,
            random_state=seed,
        )
        found.append(scores)
    curves[name] = np.concatenate(found, axis=1)
    for size, score in zip(sizes, curves[name].mean(axis=1)):
        print(f"{name}, {size:2} clips: {score:.2f}")

# %%
# While a curve rises, more clips help. Where it is flat, better views do. Bands are the standard
# error over twelve folds of a dozen clips.

figure, ax = plt.subplots(layout="constrained")
for name, scores in curves.items():
    mean, error = scores.mean(axis=1), scores.std(axis=1) / np.sqrt(scores.shape[1])
    ax.plot(sizes, mean, marker="o", label=name)
    ax.fill_between(sizes, mean - error, mean + error, alpha=0.2)
ax.axhline(0.25, color="black", linewidth=0.8, linestyle="--", label="chance")
ax.set_ylim(0, 1)
ax.set_xlabel("clips to learn from")
ax.set_ylabel("accuracy on held-out tracks")
ax.legend(loc="lower right")
plt.show()
