"""Where each clip gives its genre away in one domain only, mixers find out which."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from sklearn_genremoe.datasets import make_genre_clips

DOMAINS = {
    "harmonic": HarmonicSpectrogram(n_mels=32),
    "percussive": PercussiveSpectrogram(n_mels=32),
    "modulation": ModulationSpectrogram(n_mels=32, drop_dc=True, scale="log"),
}
N_TEST = 60
CHANCE = 1 / len(DOMAINS)


@pytest.fixture(scope="module")
def clips():
    union = DomainUnion([*DOMAINS.items(), ("original", LogMelSpectrogram(n_mels=32))])
    train = make_genre_clips(90, cue="mixed", random_state=0, return_X_y=False)
    test = make_genre_clips(N_TEST, cue="mixed", random_state=1, return_X_y=False)
    return union.transform(train.data), train, union.transform(test.data), test


def assert_finds_the_cue(weights, cue):
    """Check that the expert of a clip's cue has the largest weight, more often than by chance."""
    largest = np.array(list(DOMAINS))[weights.argmax(axis=1)]
    # Three standard deviations of guessing; shuffled cues stay below it.
    bound = CHANCE + 3 * np.sqrt(CHANCE * (1 - CHANCE) / N_TEST)
    shuffled = np.random.default_rng(0).permutation(cue)
    assert (largest == shuffled).mean() < bound
    assert (largest == cue).mean() > bound


def gate():
    """Return a gate that sees the clips."""
    return CNNMixer(
        (8, 16), shrinkage=0.1, max_epochs=20, batch_size=8, lr=5e-3, device="cpu", random_state=0
    )


@pytest.mark.slow
@pytest.mark.parametrize("mixer", ["stacking", gate()], ids=["stacking", "gate"])
def test_a_mixture_is_better_than_its_experts(clips, mixer):
    batch, train, test_batch, test = clips
    cnn = CNNClassifier(
        channels=(8, 16, 16),
        max_epochs=12,
        batch_size=8,
        architecture="statistics_pooling",
        schedule="one_cycle",
        device="cpu",
    )
    experts = [(name, make_pipeline(domain, cnn)) for name, domain in DOMAINS.items()]
    moe = MixtureOfExpertsClassifier(experts, mixer, cv=3, random_state=0).fit(batch, train.target)
    if mixer == "stacking":  # what a gate finds hangs on few trainings of experts: see below
        assert_finds_the_cue(moe.mixture_weights(test_batch), test.cue)
    scores = moe.score_experts(test_batch, test.target)
    accuracy = scores["accuracy"]
    assert accuracy["mixture"] > max(accuracy[name] for name in DOMAINS)


def test_a_gate_finds_the_expert_of_the_cue(clips):
    batch, train, test_batch, test = clips
    classes, y = np.unique(train.target, return_inverse=True)
    # Experts as they should be: fairly sure where the cue is theirs, and else without a clue.
    probas = np.full((len(y), len(DOMAINS), len(classes)), 1 / len(classes))
    for clip, (cue, genre) in enumerate(zip(train.cue, y)):
        knowing = list(DOMAINS).index(cue)
        probas[clip, knowing] = 0.1 / (len(classes) - 1)
        probas[clip, knowing, genre] = 0.9
    fitted = gate().fit(probas, y, batch["original"])
    uniform = np.full((N_TEST, len(DOMAINS), len(classes)), 1 / len(classes))
    assert_finds_the_cue(fitted.weights(uniform, test_batch["original"]), test.cue)
