"""Tables as views: features that were computed elsewhere, next to spectrograms."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import (
    MFCC,
    AudioSetEmbedding,
    CNNClassifier,
    CNNMixer,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    RNNMixer,
)
from sklearn_genremoe.audio import BadClipWarning
from sklearn_genremoe.domains import DomainBatch, time_statistics
from tests._weights import N_FEATURES, write_small_weights

CNN = {"channels": (4,), "max_epochs": 2, "device": "cpu", "random_state": 0}


def linear():
    return make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 10)
    arrays = {
        "mel": rng.normal(size=(30, 8, 12)).astype(np.float32),
        "mert": rng.normal(size=(30, 5)) + np.repeat(np.eye(3, 5) * 4, 10, axis=0),
        "handmade": np.arange(60).reshape(30, 2),
    }
    return DomainBatch(arrays), y


def mixture(mixer="stacking", **params):
    experts = [
        ("mel", CNNClassifier(**CNN)),
        ("mert", linear()),
        ("handmade", linear()),
    ]
    return MixtureOfExpertsClassifier(experts, mixer, cv=2, random_state=0, **params)


def test_what_a_batch_with_tables_is(data, tmp_path):
    batch, _ = data
    assert repr(batch) == "DomainBatch(30 clips; mel: 8 x 12, mert: 5, handmade: 2)"
    assert batch[[4, 2]]["mert"].tolist() == batch["mert"][[4, 2]].tolist()
    again = pickle.loads(pickle.dumps(batch[::3]))
    np.testing.assert_array_equal(again["mel"], batch["mel"][::3])
    np.save(tmp_path / "mert.npy", batch["mert"])
    mapped = DomainBatch({"mert": np.load(tmp_path / "mert.npy", mmap_mode="r")})
    small = pickle.loads(pickle.dumps(mapped[[7, 3]]))
    np.testing.assert_array_equal(small["mert"], batch["mert"][[7, 3]])


@pytest.mark.parametrize("mixer", ["balanced", "log_pool", "stacking", "cnn", "rnn"])
def test_an_expert_takes_the_table_of_its_name(data, mixer):
    batch, y = data
    clf = mixture(mixer).fit(batch, y)
    alone = linear().fit(batch["mert"], y)
    opinions = clf.expert_predict_proba(batch)
    np.testing.assert_allclose(opinions[:, 1], alone.predict_proba(batch["mert"]), atol=1e-6)
    assert clf.predict_proba(batch[[3, 1]]).shape == (2, 3)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(batch), clf.predict_proba(batch))


def test_a_gate_looks_at_spectrograms(data):
    batch, y = data
    in_another_order = DomainBatch({name: batch[name] for name in ("mert", "handmade", "mel")})
    expected = mixture("cnn").fit(batch, y).predict_proba(batch)
    found = mixture("cnn").fit(in_another_order, y).predict_proba(in_another_order)
    np.testing.assert_array_equal(found, expected)
    on_a_table = mixture("cnn", mixer_domain="mert").fit(batch, y)  # one frame per clip
    assert on_a_table.predict_proba(batch).shape == (30, 3)
    tables = DomainBatch({name: batch[name] for name in ("mert", "handmade")})
    only_tables = mixture("cnn").set_params(mel="drop").fit(tables, y)
    assert only_tables.predict_proba(tables).shape == (30, 3)


def test_model_selection(data):
    batch, y = data
    scores = cross_validate(mixture("log_pool"), batch, y, cv=3, scoring="accuracy")
    assert scores["test_score"].mean() > 0.5
    grid = {"mert__logisticregression__C": [0.1, 1.0], "mixer": ["balanced", "stacking"]}
    search = GridSearchCV(mixture(), grid, cv=2).fit(batch, y)
    assert search.predict(batch).shape == (30,)
    calibrated = CalibratedClassifierCV(mixture("log_pool"), cv=2).fit(batch, y)
    assert calibrated.predict_proba(batch).shape == (30, 3)


def test_calibrated_expert(data):
    batch, y = data
    clf = mixture().set_params(mert=CalibratedClassifierCV(linear(), cv=2)).fit(batch, y)
    assert clf.score(batch, y) > 0.5


def test_a_network_on_a_table(data):
    batch, y = data
    clf = mixture().set_params(mert=CNNClassifier(**CNN, pool_sizes="auto"))
    assert clf.fit(batch, y).predict_proba(batch).shape == (30, 3)


def test_weights_groups_and_jobs(data):
    batch, y = data
    weight = np.ones(30)
    weight[:4] = 0
    groups = np.arange(30) // 2
    one = clone(mixture()).fit(batch, y, sample_weight=weight, groups=groups)
    two = mixture(n_jobs=2).fit(batch[4:], y[4:], groups=groups[4:])
    np.testing.assert_allclose(one.predict_proba(batch), two.predict_proba(batch), atol=1e-6)


def test_a_table_stands_for_a_domain(data, tmp_path):
    batch, y = data
    embedding = AudioSetEmbedding(write_small_weights(tmp_path / "mn01.pt"))
    table = np.random.default_rng(0).normal(size=(30, 2 * N_FEATURES))
    experts = [
        ("mel", make_pipeline(LogMelSpectrogram(), CNNClassifier(**CNN))),
        ("embedding", make_pipeline(embedding, LogisticRegression())),
    ]
    clf = MixtureOfExpertsClassifier(experts, "log_pool")
    by_hand = DomainBatch({"mel": batch["mel"], "embedding": table})
    assert clf.fit(by_hand, y).predict(by_hand).shape == (30,)
    known = DomainBatch({"mel": batch["mel"], "e": table}, {"e": embedding})
    np.testing.assert_array_equal(clf.predict_proba(known), clf.predict_proba(by_hand))


def test_bad_tables(data):
    batch, y = data
    with pytest.raises(ValueError, match=r"shape \(30,\); expected .* or \(n_clips, n_features\)"):
        DomainBatch({"mert": np.zeros(30)})
    with pytest.raises(ValueError, match="has no entry of that name"):
        mixture().fit(DomainBatch({name: batch[name] for name in ("mel", "handmade")}), y)
    with_nan = np.array(batch["mert"])
    with_nan[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        mixture().fit(DomainBatch({**{n: batch[n] for n in batch.names}, "mert": with_nan}), y)
    # A table that was forgotten: nobody else's features take its place.
    pipe = make_pipeline(LogMelSpectrogram(), CNNClassifier(**CNN))
    experts = [("mel", pipe), ("mert", CNNClassifier(**CNN))]
    with pytest.raises(ValueError, match=r"'mert' begins .* Add it, batch \| \{'mert': table\}"):
        MixtureOfExpertsClassifier(experts).fit(DomainBatch({"mel": batch["mel"]}), y)
    # Spectrograms may serve several networks, but a table serves the expert of its name alone.
    tables = MixtureOfExpertsClassifier([("mert", linear()), ("handmade", linear())], cv=2)
    tables.fit(batch, y)
    for name in ("mert", "other"):
        with pytest.raises(ValueError, match="has no entry of that name"):
            tables.predict(DomainBatch({name: batch["mert"]}))
    with pytest.raises(ValueError, match="X holds no clips"):
        mixture().fit(batch[:0], y[:0])
    with pytest.raises(ValueError, match="does not hold MFCC"):
        MixtureOfExpertsClassifier([("mfcc", make_pipeline(MFCC(), CNNClassifier()))]).fit(batch, y)


def test_named_columns_reach_the_expert(data):
    batch, y = data
    frame = pd.DataFrame(batch["mert"], columns=list("abcde"))
    by_name = make_pipeline(ColumnTransformer([("some", StandardScaler(), ["a", "c"])]), linear())
    clf = MixtureOfExpertsClassifier([("mert", linear()), ("by_name", by_name)], cv=2)
    both = DomainBatch({"mert": frame, "by_name": frame})
    clf.fit(both, y)
    assert clf.named_experts_.mert.feature_names_in_.tolist() == list("abcde")
    mixed_up = DomainBatch({"mert": frame[list("cbade")], "by_name": frame})
    with pytest.raises(ValueError, match="feature names should match") as error:
        clf.predict(mixed_up)
    assert error.value.__notes__ == ["This comes from the expert 'mert'."]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_say_which_expert(data, n_jobs):
    batch, y = data
    clf = MixtureOfExpertsClassifier([("mel", linear()), ("mert", linear())], cv=2, n_jobs=n_jobs)
    with pytest.raises(ValueError, match="dim 3") as error:
        clf.fit(batch, y)
    assert "This comes from the expert 'mel'." in error.value.__notes__


def test_tables_beside_what_was_extracted(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for row in range(12):
        paths.append(str(tmp_path / f"{row}.wav"))
        soundfile.write(paths[-1], rng.uniform(-0.5, 0.5, 22050), 22050)
    (tmp_path / "5.wav").write_text("no sound")
    y = np.repeat(["a", "b"], 6)
    table = rng.normal(size=(12, 3)) + (y == "a")[:, np.newaxis]
    table[2] = np.inf
    mel = LogMelSpectrogram(duration=1.0)
    # A forest takes NaN for a number like others, so that nothing but the batch can tell.
    forest = RandomForestClassifier(5, random_state=0)
    experts = [
        ("mel", make_pipeline(mel, FunctionTransformer(time_statistics), forest)),
        ("table", forest),
    ]
    clf = MixtureOfExpertsClassifier(experts, "log_pool", on_error="warn", random_state=0)
    with pytest.warns(BadClipWarning):
        extracted = clf.extract(paths)
    batch = extracted | {"table": table}
    assert batch.names == ["mel", "table"]
    assert batch.domains.keys() == {"mel"}
    assert batch.bad_clips.keys() == {5}
    assert batch[4:7].bad_clips.keys() == {1}
    assert clf.extract(batch).names == batch.names
    assert clf.extract(batch[4:7]).bad_clips.keys() == {1}
    with pytest.warns(BadClipWarning, match="2 bad clip"):
        clf.fit(clf.extract(batch), y)
    by_hand = DomainBatch({name: batch[name] for name in batch.names})
    for some in (batch, by_hand, batch[::-1][::-1], pickle.loads(pickle.dumps(batch))):
        with pytest.warns(BadClipWarning):
            proba = clf.predict_proba(some)
        assert np.flatnonzero(np.isnan(proba).any(axis=1)).tolist() == [2, 5]
        assert "row 2 in the entry 'table' holds NaN" in clf.bad_clips_[2]
        with pytest.raises(ValueError, match=r"without features: \{2: .*, 5: "):
            clone(clf).set_params(on_error="raise").fit(some, y)


def test_joining_entries(data):
    batch, _ = data
    more = batch | {"more": np.zeros((30, 1))} | DomainBatch({"even": np.ones((30, 2))})
    assert more.names == ["mel", "mert", "handmade", "more", "even"]
    assert np.shares_memory(more["mel"], batch["mel"])
    with pytest.raises(ValueError, match=r"both have entries \['mert'\]; give them other names"):
        batch | {"mert": np.zeros((30, 1))}
    with pytest.raises(ValueError, match="different numbers of clips"):
        batch | {"more": np.zeros((29, 1))}
    with pytest.raises(TypeError):
        batch | np.zeros((30, 1))
    part = DomainBatch({"a": np.zeros((3, 2))}, bad_clips={1: "no"})
    other = DomainBatch({"b": np.zeros((3, 2))}, bad_clips={2: "neither"})
    assert (part | other).bad_clips == {1: "no", 2: "neither"}


def test_frames_are_put_into_the_order_of_the_clips():
    paths = ["b.wav", "a.wav", "c.wav"]
    batch = DomainBatch({"mel": np.zeros((3, 4, 5))}, paths=paths)
    with pytest.raises(ValueError, match=r"'mel': 3, 'paths': 2"):
        DomainBatch({"mel": np.zeros((3, 4, 5))}, paths=paths[:2])
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]}, index=["a.wav", "b.wav", "c.wav", "d.wav"])
    aligned = batch | {"mert": frame}
    assert aligned["mert"].ravel().tolist() == [1, 0, 2]
    assert (batch[[2, 0]] | {"mert": frame})["mert"].ravel().tolist() == [2, 1]
    by_path = frame.set_axis([Path(name) for name in frame.index])
    assert (batch | {"mert": by_path})["mert"].ravel().tolist() == [1, 0, 2]
    numbered = frame[:3].reset_index(drop=True)
    assert (batch | {"mert": numbered})["mert"].ravel().tolist() == [0, 1, 2]
    assert (batch | {"mert": frame[:3].to_numpy()})["mert"].ravel().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (["a.wav", "b.wav", "d.wav"], r"3 are known, of which it lacks 1, \['c.wav'\]"),
        (["a.wav", "a.wav", "b.wav", "c.wav"], "expected the paths of the clips, each once"),
        (["x", "y", "z"], r"begins with \['x', 'y'\]; expected the paths"),
        ([2, 0, 1], r"begins with \[2, 0\]"),
        (pd.MultiIndex.from_product([["a"], [1, 2, 3]]), "begins with .*; expected the paths"),
    ],
)
def test_frames_of_other_clips_are_refused(index, found):
    batch = DomainBatch({"mel": np.zeros((3, 4, 5))}, paths=["b.wav", "a.wav", "c.wav"])
    frame = pd.DataFrame({"x": np.arange(float(len(index)))}, index=index)
    with pytest.raises(ValueError, match=rf"the index of the table 'mert' .*{found}.*reset_index"):
        batch | {"mert": frame}


def test_clips_without_numbers_are_named_by_their_place(data):
    batch, y = data
    spectrograms = np.repeat(batch["mel"], 5, axis=0)
    clf = mixture("log_pool").fit(batch, y)
    some = DomainBatch({n: np.repeat(batch[n], 5, axis=0) for n in ("mert", "handmade")})
    spectrograms[100, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"\{100: .*row 100 in the entry 'mel'"):
        clf.predict_proba(some | {"mel": spectrograms})


@pytest.mark.parametrize("gate", [CNNMixer, RNNMixer])
def test_what_only_the_gate_sees_is_looked_at_too(gate):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 20)
    table = rng.normal(size=(40, 4)) + (y == "b")[:, None]
    spectrograms = rng.normal(size=(40, 16, 20)).astype(np.float32)
    experts = [("t", LogisticRegression()), ("u", LogisticRegression(C=0.1))]
    clf = MixtureOfExpertsClassifier(experts, gate(max_epochs=1), random_state=0)
    batch = DomainBatch({"t": table, "u": table, "original": spectrograms})
    broken = spectrograms.copy()
    broken[3, 2, 1] = np.nan
    bad = DomainBatch({"t": table, "u": table, "original": broken})
    expected = clf.fit(batch, y).predict_proba(batch)
    for refused in (clf.predict_proba, clf.mixture_weights, lambda batch: clf.fit(batch, y)):
        with pytest.raises(ValueError, match="its row 3 in the entry 'original' holds NaN"):
            refused(bad)
    np.testing.assert_array_equal(clf.predict_proba(batch), expected)  # still the model it was
    clf.set_params(on_error="warn")
    with pytest.warns(BadClipWarning, match="row 3"):
        proba = clf.predict_proba(bad)
    assert np.flatnonzero(np.isnan(proba[:, 0])).tolist() == [3]
    with pytest.warns(BadClipWarning, match="row 3"):
        assert list(clf.fit(bad, y).bad_clips_) == [3]


@pytest.mark.parametrize("kind", [np.asarray, np.float32, pd.DataFrame])
def test_what_an_expert_does_in_place_stays_with_it(kind):
    """Neither the user's numbers nor those of the other experts change."""
    X, y = np.random.default_rng(0).normal(5, 3, size=(20, 4)), np.repeat(["a", "b"], 10)
    given = kind(X)
    scaling = make_pipeline(StandardScaler(copy=False), LogisticRegression())
    experts = [("scaling", scaling), ("plain", linear())]
    clf = MixtureOfExpertsClassifier(experts, "stacking", cv=2).fit(given, y)
    proba = clf.expert_predict_proba(given)
    np.testing.assert_array_equal(given, kind(X))
    np.testing.assert_array_equal(clf.expert_predict_proba(given), proba)
    np.testing.assert_allclose(proba[:, 0], proba[:, 1], atol=1e-5)
