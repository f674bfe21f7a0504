"""The ready-made sets of experts."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts, pretrained_experts
from sklearn_genremoe.datasets import make_genre_clips
from tests._weights import N_FEATURES, write_small_weights


def test_pretrained_are_the_default_ones_and_an_embedding(tmp_path):
    experts = pretrained_experts(tmp_path / "mn01.pt", max_epochs=3)
    assert [name for name, _ in experts[:-1]] == [name for name, _ in default_experts()]
    assert experts[0][1]["cnnclassifier"].max_epochs == 3
    name, expert = experts[-1]
    assert name == "embedding"
    assert expert["audiosetembedding"].weights == tmp_path / "mn01.pt"
    assert expert["logisticregression"].C == 0.01
    assert pretrained_experts()[-1][1]["audiosetembedding"].weights == "mn04"


@pytest.mark.parametrize("routing", [False, True])
def test_pretrained_experts_as_a_mixture(tmp_path, routing):
    weights = write_small_weights(tmp_path / "mn01.pt")
    X, y = make_genre_clips(12, duration=2.0, random_state=0)
    small = {"channels": (4,), "pool_sizes": ((4, 4),), "max_epochs": 1, "crop_frames": 8}
    with sklearn.config_context(enable_metadata_routing=routing):
        clf = MixtureOfExpertsClassifier(pretrained_experts(weights, **small), cv=2, random_state=0)
        clone(clf).fit(X, y, sample_weight=np.ones(12), groups=np.arange(12))
        clf.fit(X, y)
    assert clf.named_experts_.embedding[-1].coef_.shape[1] == 2 * N_FEATURES
    assert clf.predict_proba(X).shape == (12, len(clf.classes_))
