"""
Genres with few clips
=====================

With more than twice as many clips of one genre as of another, a classifier learns to guess the
frequent one. Weights count every genre alike: ``class_weight`` reaches all experts.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres

# %%
# Only five clips of folk and of ambient are left.

sklearn.set_config(enable_metadata_routing=True)  # inner folds respect the groups too
clips = load_mini_genres()
few = [np.flatnonzero(clips.target == genre)[:5] for genre in ("folk", "ambient")]
many = [np.flatnonzero(clips.target == genre) for genre in ("rock", "electronic")]
rows = np.concatenate([*few, *many])
X, y, groups = clips.data[rows], clips.target[rows], clips.groups[rows]

# %%
# As it is, and with every genre counting alike:

genres = np.unique(y)
recalls = {}
for name, class_weight in {"as it is": None, "balanced": "balanced"}.items():
    experts = default_experts(duration=10.0, class_weight=class_weight, networks=False)
    clf = MixtureOfExpertsClassifier(experts, "log_pool", random_state=0)
    batch = clf.extract(X)
    folds = StratifiedGroupKFold(3)
    answers = cross_val_predict(clf, batch, y, cv=folds, params={"groups": groups})
    recalls[name] = recall_score(y, answers, average=None, labels=genres)
    print(f"{name:10} mean recall {recalls[name].mean():.2f}")

# %%
# What ``class_weight`` did for the recall of each genre (in brackets the number of its clips):

figure, ax = plt.subplots(layout="constrained")
places = np.arange(len(genres))
for shift, (name, values) in zip((-0.2, 0.2), recalls.items()):
    ax.bar(places + shift, values, 0.4, label=name)
ax.set_xticks(places, [f"{genre} ({np.sum(y == genre)})" for genre in genres])
ax.set_ylabel("recall")
ax.set_ylim(0, 1.2)
ax.set_yticks(np.linspace(0, 1, 6))
ax.legend(loc="upper center", ncols=2, frameon=False)
plt.show()
