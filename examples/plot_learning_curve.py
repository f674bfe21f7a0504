"""
How many clips do I need?
=========================

A learning curve on your own clips answers better than any rule. Here the two linear experts of
the default mixture learn from ever more of the bundled clips.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, learning_curve

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

clips = load_mini_genres()
clf = MixtureOfExpertsClassifier(default_experts(duration=10.0)[-2:], "log_pool", random_state=0)
batch = clf.extract(clips.data)  # once: the curve trains twenty mixtures on it

# %%
# Groups keep the clips of one track on one side.

sizes, train_scores, test_scores = learning_curve(
    clf,
    batch,
    clips.target,
    groups=clips.groups,
    cv=StratifiedGroupKFold(4),
    train_sizes=np.linspace(0.3, 1.0, 5),
    shuffle=True,
    random_state=0,
)
for size, scores in zip(sizes, test_scores):
    print(f"{size:3} clips: {scores.mean():.2f}")

# %%
# Where the lower curve still rises, more clips help; where both meet, better views do. With so
# few clips the training score is perfect long before the other one is good.

figure, ax = plt.subplots(layout="constrained")
for name, scores in {"clips learned from": train_scores, "held-out tracks": test_scores}.items():
    mean, deviation = scores.mean(axis=1), scores.std(axis=1)
    ax.plot(sizes, mean, marker="o", label=name)
    ax.fill_between(sizes, mean - deviation, mean + deviation, alpha=0.2)
ax.axhline(0.25, color="black", linewidth=0.8, linestyle="--", label="chance")
ax.set_xlabel("clips to learn from")
ax.set_ylabel("accuracy")
ax.legend()
