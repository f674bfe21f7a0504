"""Ready-made sets of experts: what concerns all of them is one argument."""

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sklearn_genremoe import (
    CNNClassifier,
    MixtureOfExpertsClassifier,
    default_experts,
    paper_experts,
    pretrained_experts,
)
from sklearn_genremoe.datasets import make_genre_clips
from tests._weights import N_FEATURES_OF_STAGES, write_music_weights, write_small_weights


@pytest.mark.parametrize("make", [default_experts, paper_experts])
def test_all_domains_read_files_alike(make: Any) -> None:
    files: dict[str, Any] = {"sample_rate": 16000, "offset": 5.0, "on_error": "warn", "n_jobs": 2}
    domains = [pipe[0] for _, pipe in make(12.0, **files)]
    assert len(domains) == (7 if make is default_experts else 4)
    for domain in domains:
        assert {**files, "duration": 12.0}.items() <= domain.get_params().items()


def test_the_quick_ones_are_those_without_networks() -> None:
    quick = default_experts(12.0, networks=False, random_state=3)
    assert [type(pipe[-1]) for _, pipe in quick] == [LogisticRegression] * len(quick)
    assert str(quick) == str(default_experts(12.0, random_state=3)[-len(quick) :])
    left = default_experts(12.0, random_state=3)[: -len(quick)]
    assert {type(pipe[-1]) for _, pipe in left} == {CNNClassifier}
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_epoch'"):
        default_experts(networks=False, max_epoch=3)


def test_short_files_are_repeated_for_the_default_experts() -> None:
    def fills(experts: list[Any]) -> set[str]:
        return {pipe[0].fill for _, pipe in experts}

    assert fills(default_experts()) == fills(paper_experts(fill="repeat")) == {"repeat"}
    assert fills(paper_experts()) == fills(default_experts(fill="zeros")) == {"zeros"}


def test_networks_and_linear_experts_share_what_concerns_both() -> None:
    named = default_experts(class_weight="balanced", random_state=3, lr=0.1)
    for _, pipe in named:
        assert pipe[-1].class_weight == "balanced"
        assert pipe[-1].random_state == 3
    networks = named[: -len(default_experts(networks=False))]
    assert [pipe[-1].lr for _, pipe in networks] == [0.1] * len(networks)
    assert {pipe[-1].class_weight for _, pipe in default_experts()} == {None}
    embedding = pretrained_experts(10.0, class_weight="balanced", offset=2.0, n_jobs=2)[-1][1]
    assert embedding[-1].class_weight == "balanced"
    assert (embedding[0].duration, embedding[0].offset, embedding[0].n_jobs) == (10.0, 2.0, 2)
    # What is the default of the networks doesn't change the embedding when it is spelled out.
    spelled_out = pretrained_experts(fill="repeat", verbose=0)[-1][1][0]
    assert spelled_out.get_params() == pretrained_experts()[-1][1][0].get_params()


def test_pretrained_experts_hear_two_embeddings(tmp_path):
    experts = pretrained_experts(weights=tmp_path / "mn01.pt", music_weights=tmp_path / "m.data")
    assert [name for name, _ in experts] == ["music_tags", "embedding"]
    for (_, expert), file in zip(experts, ("m.data", "mn01.pt")):
        assert expert[0].weights == tmp_path / file
        assert (expert[0].window, expert[0].layers) == (3.0, "stages")
        assert expert["logisticregression"].C == 0.01
    assert [expert[0].weights for _, expert in pretrained_experts()] == ["msd", "mn04"]
    everything = pretrained_experts(from_scratch=True, max_epochs=3)
    names = [name for name, _ in default_experts()]
    assert [name for name, _ in everything] == [*names, "music_tags", "embedding"]
    assert everything[0][1]["cnnclassifier"].max_epochs == 3


@pytest.mark.parametrize("routing", [False, True])
def test_pretrained_experts_as_a_mixture(tmp_path, routing):
    weights = {
        "weights": write_small_weights(tmp_path / "mn01.pt"),
        "music_weights": write_music_weights(tmp_path / "msd.data"),
    }
    X, y = make_genre_clips(12, duration=2.0, random_state=0)
    with sklearn.config_context(enable_metadata_routing=routing):
        clf = MixtureOfExpertsClassifier(pretrained_experts(**weights), cv=2, random_state=0)
        batch = clf.extract(X)
        clone(clf).fit(batch, y, sample_weight=np.ones(12), groups=np.arange(12))
        clf.fit(batch, y)
    n_features = clf.named_experts_.embedding[-1].coef_.shape[1]
    assert n_features == 2 * N_FEATURES_OF_STAGES
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(batch))


@pytest.mark.parametrize("function", [default_experts, paper_experts, pretrained_experts])
@pytest.mark.parametrize("name", ["durations", "C"])
def test_arguments_that_nobody_takes(function: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"CNNClassifier.* unexpected keyword argument '{name}'"):
        function(**{name: 3})
