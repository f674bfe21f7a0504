"""
How many clips do I need?
=========================

A learning curve on your own clips answers better than any rule. Here a network and the three linear
experts of the default mixture learn from ever more of the bundled clips.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, learning_curve

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

clips = load_mini_genres()
experts = default_experts(duration=10.0, crop_frames=64, max_epochs=30)  # less than usual
contenders = {
    "network (original, 30 epochs)": experts[:1],
    "three linear experts": experts[-3:],
}

# %%
# Groups keep the clips of one track on one side. Clips are extracted once for each contender; the
# curves then train 32 mixtures on it.

curves = {}
for name, chosen in contenders.items():
    clf = MixtureOfExpertsClassifier(chosen, "log_pool", random_state=0)
    sizes, train_scores, test_scores = learning_curve(
        clf,
        clf.extract(clips.data),
        clips.target,
        groups=clips.groups,
        cv=StratifiedGroupKFold(4),
        train_sizes=np.linspace(0.3, 1.0, 4),
        shuffle=True,
        random_state=0,
    )
    curves[name] = test_scores
    for size, train, test in zip(sizes, train_scores.mean(axis=1), test_scores.mean(axis=1)):
        print(f"{name}, {size:2} clips: {test:.2f} on held-out tracks, {train:.2f} on its own")

# %%
# While a curve rises, more clips help; where it is flat and close to the score on the clips that
# were learned from, better views do; here the latter is high all along, so clips are what is
# missing. Bands are the deviation over four folds of a dozen clips, so the curves tell the
# direction, not which of the two is better.

figure, ax = plt.subplots(layout="constrained")
for name, scores in curves.items():
    mean, deviation = scores.mean(axis=1), scores.std(axis=1)
    ax.plot(sizes, mean, marker="o", label=name)
    ax.fill_between(sizes, mean - deviation, mean + deviation, alpha=0.2)
ax.axhline(0.25, color="black", linewidth=0.8, linestyle="--", label="chance")
ax.set_ylim(0, 1)
ax.set_xlabel("clips to learn from")
ax.set_ylabel("accuracy on held-out tracks")
ax.legend(loc="lower right")
plt.show()
