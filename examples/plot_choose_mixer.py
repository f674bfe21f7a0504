"""
Choosing the mixer by grid search
=================================

The mixer is the rule by which a mixture makes one answer of the predictions of its experts. Which
rule is best for your clips is a question for scikit-learn's grid search. The audio is read and
analysed once; every fold and setting then takes its part of the features.
"""

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from sklearn_genremoe import (
    BalancedMixer,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    StackingMixer,
    default_experts,
)
from sklearn_genremoe.datasets import load_mini_genres

clips = load_mini_genres()
clf = MixtureOfExpertsClassifier(default_experts(duration=10.0)[-3:], cv=3, random_state=0)
batch = clf.extract(clips.data)

# %%
# Mixers are parameters like any other, and so is whether an expert takes part.

mixers = {
    "average": BalancedMixer(),
    "average, temperatures": BalancedMixer(fit_temperatures=True),
    "log pool": LogPoolMixer(),
    "log pool, temperatures": LogPoolMixer(fit_temperatures=True),
    "stacking": StackingMixer(),
}
search = GridSearchCV(
    clf,
    {"mixer": list(mixers.values())},
    scoring={"accuracy": "accuracy", "log-loss": "neg_log_loss"},
    refit="log-loss",
    cv=StratifiedGroupKFold(4),
)
with sklearn.config_context(
    enable_metadata_routing=True
):  # so that inner folds have the groups too
    search.fit(batch, clips.target, groups=clips.groups)

# %%
# On 48 clips differences in accuracy under 15 points mean nothing; the log-loss tells a little
# more.

results = pd.DataFrame(search.cv_results_, index=list(mixers))
table = pd.DataFrame(
    {"accuracy": results["mean_test_accuracy"], "log-loss": -results["mean_test_log-loss"]}
)
print(table.round(3))
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
table.plot.barh(subplots=True, legend=False, ax=axes, title=["", ""])
axes[0].set_xlabel("accuracy (more is better)")
axes[1].set_xlabel("log-loss (less is better)")
axes[0].invert_yaxis()
plt.show()
