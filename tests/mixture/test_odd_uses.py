"""What a mixture is given beside paths and folds: splitters, searches, parts of collections."""

import numpy as np
import pytest
import soundfile
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_genremoe import (
    HarmonicSpectrogram,
    LogMelSpectrogram,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    StackingMixer,
    default_experts,
    pretrained_experts,
)
from sklearn_genremoe.audio import BadClipError, BadClipWarning
from sklearn_genremoe.domains import DomainBatch, DomainUnion
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
    assert list(second.bad_clips) == [3]  # by their place in the collection
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
        ValueError, match=r"without features: \{3: .*its row 3 in the table 'table'.*9: "
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
    assert np.asarray(none).shape == (0, 2 * 16 * 19)


class Odd(GaussianNB):
    """Gives what an argument says instead of probabilities."""

    def __init__(self, rows=None):
        super().__init__()
        self.rows = rows

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return proba[:, :1] if self.rows is None else np.where(np.eye(2)[[0]] > 2, proba, self.rows)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([np.nan, 1.0], "no probabilities for 16 of 16 clips"),
        ([0.0, 0.0], "no probabilities for 16 of 16 clips"),
        ([-1.0, 2.0], "no probabilities for 16 of 16 clips"),
        (None, r"an array of shape \(16, 1\)"),
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


@pytest.mark.parametrize("mixer", [StackingMixer(), LogPoolMixer(fit_temperatures=True)], ids=repr)
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
    for experts in (pretrained_experts("weights.pt"), default_experts("30")):
        with pytest.raises(
            InvalidParameterError, match="'duration' parameter of LogMelSpectrogram"
        ):
            MixtureOfExpertsClassifier(experts).fit(["a.wav", "b.wav"], ["a", "b"])
