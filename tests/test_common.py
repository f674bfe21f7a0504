"""scikit-learn's own checks on every public estimator, without a single excuse.

Estimators are discovered, not listed: a new one runs with its default parameters until it
gets a cheaper entry in ``CHEAP``.
"""

import importlib
import inspect
import pkgutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_genremoe
from sklearn_genremoe import (
    CNNMixer,
    MixtureOfExpertsClassifier,
    RNNMixer,
    default_experts,
    paper_experts,
)
from sklearn_genremoe.mixture import BaseMixer
from tests._weights import write_music_weights, write_small_weights

# Clips of a few samples need no bigger network to show how an estimator behaves, and one epoch of
# large steps is enough to tell blobs apart.
CNN: dict[str, Any] = {
    "channels": (4, 4),
    "max_epochs": 1,
    "batch_size": 64,
    "lr": 0.03,
    "random_state": 0,
}
# The parameters of a default expert, but for the size of its network.
RECIPE: dict[str, Any] = {
    **default_experts()[0][1][-1].get_params(),
    **CNN,
    "pool_sizes": "auto",
}

# Lives as long as the tests run.
FOLDER = tempfile.TemporaryDirectory()
WEIGHTS = write_small_weights(Path(FOLDER.name) / "mn01.pt")
MUSIC_WEIGHTS = write_music_weights(Path(FOLDER.name) / "msd.data")


def networks() -> list[tuple[str, BaseEstimator]]:
    """Two domains with a network on each, which share what they compute of a clip."""
    return paper_experts(**{**CNN, "channels": (4,)})[:2]


def linear() -> list[tuple[str, BaseEstimator]]:
    """Two experts that cost next to nothing, where it is the mixer that is looked at."""
    return [("first", LogisticRegression()), ("second", LogisticRegression(C=0.1))]


def mixture(mixer: Any, experts: Any, **params: Any) -> dict[str, Any]:
    return {"experts": experts, "mixer": mixer, "cv": 2, "random_state": 0, **params}


GATE: dict[str, Any] = {"max_epochs": 1, "batch_size": 64, "random_state": 0}
CHEAP: dict[str, dict[str, dict[str, Any]]] = {
    "AudioSetEmbedding": {"": {"weights": WEIGHTS}},
    "CNNClassifier": {"": CNN, "recipe of the default experts": RECIPE},
    "MixtureOfExpertsClassifier": {
        "balanced": mixture("balanced", linear()),
        "log_pool": mixture("log_pool", linear()),
        "cnn": mixture(CNNMixer(channels=(4, 4), **GATE), linear()),
        "rnn": mixture(RNNMixer(**GATE), linear()),
        "paper experts, stacking": mixture("stacking", networks()),
    },
    "MusicTagEmbedding": {"": {"weights": MUSIC_WEIGHTS, "window": 1.0}},
    "WindowedClassifier": {
        "linear": {"estimator": LogisticRegression()},
        "mixture": {
            "estimator": MixtureOfExpertsClassifier(**mixture("stacking", linear(), cv="train"))
        },
        "mixture of paper experts": {
            "estimator": MixtureOfExpertsClassifier(**mixture("balanced", networks()))
        },
    },
}


def public_classes() -> set[type]:
    """Every estimator class that a room exports, found by walking the package."""
    found = set()
    for info in pkgutil.iter_modules(sklearn_genremoe.__path__):
        if info.name.startswith("_") or info.name == "networks":  # no estimators for users
            continue
        module = importlib.import_module(f"sklearn_genremoe.{info.name}")
        found |= {
            item
            for item in (getattr(module, name) for name in module.__all__)
            if inspect.isclass(item)
            and issubclass(item, BaseEstimator)
            and not inspect.isabstract(item)
            # A mixer learns from predicted probabilities (n_clips, n_experts, n_classes).
            and not issubclass(item, BaseMixer)
        }
    return found


def instances() -> list[tuple[str, BaseEstimator]]:
    """A label and an instance for every configuration to check."""
    return [
        (f"{cls.__name__} ({label})" if label else cls.__name__, cls(**params))
        for cls in sorted(public_classes(), key=lambda cls: cls.__name__)
        for label, params in CHEAP.get(cls.__name__, {"": {}}).items()
    ]


LABELS, ESTIMATORS = zip(*instances())


def test_discovery_finds_every_public_estimator() -> None:
    names = {cls.__name__ for cls in public_classes()}
    assert names == {
        name
        for name in sklearn_genremoe.__all__
        if inspect.isclass(getattr(sklearn_genremoe, name))
        and issubclass(getattr(sklearn_genremoe, name), BaseEstimator)
        and not issubclass(getattr(sklearn_genremoe, name), BaseMixer)
    }
    assert names >= {
        "AudioLoader",
        "AudioSetEmbedding",
        "CNNClassifier",
        "DomainUnion",
        "HarmonicSpectrogram",
        "LogMelSpectrogram",
        "MFCC",
        "MixtureOfExpertsClassifier",
        "ModulationSpectrogram",
        "MusicTagEmbedding",
        "PercussiveSpectrogram",
        "WindowedClassifier",
    }
    assert set(CHEAP) <= names


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=LABELS)
def test_no_tag_switches_checks_off(estimator: BaseEstimator) -> None:
    tags = get_tags(estimator)
    assert tags.input_tags.two_d_array
    assert not tags.input_tags.pairwise
    assert not tags.input_tags.allow_nan
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not tags._skip_test
    if tags.transformer_tags is not None:
        assert tags.transformer_tags.preserves_dtype
    if tags.classifier_tags is not None:
        assert tags.classifier_tags.multi_class


LABEL_OF = {id(estimator): label for label, estimator in zip(LABELS, ESTIMATORS)}
CHECKS = parametrize_with_checks(list(ESTIMATORS))
NAMES, PAIRS = CHECKS.args  # the pairs are a generator before scikit-learn 1.9


def short_id(value: Any) -> str:
    """Label of an estimator or name of a check, where scikit-learn has every parameter."""
    return LABEL_OF.get(id(value)) or CHECKS.kwargs["ids"](value)


@pytest.mark.parametrize(NAMES, list(PAIRS), ids=short_id)
def test_sklearn_checks(estimator: BaseEstimator, check: Any, record_property: Any) -> None:
    record_property("checked_estimator", LABEL_OF[id(estimator)])
    check(estimator)
