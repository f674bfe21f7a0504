"""
Choosing the mixer by grid search
=================================

The mixer makes one answer of the predictions of all experts. Which one is best for your clips is a
question for a grid search. The audio is read once; each fold and setting then takes its features
from the batch.
"""

# %%
# Experts that know unequally much
# --------------------------------
# These clips are synthetic: their genre shows in soft tones only, under loud hits. The expert on
# the harmonic part hears the tones. The others hear little of them.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import make_genre_clips

waveforms, y = make_genre_clips(90, cue="harmonic", random_state=0)
clf = MixtureOfExpertsClassifier(default_experts(networks=False), cv=3, random_state=0)
batch = clf.extract(waveforms)

# %%
# The search
# ----------
# A mixer is a parameter like any other; so are its own parameters and those of the experts. With
# clips of real artists, give ``fit`` the groups, and switch on metadata routing so that inner folds
# respect them: see :doc:`../user_guide/cross_validation`.

search = GridSearchCV(
    clf,
    {"mixer": ["balanced", "log_pool", "stacking"]},
    scoring={"accuracy": "accuracy", "log-loss": "neg_log_loss"},
    refit="log-loss",
    cv=3,
)
search.fit(batch, y)

# %%
# An average lets the experts that know nothing talk along. Stacking has learned whom to believe.

table = pd.DataFrame(
    {
        "accuracy": search.cv_results_["mean_test_accuracy"],
        "log-loss": -search.cv_results_["mean_test_log-loss"],
    },
    index=search.cv_results_["param_mixer"],
)
print(table.round(3))
figure, axes = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True, layout="constrained")
table.plot.barh(subplots=True, legend=False, ax=axes, title=["", ""])
axes[0].set_xlabel("accuracy (more is better)")
axes[1].set_xlabel("log-loss (less is better)")
axes[0].invert_yaxis()
plt.show()
