"""
Whom the mixture trusts, and how the experts disagree
=====================================================

A mixture weighs its experts, the classifiers that each look at another side of a clip. To see
whether it weighs the right ones, the clips here are synthetic: the genre of each can be told from
one cue only, the pitch of soft tones, that of hits, or the rate of a tremble. An expert that sees
the cue should be right, and the others should guess.
"""

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import (
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    PercussiveSpectrogram,
)
from sklearn_genremoe.datasets import make_genre_clips
from sklearn_genremoe.domains import time_statistics
from sklearn_genremoe.inspection import ExpertAgreementDisplay, MixtureWeightsDisplay


def expert(domain):
    """Return a quick expert on a domain."""
    linear = LogisticRegression(C=0.1, max_iter=1000)
    return make_pipeline(domain, FunctionTransformer(time_statistics), StandardScaler(), linear)


domains = {
    "original": LogMelSpectrogram(),
    "harmonic": HarmonicSpectrogram(),
    "percussive": PercussiveSpectrogram(),
}
clf = MixtureOfExpertsClassifier([(name, expert(d)) for name, d in domains.items()], random_state=0)

# %%
# Train on two thirds of the clips, and look at the others.

waveforms, y = make_genre_clips(n_clips=120, cue="mixed", random_state=0)
train = clf.extract(waveforms[:80])
test = clf.extract(waveforms[80:])
clf.fit(train, y[:80])
print(clf.score_experts(test, y[80:]).round(2)[["accuracy", "log_loss", "disagreement"]])

# %%
# The oracle is right where any expert is: what a perfect mixer could reach.

figure, (above, below) = plt.subplots(2, figsize=(7, 8), layout="constrained")
ExpertAgreementDisplay.from_estimator(clf, test, ax=above)
MixtureWeightsDisplay.from_estimator(clf, test, y[80:], ax=below)
plt.show()
