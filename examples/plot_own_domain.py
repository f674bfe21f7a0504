"""
A feature domain of your own in 20 lines
========================================

A feature domain turns a clip into numbers that a classifier learns from. Chroma, the energy of the
twelve pitch classes, is not among those of this package; a class with one method adds it. Reading
files, bad files, parallel work, caching and sharing of decoded audio come with the base class.
"""

import librosa
import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import BaseDomain, time_statistics
from sklearn_genremoe.inspection import MixtureWeightsDisplay


class Chroma(BaseDomain):
    """Energy of the twelve pitch classes over time."""

    def __init__(self, sample_rate=22050, duration=30.0, *, hop_length=512):
        self.sample_rate = sample_rate
        self.duration = duration
        self.hop_length = hop_length

    def features(self, analysis):
        power = analysis.amplitude(2048, self.hop_length) ** 2
        return librosa.feature.chroma_stft(
            S=power, sr=analysis.sample_rate, hop_length=self.hop_length
        )


# %%
# It is a transformer like the others:

clips = load_mini_genres()
print(Chroma(duration=10.0).transform(clips.data[:2]).shape)

# %%
# As one more expert, beside the quick ones of the default mixture:

chroma = make_pipeline(
    Chroma(duration=10.0),
    FunctionTransformer(time_statistics),
    StandardScaler(),
    LogisticRegression(C=0.1, max_iter=1000),
)
experts = [*default_experts(duration=10.0, networks=False), ("chroma", chroma)]
clf = MixtureOfExpertsClassifier(experts, cv=3, random_state=0)
batch = clf.extract(clips.data)
clf.fit(batch, clips.target, groups=clips.groups)

# %%
# How much each expert counts, genre by genre:

MixtureWeightsDisplay.from_estimator(clf, batch, clips.target)
plt.show()
