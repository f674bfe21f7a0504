"""
Why folds must respect artists
==============================

Clips of one track, or of one artist, have more in common than their genre. A score whose folds
ignore that says how well recordings are recognised, not genres.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

sklearn.set_config(enable_metadata_routing=True)  # inner folds respect the groups too
clips = load_mini_genres()
experts = default_experts(duration=10.0, networks=False)
clf = MixtureOfExpertsClassifier(experts, "log_pool", random_state=0)
batch = clf.extract(clips.data)

# %%
# The same mixture and clips, under three rules of what must stay together.

rules = {
    "clips (nothing)": np.arange(len(clips.data)),
    "tracks": clips.groups,
    "artists": clips.artists,
}
scores = {}
for name, groups in rules.items():
    scores[name] = []
    for seed in range(5):
        folds = StratifiedGroupKFold(3, shuffle=True, random_state=seed)
        found = cross_val_score(clf, batch, clips.target, cv=folds, params={"groups": groups})
        scores[name].append(found.mean())
    print(f"{name:16} {np.mean(scores[name]):.2f}, by draw of folds: {np.round(scores[name], 2)}")

# %%
# A dot is a draw of folds, a line the mean. Report the last column, or say which one it is.

figure, ax = plt.subplots(layout="constrained")
for place, values in enumerate(scores.values()):
    ax.scatter(np.full(len(values), place), values, alpha=0.6)
    ax.hlines(np.mean(values), place - 0.25, place + 0.25, color=f"C{place}", linewidth=3)
ax.set_xticks(range(len(scores)), scores)
ax.set_xlim(-0.5, len(scores) - 0.5)
ax.set_ylim(0, 1)
ax.axhline(0.25, color="black", linewidth=0.8, linestyle="--")
ax.set_xlabel("kept together in one fold")
ax.set_ylabel("accuracy (dashed: chance)")
plt.show()
