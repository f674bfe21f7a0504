"""What a mixture is given beside paths and folds: splitters, searches, parts of collections."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_genremoe import (
    BalancedMixer,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    StackingMixer,
    WindowedClassifier,
    default_experts,
    pretrained_experts,
)
from sklearn_genremoe.audio import BadClipError, BadClipWarning
from sklearn_genremoe.domains import DomainBatch, DomainUnion, time_statistics
from tests.mixture._clips import quick_expert

RATE = 8000
SIGNAL = {"sample_rate": RATE, "duration": 0.3, "n_fft": 256, "hop_length": 128, "n_mels": 16}
Y = np.array(["folk", "rock"])[np.arange(16) % 2]
GROUPS = np.arange(16) // 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Sixteen tones in two genres, as paths and as waveforms."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    paths, waveforms = [], []
    for row, genre in enumerate(Y):
        tone = np.sin(2 * np.pi * (500 if genre == "folk" else 2000) * np.arange(2400) / RATE)
        waveforms.append(0.3 * tone + 0.05 * rng.normal(size=2400))
        paths.append(str(folder / f"{row}.wav"))
        soundfile.write(paths[-1], waveforms[-1], RATE)
    return paths, np.array(waveforms)


def mixture(mixer="stacking", **params):
    experts = [
        ("original", make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert())),
        ("harmonic", make_pipeline(HarmonicSpectrogram(**SIGNAL), quick_expert())),
    ]
    return MixtureOfExpertsClassifier(experts, mixer, **{"cv": 2, "random_state": 0, **params})


@pytest.mark.parametrize(
    "cv", [StratifiedKFold(2), KFold(2), StratifiedGroupKFold(2), LeaveOneGroupOut()], ids=repr
)
@pytest.mark.parametrize("kind", ["paths", "waveforms", "batch"])
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_a_splitter_takes_clips_of_every_kind(clips, cv, kind):
    paths, waveforms = clips
    X = {"paths": paths, "waveforms": waveforms, "batch": mixture().extract(paths)}[kind]
    by_splitter = mixture(cv=cv).fit(X, Y, groups=GROUPS)
    splits = list(cv.split(np.zeros(16), Y, groups=GROUPS))
    by_rows = mixture(cv=splits).fit(X, Y, groups=GROUPS)
    np.testing.assert_array_equal(by_splitter.predict_proba(X), by_rows.predict_proba(X))


def test_a_splitter_gets_the_paths_themselves(clips):
    paths, _ = clips
    seen = []

    class Spy(StratifiedKFold):
        def split(self, X, y=None, groups=None):
            seen.append(np.asarray(X))
            return super().split(X, y)

    mixture(cv=Spy(2)).fit(paths, Y)
    assert seen[0].tolist() == paths


@pytest.mark.parametrize("cv", [np.int64(2), np.int32(2), np.float32(0.5)])
def test_numbers_of_numpy_are_numbers(clips, cv):
    paths, _ = clips
    expected = mixture(cv=cv.item()).fit(paths, Y).predict_proba(paths)
    np.testing.assert_array_equal(mixture(cv=cv).fit(paths, Y).predict_proba(paths), expected)


def test_one_waveform_has_one_sample_rate(clips):
    _, waveforms = clips
    other = {**SIGNAL, "sample_rate": 16000, "duration": 0.15}
    clf = MixtureOfExpertsClassifier(
        [
            ("slow", make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert())),
            ("fast", make_pipeline(LogMelSpectrogram(**other), quick_expert())),
        ],
        "balanced",
    )
    with pytest.raises(ValueError, match="waveforms have one sample rate"):
        clf.fit(waveforms, Y)
    clf.fit(clips[0], Y)
    with pytest.raises(ValueError, match="waveforms have one sample rate"):
        clf.predict(waveforms)


def test_bad_clips_of_a_part_of_a_collection(clips):
    paths, _ = clips
    clf = mixture("log_pool", on_error="warn").fit(paths, Y)
    several = [*paths[:3], "nowhere.wav", *paths[3:5]]
    union = DomainUnion([(name, expert[0]) for name, expert in clf.experts], on_error="warn")
    with pytest.warns(BadClipWarning):
        first, second = union.iter_transform(several, batch_size=3)
    assert list(second.bad_clips) == [0]
    with pytest.warns(BadClipWarning):
        proba = clf.predict_proba(second)
    assert np.isnan(proba).all(axis=1).tolist() == [True, False, False]
    assert list(clf.bad_clips_) == [0]
    np.testing.assert_allclose(proba[1:], clf.predict_proba(paths[3:5]), rtol=1e-6)
    with pytest.warns(BadClipWarning):
        clf.fit(second, ["folk", "rock", "folk"])
    with pytest.raises(ValueError, match=r"clips without features: \{0: .*nowhere"):
        mixture("log_pool").fit(second, ["folk", "rock", "folk"])
    assert not first.bad_clips


@pytest.mark.parametrize("expert", [GaussianNB(), HistGradientBoostingClassifier()], ids=repr)
def test_rows_of_a_table_that_are_no_numbers(expert):
    table = np.random.default_rng(0).normal(size=(16, 4)) + (Y == "rock")[:, None]
    whole = DomainBatch({"table": table})
    table = table.copy()
    table[3, 1] = np.nan
    table[9] = np.inf
    batch = DomainBatch({"table": table})
    clf = MixtureOfExpertsClassifier([("table", expert)], "log_pool")
    with pytest.raises(
        ValueError, match=r"without features: \{3: .*its row 3 in the entry 'table'.*9: "
    ):
        clf.fit(batch, Y)
    clf.set_params(on_error="warn")
    with pytest.warns(BadClipWarning, match="2 bad clip"):
        clf.fit(batch, Y)
    good = np.setdiff1d(np.arange(16), [3, 9])
    assert list(clf.bad_clips_) == [3, 9]
    expected = MixtureOfExpertsClassifier([("table", expert)], "log_pool").fit(whole[good], Y[good])
    np.testing.assert_array_equal(clf.predict_proba(whole), expected.predict_proba(whole))


def test_a_refused_refit_leaves_the_model(clips):
    paths, _ = clips
    clf = mixture().fit(paths, Y)
    before = clf.predict_proba(paths)
    with pytest.raises(BadClipError, match="nowhere"):
        clf.fit([*paths[:-1], "nowhere.wav"], Y)
    with pytest.raises(ValueError, match="DomainBatch does not hold"):
        clf.fit(DomainBatch({"a": np.zeros((16, 4, 3)), "b": np.zeros((16, 4, 3))}), Y)
    np.testing.assert_array_equal(clf.predict_proba(paths), before)


def test_genres_that_only_one_group_has():
    y = np.repeat(["a", "b", "c"], 6)
    groups = np.r_[np.arange(12) % 2, np.full(6, 2)]  # the group 2 is all of genre c
    table = np.random.default_rng(0).normal(size=(18, 3)) + np.arange(18)[:, None]
    clf = MixtureOfExpertsClassifier([("bayes", GaussianNB())], cv=LeaveOneGroupOut())
    assert clf.fit(table, y, groups=groups).predict_proba(table).shape == (18, 3)


def test_a_search_in_a_mixture_respects_the_groups():
    table = np.random.default_rng(0).normal(size=(16, 3))
    seen = []

    class Spy(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append(groups)
            return super().split(X, y, groups)

    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=Spy(2))
    clf = MixtureOfExpertsClassifier([("search", search)], "log_pool").fit(table, Y, groups=GROUPS)
    np.testing.assert_array_equal(seen[0], GROUPS)
    assert clf.predict(table).shape == (16,)


def test_score_leaves_out_what_cannot_be_heard(clips):
    paths, _ = clips
    clf = mixture(on_error="warn").fit(paths, Y)
    several = [*paths, "nowhere.wav"]
    y, weight = np.append(Y, "rock"), np.arange(1, 18)
    with pytest.warns(BadClipWarning, match="left out of the score") as caught:
        score = clf.score(several, y, sample_weight=weight)
    assert len(caught) == 1
    assert score == clf.score(paths, Y, sample_weight=weight[:-1])
    with pytest.raises(BadClipError, match="none can be used"):
        clf.score(["nowhere.wav"], ["rock"])
    with pytest.warns(BadClipWarning):
        scores = cross_validate(mixture(on_error="warn"), several, y, cv=2)
    assert np.isfinite(scores["test_score"]).all()


def test_no_clips_at_all(clips):
    paths, _ = clips
    clf = mixture("log_pool").fit(paths, Y)
    none = clf.extract(paths)[:0]
    assert clf.transform(none).shape == (0, 4)
    assert none["original"].shape == (0, 16, 19)


class Odd(GaussianNB):
    """Gives what an argument says instead of probabilities."""

    def __init__(self, rows=None):
        super().__init__()
        self.rows = rows

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        if self.rows == "nothing":
            return None
        return proba[:, :1] if self.rows is None else np.where(np.eye(2)[[0]] > 2, proba, self.rows)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([np.nan, 1.0], "no probabilities for 16 of 16 clips"),
        ([0.0, 0.0], "no probabilities for 16 of 16 clips"),
        ([-1.0, 2.0], "no probabilities for 16 of 16 clips"),
        (None, r"an array of shape \(16, 1\)"),
        ("nothing", r"an array of shape \(\)"),
    ],
)
def test_an_expert_that_gives_no_probabilities(rows, found):
    table = np.random.default_rng(0).normal(size=(16, 3))
    clf = MixtureOfExpertsClassifier([("fine", GaussianNB()), ("odd", Odd(rows))], "log_pool")
    clf.fit(table, Y)
    with pytest.raises(ValueError, match=f"the expert Odd gave {found}"):
        clf.predict_proba(table)


def test_paths_for_an_expert_of_tables(clips):
    paths, _ = clips
    experts = [*mixture().experts, ("table", GaussianNB())]
    clf = MixtureOfExpertsClassifier(experts, "log_pool")
    extracted = mixture().extract(paths)
    table = np.random.default_rng(0).normal(size=(16, 3))
    both = DomainBatch({**{name: extracted[name] for name in extracted.names}, "table": table})
    for call in (lambda: clf.fit(paths, Y), lambda: clf.fit(both, Y).predict(paths)):
        with pytest.raises(
            ValueError, match=r"GaussianNB.* begins with no feature domain.*DomainBatch"
        ):
            call()


@pytest.mark.parametrize("mixer", [StackingMixer(), BalancedMixer()], ids=repr)
def test_weights_below_zero_teach_nothing(mixer):
    proba = np.full((4, 2, 2), 0.5)
    with pytest.raises(ValueError, match="Negative values"):
        mixer.fit(proba, [0, 1, 0, 1], sample_weight=[1, -1, 1, 1])


def test_a_generator_of_splits_is_used_up():
    table = np.random.default_rng(0).normal(size=(16, 3))
    splits = (split for split in StratifiedKFold(2).split(table, Y))
    clf = MixtureOfExpertsClassifier([("bayes", GaussianNB())], cv=splits).fit(table, Y)
    with pytest.raises(ValueError, match="A generator can be used once"):
        clf.fit(table, Y)


@pytest.mark.filterwarnings("ignore::sklearn_genremoe.audio.BadClipWarning")
def test_scores_of_nothing(clips):
    paths, _ = clips
    clf = mixture("log_pool", on_error="warn").fit(paths, Y)
    X, y, weight = [paths[0], "nowhere.wav"], ["folk", "rock"], [0, 1]
    for score in (clf.score, clf.score_experts):
        with pytest.raises(ValueError, match="weight above zero"):
            score(X, y, sample_weight=weight)
    with pytest.raises(BadClipError, match="none can be used"):
        clf.score_experts(["nowhere.wav"], ["rock"])


def test_domains_are_checked_before_they_are_used():
    for experts, name in (
        (pretrained_experts("weights.pt"), "MusicTagEmbedding"),
        (default_experts("30"), "LogMelSpectrogram"),
    ):
        with pytest.raises(InvalidParameterError, match=f"'duration' parameter of {name}"):
            MixtureOfExpertsClassifier(experts).fit(["a.wav", "b.wav"], ["a", "b"])


class FixedRows(PredefinedSplit):
    """Another splitter that doesn't look at the clips."""


class TestSplittersWithRowsOfTheirOwn:
    fold = np.arange(16) // 2 % 2

    @pytest.fixture
    def with_a_bad_clip(self, clips, tmp_path):
        paths = list(clips[0])
        paths[3] = str(tmp_path / "bad.wav")
        Path(paths[3]).write_text("no audio")
        return paths

    def test_predefined_split_and_a_bad_clip(self, with_a_bad_clip):
        rows = np.arange(16)
        pairs = [(rows[self.fold != fold], rows[self.fold == fold]) for fold in (0, 1)]
        probas = []
        for cv in (PredefinedSplit(self.fold), FixedRows(self.fold), pairs):
            with pytest.warns(BadClipWarning):
                clf = mixture(cv=cv, on_error="warn").fit(with_a_bad_clip, Y)
            probas.append(clf.predict_proba(with_a_bad_clip[:3]))
        np.testing.assert_array_equal(probas[1], probas[0])
        np.testing.assert_array_equal(probas[2], probas[0])

    def test_predefined_split_and_weights_of_zero(self, clips):
        weight = np.ones(16)
        weight[[2, 3]] = 0
        clf = mixture(cv=PredefinedSplit(self.fold)).fit(clips[1], Y, sample_weight=weight)
        assert np.isfinite(clf.predict_proba(clips[1])).all()

    @pytest.mark.parametrize(
        ("train", "said"),
        [
            (np.ones(15, dtype=bool), "but there are 16 clips \\(boolean index"),
            (np.ones(17, dtype=bool), "but there are 16 clips \\(boolean index"),
            (np.arange(8) + 0.7, "expected a pair of row numbers or masks"),
            (["a", "b"], "expected a pair of row numbers or masks"),
        ],
    )
    def test_rows_that_are_none(self, clips, train, said):
        with pytest.raises(ValueError, match=said):
            mixture(cv=[(train, np.arange(8))]).fit(clips[1], Y)


def linear(**params):
    of_domain = LogMelSpectrogram(**SIGNAL | params)
    return make_pipeline(
        of_domain, FunctionTransformer(time_statistics), StandardScaler(), LogisticRegression()
    )


def test_a_fitted_search_among_prefit_experts(clips):
    search = GridSearchCV(linear(), {"logmelspectrogram__n_mels": [8]}, cv=2).fit(clips[1], Y)
    clf = MixtureOfExpertsClassifier([("s", search)], "balanced", cv="prefit").fit(clips[1], Y)
    np.testing.assert_allclose(clf.predict_proba(clips[1]), search.predict_proba(clips[1]))


def test_prefit_experts_ask_for_no_metadata(clips):
    experts = [("a", linear().fit(clips[1], Y)), ("b", linear(n_mels=8).fit(clips[1], Y))]
    weight = np.arange(16.0)
    clf = MixtureOfExpertsClassifier(experts, cv="prefit", random_state=0)
    expected = clf.fit(clips[1], Y, sample_weight=weight).predict_proba(clips[1])
    with sklearn.config_context(enable_metadata_routing=True):
        proba = clf.fit(clips[1], Y, sample_weight=weight).predict_proba(clips[1])
    np.testing.assert_array_equal(proba, expected)


def test_what_is_extracted_keeps_the_names_of_columns(clips):
    by_name = ColumnTransformer([("tempo", StandardScaler(), ["tempo"])])
    experts = [("mel", linear()), ("hand", make_pipeline(by_name, LogisticRegression()))]
    clf = MixtureOfExpertsClassifier(experts, cv=2, random_state=0)
    frame = pd.DataFrame({"loud": np.arange(16.0), "tempo": np.arange(16.0)[::-1]})
    batch = clf.extract(clips[1]) | {"hand": frame}
    expected = clf.fit(batch, Y).predict_proba(batch)
    again = clf.extract(batch)
    np.testing.assert_array_equal(clf.fit(again, Y).predict_proba(again), expected)


@pytest.mark.parametrize("name", ["self", "method_mapping"])
def test_names_that_scikit_learn_keeps_for_itself(clips, name):
    with pytest.raises(ValueError, match="must not be among"):
        MixtureOfExpertsClassifier([(name, linear())], cv=2).fit(clips[1], Y)


@pytest.mark.parametrize(
    ("labels", "missing", "expected"),
    [
        (np.array([1, 2], dtype=np.int8), 1000, [1000, 2]),
        (np.array([1, 2], dtype=np.uint8), -1, [-1, 2]),
        (np.array(["a", "b"]), "unknown", ["unknown", "b"]),
        (np.array([False, True]), "unknown", ["unknown", True]),
    ],
)
def test_a_label_for_clips_without_any(labels, missing, expected):
    X = np.arange(40.0).reshape(20, 2)
    y = labels[(np.arange(20) > 9).astype(int)]
    clf = MixtureOfExpertsClassifier([("t", linear()[1:][1:])], "balanced", on_error="warn")
    batch = DomainBatch({"t": X}, bad_clips={})
    clf.fit(batch, y)
    X[0] = np.nan
    with pytest.warns(BadClipWarning, match=f"answered by {missing!r}"):
        answers = clf.predict(DomainBatch({"t": X})[[0, 19]], missing=missing)
    assert answers.tolist() == expected


def test_labels_of_bytes_are_refused(clips):
    with pytest.raises(ValueError, match=r"y holds bytes; .* y.astype\(str\)"):
        mixture().fit(clips[1], Y.astype("S"))


def test_a_bad_track_leaves_the_windowed_model_of_before(clips, tmp_path):
    paths, _ = clips
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    clf = WindowedClassifier(linear(duration=0.15), 0.15, 0.15).fit(paths, Y)
    expected = clf.predict_proba(paths)
    with pytest.raises(BadClipError, match=r"bad\.wav"):
        clf.fit([*paths, bad], [*Y, "rock"])
    np.testing.assert_array_equal(clf.predict_proba(paths), expected)
    clf.set_params(on_error="warn")
    with pytest.warns(BadClipWarning):
        assert list(clf.fit([*paths, bad], [*Y, "rock"]).bad_clips_) == [16]


@pytest.mark.filterwarnings("error")
def test_windows_of_a_calibrated_pipeline_count_alike(clips, tmp_path):
    paths, waveforms = clips
    longer = tmp_path / "longer.wav"
    soundfile.write(longer, np.tile(waveforms[0], 2), RATE)
    calibrated = CalibratedClassifierCV(linear(duration=0.15), cv=2)
    clf = WindowedClassifier(calibrated, 0.15, 0.15).fit([longer, *paths[1:]], Y)
    assert np.isfinite(clf.predict_proba(paths)).all()


class TestPredictFrame:
    def test_answers_and_reasons(self, clips):
        paths, _ = clips
        clf = mixture("log_pool").fit(paths, Y)
        frame = clf.predict_frame([Path(paths[0]), "nowhere.wav", paths[1]])  # whatever on_error is
        assert list(frame) == [
            "path", "genre", "probability[folk]", "probability[rock]", "error",
        ]  # fmt: skip
        assert frame["path"].tolist() == [paths[0], "nowhere.wav", paths[1]]
        assert "no such file" in frame["error"][1]
        assert frame["error"][[0, 2]].isna().all()
        assert frame["genre"].isna().tolist() == [False, True, False]
        assert frame["genre"][[0, 2]].tolist() == clf.predict(paths[:2]).tolist()
        np.testing.assert_allclose(
            frame.filter(like="probability").to_numpy()[[0, 2]], clf.predict_proba(paths[:2])
        )
        assert not clf.bad_clips_

    def test_of_a_batch_and_of_waveforms(self, clips):
        paths, waveforms = clips
        clf = mixture("log_pool").fit(paths, Y)
        assert clf.predict_frame(clf.extract(paths))["path"].tolist() == paths
        assert clf.predict_frame(waveforms)["path"].isna().all()

    def test_of_tracks(self, clips):
        paths, _ = clips
        clf = WindowedClassifier(linear(duration=0.15), 0.15, 0.15).fit(paths, Y)
        frame = clf.predict_frame([paths[0], "nowhere.wav"])
        assert "no such file" in frame["error"][1]
        assert frame["genre"][0] == clf.predict(paths[:1])[0]

    def test_threads_hear_their_own_reasons(self, clips):
        paths, _ = clips
        clf = mixture("log_pool").fit(paths, Y)
        requests = [[paths[i % 3], f"nowhere{i}.wav"] for i in range(12)]
        with ThreadPoolExecutor(4) as pool:
            frames = list(pool.map(clf.predict_frame, requests))
        for i, frame in enumerate(frames):
            assert f"nowhere{i}.wav" in frame["error"][1]


def test_a_search_over_parameters_of_its_domain(clips):
    paths, _ = clips
    grid = {"logmelspectrogram__n_mels": [8, 16]}
    search = GridSearchCV(linear(), grid, cv=2, error_score="raise")
    clf = MixtureOfExpertsClassifier([("s", search), ("plain", linear())], "log_pool")
    clf.fit(paths, Y)
    assert np.isfinite(clf.named_experts_["s"].cv_results_["mean_test_score"]).all()
    np.testing.assert_allclose(
        clf.expert_predict_proba(paths)[:, 0], clf.experts_[0].predict_proba(paths), rtol=1e-5
    )
    batch = clf.extract(paths)
    table = np.zeros((len(Y), 40))  # which the domain would take for waveforms
    for given in (batch, batch | {"s": batch["plain"]}, batch | {"s": table}):
        with pytest.raises(ValueError, match="'s' searches over parameters of its domain"):
            clf.fit(given, Y)
    # Other parameters leave the domain alone: it is extracted once.
    other = GridSearchCV(linear(), {"logisticregression__C": [0.1, 1.0]}, cv=2)
    clf.set_params(s=other).fit(clf.extract(paths), Y)


@pytest.mark.parametrize(
    "wrap",
    [
        FrozenEstimator,
        lambda fitted: GridSearchCV(clone(fitted), {"logisticregression__C": [0.1, 1]}, cv=2),
        lambda fitted: make_pipeline(StandardScaler(), GridSearchCV(fitted[-1], {"C": [1]}, cv=2)),
    ],
)
def test_weights_reach_wrapped_experts(wrap):
    table = np.random.default_rng(0).normal(size=(16, 3))
    expert = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, Y)
    clf = MixtureOfExpertsClassifier([("a", wrap(expert))], "balanced")
    assert clf.fit(table, Y, sample_weight=np.arange(16.0)).predict(table).shape == (16,)


def test_experts_choose_columns_of_a_frame_by_name():
    frame = pd.DataFrame({"loud": np.arange(16.0), "tempo": np.arange(16.0)[::-1]})
    by_name = ColumnTransformer([("tempo", StandardScaler(), ["tempo"])])
    clf = MixtureOfExpertsClassifier([("a", make_pipeline(by_name, LogisticRegression()))], cv=2)
    assert clf.fit(frame, Y).predict(frame).shape == (16,)
    assert clf.feature_names_in_.tolist() == ["loud", "tempo"]
    with pytest.raises(ValueError, match="NaN"):
        clf.predict(frame.assign(loud=np.nan))
    frame = frame.assign(key=["C", "a"] * 8)  # text, which is that expert's affair
    by_name.transformers.append(("key", OneHotEncoder(), ["key"]))
    assert clf.fit(frame, Y).predict(frame).shape == (16,)


def test_names_of_columns_do_not_outlive_their_fit(clips):
    paths, waveforms = clips
    clf = mixture("log_pool").fit(pd.DataFrame(waveforms).rename(columns=str), Y)
    assert hasattr(clf, "feature_names_in_")
    assert not hasattr(clf.fit(paths, Y), "feature_names_in_")


def test_y_is_checked_before_anything_is_decoded(clips):
    clf = mixture("log_pool").fit(clips[0], Y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        clf.score(["nowhere.wav"], ["folk", "rock"])


def test_prefit_experts_of_labels_of_two_kinds():
    table = np.random.default_rng(0).normal(size=(16, 3))
    experts = [("a", GaussianNB().fit(table, Y)), ("b", GaussianNB().fit(table, Y == "rock"))]
    with pytest.raises(ValueError, match="numbers and text as genres: 'a'"):
        MixtureOfExpertsClassifier(experts, "balanced", cv="prefit").fit(table, Y)


def test_experts_in_a_tuple():
    experts = (("a", GaussianNB()), ("b", LogisticRegression()))
    clf = MixtureOfExpertsClassifier(experts, "balanced").set_params(b="drop")
    assert dict(clf.experts)["b"] == "drop"
    union = DomainUnion((("a", LogMelSpectrogram()),))
    assert union.fit_transform(np.eye(2, 1024))["a"].shape == (2, 96, 3)
    assert union.set_params(a=LogMelSpectrogram(n_mels=8)).domains[0][1].n_mels == 8


def test_experts_in_a_dict_are_shown_and_refused():
    clf = MixtureOfExpertsClassifier({"a": GaussianNB()}, "balanced")
    assert "MixtureOfExperts" in repr(clf)
    assert clf._repr_html_()
    with pytest.raises(ValueError, match="expected a list"):
        clf.fit(np.zeros((16, 2)), Y)


def test_only_known_wrappers_are_looked_through(clips):
    paths, waveforms = clips
    bagged = BaggingClassifier(linear(), n_estimators=2)
    clf = MixtureOfExpertsClassifier([("bagged", bagged), ("plain", linear())], "log_pool")
    batch = MixtureOfExpertsClassifier([("plain", linear())], "log_pool").extract(paths)
    with pytest.raises(ValueError, match="'bagged' begins with no domain"):
        clf.fit(batch, Y)
    assert clf.fit(waveforms, Y).predict(waveforms).shape == (16,)  # it gets the waveforms


@pytest.mark.parametrize("name", ["mixture", "oracle"])
def test_experts_have_no_names_of_rows_of_the_score_table(name):
    experts = [(name, LogisticRegression()), ("other", LogisticRegression())]
    with pytest.raises(ValueError, match=name):
        MixtureOfExpertsClassifier(experts, "balanced").fit(np.eye(16), Y)
