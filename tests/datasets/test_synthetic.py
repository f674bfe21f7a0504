"""Synthetic clips: what they are, and that only the expert of the cue can tell them apart."""

from collections import Counter

import numpy as np
import pytest

from sklearn_genremoe import CNNClassifier, DomainUnion
from sklearn_genremoe.datasets import make_genre_clips

CUES = ("harmonic", "percussive", "modulation")


@pytest.mark.parametrize("cue", [*CUES, "mixed"])
def test_waveforms(cue):
    X, y = make_genre_clips(7, ["b", "a", "c"], cue=cue, duration=1.5, random_state=0)
    assert X.shape == (7, round(1.5 * 22050))
    assert X.dtype == np.float32
    np.testing.assert_array_equal(np.abs(X).max(axis=1), 1)
    assert sorted(Counter(y.tolist()).values()) == [2, 2, 3]
    assert set(y) == {"a", "b", "c"}
    assert len({clip.tobytes() for clip in X}) == 7


def test_bunch():
    clips = make_genre_clips(8, ["b", "a"], duration=1, random_state=0, return_X_y=False)
    X, y = make_genre_clips(8, ["b", "a"], duration=1, random_state=0)
    np.testing.assert_array_equal(clips.data, X)
    np.testing.assert_array_equal(clips.target, y)
    assert clips.target_names == ["a", "b"]
    assert clips.sample_rate == 22050
    assert clips.cue.tolist() == ["harmonic"] * 8
    assert "8 clips from make_genre_clips: synthetic, 1 s" in clips.DESCR


def test_mixed_cues_are_balanced_within_each_genre():
    clips = make_genre_clips(24, 2, cue="mixed", duration=1, random_state=0, return_X_y=False)
    assert Counter(zip(clips.target.tolist(), clips.cue.tolist())) == {
        (genre, cue): 4 for genre in ("genre_0", "genre_1") for cue in CUES
    }


@pytest.mark.parametrize("cue", [*CUES, "mixed"])
def test_same_seed_same_clips(cue):
    first, again, other = (
        make_genre_clips(4, 2, cue=cue, duration=1, random_state=seed)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_global_random_state_is_untouched():
    before = str(np.random.mtrand._rand.get_state())
    make_genre_clips(2, 2, duration=1, random_state=0)
    assert str(np.random.mtrand._rand.get_state()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cue": "timbre"}, "'cue' parameter of make_genre_clips must be a str among"),
        ({"n_clips": 2}, "n_clips=2; pass at least 3"),
        ({"n_clips": 6.5}, "'n_clips' parameter .* Got 6.5"),
        ({"genres": ["a"]}, "two to eight different names"),
        ({"genres": 9}, "two to eight different names"),
        ({"genres": ["a", "b", "a"]}, "two to eight different names"),
        ({"genres": "jazz"}, "two to eight different names"),
        ({"duration": 0.5}, r"'duration' parameter .* range \[1.0, inf\)"),
        ({"duration": float("nan")}, "Got nan"),
        ({"duration": float("inf")}, "Got inf"),
        ({"duration": "3"}, "Got '3'"),
        ({"genres": None}, "'genres' parameter"),
    ],
)
def test_unusable_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_genre_clips(**arguments)


@pytest.fixture(scope="module")
def accuracy():
    """Accuracy on unseen clips, by cue and expert."""

    def of_cue(cue):
        X, y = make_genre_clips(120, 4, cue=cue, duration=1.5, random_state=0)
        batch = DomainUnion().transform(X)
        expert = CNNClassifier(channels=(8, 8, 16, 16, 16), max_epochs=5, batch_size=8)
        expert.set_params(lr=3e-3, device="cpu", random_state=0)
        return {
            name: expert.fit(batch[name][:80], y[:80]).score(batch[name][80:], y[80:])
            for name in CUES
        }

    return {cue: of_cue(cue) for cue in CUES}


def test_the_expert_of_the_cue_hears_it(accuracy):
    for cue in CUES:
        assert accuracy[cue][cue] >= 0.8, accuracy  # chance level: 0.25


def test_other_experts_are_worse(accuracy):
    assert accuracy["harmonic"]["percussive"] <= 0.4, accuracy
    assert accuracy["percussive"]["harmonic"] <= 0.4, accuracy
    for cue in CUES:
        for other in set(CUES) - {cue}:
            assert accuracy[cue][other] <= accuracy[cue][cue] - 0.2, accuracy


@pytest.mark.parametrize("cue", CUES)
def test_power_per_band_does_not_give_the_genre_away(cue):
    X, y = make_genre_clips(90, cue=cue, duration=1, random_state=0)
    power = np.abs(np.fft.rfft(X)[:, 400:8000]) ** 2
    bands = np.log(np.stack([part.mean(axis=1) for part in np.array_split(power, 12, axis=1)], 1))
    train, test = slice(0, 45), slice(45, None)
    centres = np.stack([bands[train][y[train] == genre].mean(axis=0) for genre in np.unique(y)])
    distance = ((bands[test, np.newaxis] - centres) ** 2).sum(axis=2)
    assert np.mean(np.unique(y)[distance.argmin(axis=1)] == y[test]) < 0.6  # chance level: 0.33
