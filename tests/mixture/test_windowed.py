"""Whole tracks by windows: what is read, what is learned, and what is answered."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn
import soundfile
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import (
    AudioLoader,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    WindowedClassifier,
)
from sklearn_genremoe.audio import (
    BadClipError,
    BadClipWarning,
    Segment,
    decode_audio,
    decode_parts,
    read_excerpts,
)
from sklearn_genremoe.domains import DomainBatch
from sklearn_genremoe.mixture import _windowed
from tests.mixture._clips import quick_expert

RATE = 8000
SIGNAL = {
    "sample_rate": RATE,
    "duration": 1.0,
    "n_fft": 256,
    "hop_length": 128,
    "n_mels": 16,
    "fill": "repeat",
}
#: Seconds of the tracks: several windows, one that is shorter than a window, one that just fits.
SECONDS = [3.3, 2.0, 0.6, 1.0, 1.005, 2.5, 4.0, 1.7]


def tone(seconds, genre, rate=RATE, seed=0):
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * (500 if genre == "folk" else 2000) * times)
    return 0.3 * wave + 0.05 * rng.normal(size=len(times))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Eight files of different lengths and rates in two genres."""
    folder = tmp_path_factory.mktemp("tracks")
    y = np.array(["folk", "rock"])[np.arange(8) % 2]
    paths = []
    for row, (seconds, genre) in enumerate(zip(SECONDS, y)):
        rate = 16000 if row < 2 else RATE
        paths.append(str(folder / f"{row}.wav"))
        soundfile.write(paths[-1], tone(seconds, genre, rate, seed=row), rate)
    return paths, y


def mixture(mixer="balanced", **params):
    experts = [
        ("original", make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert())),
        ("harmonic", make_pipeline(HarmonicSpectrogram(**SIGNAL), quick_expert())),
    ]
    return MixtureOfExpertsClassifier(experts, mixer, random_state=0, **{"cv": 2, **params})


def windowed(estimator=None, **params):
    params = {"window": 1.0, "hop": 0.5, **params}
    return WindowedClassifier(mixture() if estimator is None else estimator, **params)


class Spy(ClassifierMixin, BaseEstimator):
    """Keeps what it is fitted with."""

    def fit(self, X, y, sample_weight=None, groups=None):
        self.X_, self.y_, self.weight_, self.groups_ = X, y, sample_weight, groups
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """Louder windows are more likely rock."""
        loud = np.abs(np.asarray(X)).mean(axis=1).clip(0, 1)
        return np.column_stack([1 - loud, loud])


# What is read.


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize(("rate", "kind"), [(44100, "wav"), (48000, "flac"), (22050, "mp3")])
def test_excerpts_are_what_decoding_each_gives(tmp_path, rate, kind, n_channels):
    path = str(tmp_path / f"long.{kind}")
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.normal(size=(round(32.3 * rate), n_channels)), rate)
    excerpts = list(read_excerpts(path, 5.0, 2.0))
    assert [e.offset for e in excerpts[:-1]] == [2.0 * k for k in range(14)]
    assert excerpts[-1].end == pytest.approx(32.3, abs=0.1)
    assert excerpts[-1].end - excerpts[-1].offset == pytest.approx(5, abs=2e-3)
    for excerpt in excerpts:
        for sample_rate in (22050, 32000):
            [waveform] = decode_parts(excerpt, [Segment(sample_rate, excerpt.offset, 5.0)])
            expected = decode_audio(
                path, sample_rate=sample_rate, offset=excerpt.offset, duration=5.0
            )
            assert len(waveform) == 5 * sample_rate
            np.testing.assert_array_equal(waveform, expected)


def test_channels_that_cancel_are_heard_as_when_decoding_a_clip(tmp_path):
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.normal(size=RATE * 5)
    wave = np.column_stack([wave, np.where(np.arange(len(wave)) < RATE * 3, -wave, wave)])
    path = str(tmp_path / "opposite.wav")
    soundfile.write(path, wave, RATE)
    for excerpt in read_excerpts(path, 1.0, 1.0):
        [waveform] = decode_parts(excerpt, [Segment(RATE, excerpt.offset, 1.0)])
        assert excerpt.offset == 2 or np.abs(waveform).max() > 0.1  # 2: where they begin to agree
        expected = decode_audio(path, sample_rate=RATE, offset=excerpt.offset, duration=1.0)
        np.testing.assert_array_equal(waveform, expected)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (3.3, [0, 0.5, 1, 1.5, 2, 2.3]),
        (2.0, [0, 0.5, 1]),
        (0.6, [0]),
        (1.0, [0]),
        (1.005, [0]),  # a rest of less than a hundredth of a window
        (1.2, [0, 0.2]),
    ],
)
def test_windows_cover_the_track(tmp_path, seconds, expected):
    path = str(tmp_path / "track.wav")
    soundfile.write(path, tone(seconds, "folk"), RATE)
    excerpts = list(read_excerpts(path, 1.0, 0.5))
    assert [e.offset for e in excerpts] == pytest.approx(expected, abs=1e-9)
    assert excerpts[-1].end == pytest.approx(seconds, abs=0.01)
    # Waveforms are divided alike.
    clf = windowed(Spy()).fit([tone(4.0, g) for g in ("folk", "rock")], ["folk", "rock"])
    waveform = soundfile.read(path)[0]
    if seconds >= 1:
        rate = 22050  # of an estimator without a domain
        n = round(seconds * rate)
        table = (
            clf.set_params(window=1.0)
            .fit(np.ones((2, n)), ["a", "b"])
            .predict_windows(np.resize(waveform, n))
        )
        np.testing.assert_allclose(table["start"], expected, atol=1e-4)


def test_windows_of_a_file_are_judged_like_clips(tracks):
    paths, y = tracks
    clf = windowed().fit(paths, y)
    table = clf.predict_windows(paths[0])
    assert table.columns.tolist() == [
        "start", "end", "folk", "rock", "weight[original]", "weight[harmonic]",
    ]  # fmt: skip
    for row in table.itertuples():
        clip = decode_audio(paths[0], sample_rate=RATE, offset=row.start, duration=1.0)
        np.testing.assert_allclose(clf.estimator_.predict_proba(clip[None])[0], row[3:5], atol=1e-9)
    np.testing.assert_allclose(table.filter(like="weight"), 0.5)


def test_a_short_file_is_filled_as_its_domains_say(tracks):
    paths, y = tracks
    short = paths[2]
    for fill in ("zeros", "repeat"):
        expert = make_pipeline(LogMelSpectrogram(**{**SIGNAL, "fill": fill}), quick_expert())
        clf = windowed(expert).fit(paths, y)
        [expected] = clf.estimator_.predict_proba([short])
        np.testing.assert_array_equal(clf.predict_proba([short])[0], expected)
        assert clf.predict_windows(short)[["start", "end"]].values.tolist() == [[0, 0.6]]


@pytest.mark.parametrize("n_samples", [1, 100, 2100])
def test_files_of_an_instant(tracks, tmp_path, n_samples):
    """Shorter than a hundredth of a window: used or refused like any other file."""
    paths, y = tracks
    file = tmp_path / "instant.wav"
    soundfile.write(file, np.random.default_rng(0).normal(size=n_samples) / 9, RATE)
    clf = windowed(make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert()), window=60.0)
    clf.fit(paths, y)
    if n_samples > 2000:
        assert np.isfinite(clf.predict_proba([file])).all()
        return
    with pytest.raises(BadClipError, match=f"instant.wav: holds {n_samples} samples"):
        clf.predict([file])
    clf.set_params(on_error="warn")
    with pytest.warns(BadClipWarning, match="instant"):
        assert np.isnan(clf.predict_proba([paths[0], file])).all(axis=1).tolist() == [False, True]


def test_waveforms_have_the_rate_that_the_domains_expect(tracks):
    paths, y = tracks
    beside = mixture()
    beside.experts.append(("waveforms", Spy()))
    for estimator in (beside, make_pipeline(AudioLoader(RATE, duration=1.0), Spy())):
        clf = windowed(estimator).fit(paths, y)
        assert clf.n_features_in_ == RATE
        waveform = soundfile.read(paths[3])[0]
        np.testing.assert_allclose(
            clf.predict_proba([paths[3]]), clf.predict_proba([waveform]), atol=1e-6
        )


def test_different_rates_are_for_files_and_domains_only(tracks):
    paths, y = tracks
    other = make_pipeline(LogMelSpectrogram(**{**SIGNAL, "sample_rate": 16000}), quick_expert())
    mixed = MixtureOfExpertsClassifier([*mixture().experts, ("other", other)], "balanced")
    clf = windowed(mixed).fit(paths, y)
    assert clf.predict(paths).tolist() == y.tolist()
    with pytest.raises(ValueError, match=r"domains expect .*'other': 16000}; .*or pass paths"):
        clf.predict([tone(1.0, "folk")])
    mixed.experts.append(("waveforms", Spy()))
    with pytest.raises(ValueError, match=r"expects \[8000, 16000\] Hz: .*or each expert a domain"):
        windowed(mixed).fit(paths, y)


def test_integers_are_scaled_for_every_estimator(tracks):
    paths, y = tracks
    for estimator, rate in ((Spy(), 22050), (mixture(), RATE)):
        waveforms = np.array([tone(2.0, genre, rate) for genre in ("folk", "rock")])
        pcm = np.round(waveforms * 32767).astype(np.int16)
        clf = windowed(estimator).fit(paths, y)
        expected = clf.predict_proba(waveforms)
        np.testing.assert_allclose(clf.predict_proba(pcm), expected, atol=1e-3)
        table = clf.predict_windows(pcm[0])
        np.testing.assert_allclose(table[["folk", "rock"]].mean(), expected[0], atol=1e-3)


# What is learned.


def test_windows_have_genre_group_and_share_of_their_track(tracks):
    paths, y = tracks
    spy = windowed(Spy()).fit(paths, y).estimator_
    counts = [6, 3, 1, 1, 1, 4, 7, 3]
    of_track = np.repeat(np.arange(8), counts)
    assert spy.X_.shape == (26, 22050)
    np.testing.assert_array_equal(spy.y_, y[of_track])
    np.testing.assert_array_equal(spy.groups_, of_track)
    np.testing.assert_allclose(np.bincount(of_track, spy.weight_), 26 / 8)
    given = np.arange(8) // 2
    weight = np.arange(8.0)
    spy = windowed(Spy()).fit(paths, y, sample_weight=weight, groups=given).estimator_
    assert len(spy.y_) == 20  # a track of weight zero counts as absent
    np.testing.assert_array_equal(spy.groups_, given[of_track[6:]])
    totals = np.bincount(of_track[6:], spy.weight_)
    np.testing.assert_allclose(totals / totals[1], weight)


def test_an_estimator_without_weights_and_groups_gets_none(tracks):
    paths, y = tracks
    clf = windowed(KNeighborsClassifier(1)).fit(paths, y)
    assert clf.score(paths, y) == 1
    before = clf.predict_proba(paths)
    for estimator in (
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        MixtureOfExpertsClassifier([("neighbours", KNeighborsClassifier())]),
    ):
        clf.set_params(estimator=estimator)
        with pytest.raises(ValueError, match="can't take it"):  # before a file is read
            clf.fit(["nowhere.wav"] * 8, y, sample_weight=np.ones(8))
        np.testing.assert_array_equal(clf.predict_proba(paths), before)


def test_one_window_per_clip_is_the_plain_estimator(tracks):
    X = np.array([tone(1.0, genre, seed=row) for row, genre in enumerate(["folk", "rock"] * 4)])
    y = np.array(["folk", "rock"] * 4)
    plain = mixture("stacking").fit(X, y)
    clf = windowed(mixture("stacking")).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-12)
    assert clf.estimator_.mixer_.get_params() == plain.mixer_.get_params()


def test_windows_of_a_track_never_straddle_folds(tracks):
    paths, y = tracks
    seen = []

    class Folds(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                seen.append(set(groups[train]) & set(groups[test]))
                yield train, test

    windowed(mixture("stacking", cv=Folds(2))).fit(paths, y)
    assert seen == [set(), set()]


def test_windows_of_a_track_never_straddle_the_folds_of_a_search(tracks):
    paths, y = tracks
    seen = []

    class Folds(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                seen.append(set(groups[train]) & set(groups[test]))
                yield train, test

    search = GridSearchCV(mixture(cv="train"), {"mixer": ["balanced"]}, cv=Folds(2))
    windowed(search).fit(paths, y)
    assert seen == [set(), set()]


def test_a_search_over_parameters_of_its_domain_gets_waveforms(tracks):
    paths, y = tracks
    pipeline = make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert())
    grid = {"logmelspectrogram__n_mels": [8, 16]}
    clf = windowed(GridSearchCV(pipeline, grid, cv=2, error_score="raise")).fit(paths, y)
    assert clf.predict(paths).tolist() == y.tolist()


@pytest.mark.parametrize("kind", ["rows", "predefined", "shuffled", "search", "calibrated"])
def test_rows_of_cv_are_tracks(tracks, kind):
    paths, y = tracks
    fold = np.arange(len(y)) // 2 % 2
    rows = [(np.flatnonzero(fold), np.flatnonzero(1 - fold))]
    cv = {
        "rows": rows,
        "predefined": PredefinedSplit(fold),
        "shuffled": StratifiedKFold(2, shuffle=True, random_state=0),
    }
    if kind in cv:
        clf = windowed(mixture("stacking", cv=cv[kind]))
    else:
        inner = mixture("balanced", cv="train")
        owner = (
            GridSearchCV(inner, {"mixer": ["balanced", "log_pool"]}, cv=2)
            if kind == "search"
            else CalibratedClassifierCV(inner, cv=2)
        )
        clf = windowed(owner)
    clf.fit(paths, y)
    of_track = np.repeat(np.arange(len(y)), [len(clf.predict_windows(p)) for p in paths])
    splits = clf.estimator_.cv
    assert len(splits) in (1, 2)
    for train, test in splits:
        assert not set(of_track[train]) & set(of_track[test])
        assert len(set(of_track[train])) + len(set(of_track[test])) == len(y)


def test_features_are_cached_and_stay_on_disk(tracks, tmp_path, monkeypatch):
    paths, y = tracks
    plain = windowed().fit(paths, y).predict_proba(paths)
    monkeypatch.setattr(_windowed, "_CHUNK", 3)
    monkeypatch.setattr(_windowed, "_APART", 2)
    np.testing.assert_allclose(windowed().fit(paths, y).predict_proba(paths), plain, atol=1e-12)
    clf = windowed(mixture(memory=tmp_path)).fit(paths, y)
    np.testing.assert_array_equal(clf.predict_proba(paths), plain)
    files = {file: file.stat().st_size for file in Path(tmp_path).rglob("features-*.bin")}
    assert len(files) == 2
    clone(clf).fit(paths, y)
    assert files == {file: file.stat().st_size for file in Path(tmp_path).rglob("features-*.bin")}


def test_joined_batches_of_one_store_stay_mapped(tracks, tmp_path):
    paths, _ = tracks
    clf = mixture(memory=tmp_path)
    parts = [clf.extract(paths[:3]), clf.extract(paths[3:])]
    joined = np.concatenate(parts)
    assert isinstance(joined["original"], np.memmap)
    np.testing.assert_array_equal(joined["original"], mixture().extract(paths)["original"])


# What is answered.


@pytest.mark.parametrize("aggregate", ["mean", "geometric_mean", "vote"])
def test_aggregates(tracks, aggregate):
    paths, y = tracks
    clf = windowed(aggregate=aggregate).fit(paths, y)
    said = clf.predict_windows(paths[0])[["folk", "rock"]].to_numpy()
    expected = {
        "mean": said.mean(axis=0),
        "geometric_mean": np.exp(np.log(np.maximum(said, 1e-300)).mean(axis=0)),
        "vote": np.eye(2)[said.argmax(axis=1)].mean(axis=0),
    }[aggregate]
    proba = clf.predict_proba(paths)
    np.testing.assert_allclose(proba[0], expected / expected.sum(), atol=1e-9)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert clf.score(paths, y) == 1
    np.testing.assert_array_equal(clf.predict(paths), y)
    np.testing.assert_array_equal(np.exp(clf.predict_log_proba(paths)), proba)


@pytest.mark.parametrize(
    ("y", "missing"),
    [
        (["folk", "rock"], "unknown"),
        (["folk", "rock"], np.nan),
        (["folk", "rock"], -1),
        ([1, 2], "unknown"),
        ([1, 2], -1),
        ([True, False], -1),
    ],
)
def test_missing_answers_leave_the_labels_what_they_are(tracks, y, missing):
    paths, _ = tracks
    for clf in (windowed(on_error="warn"), mixture(on_error="warn", cv="train")):
        clf.fit(paths[:2], y)
        with pytest.warns(BadClipWarning):
            answers = clf.predict([*paths[:2], "nowhere.wav"], missing=missing)
        assert answers[:2].tolist() == y
        assert [type(answer) for answer in answers.tolist()] == [
            *map(type, y),
            type(missing),
        ]
        np.testing.assert_equal(answers[2], missing)


def test_silent_windows_are_left_out(tracks, tmp_path):
    paths, y = tracks
    path = str(tmp_path / "pause.wav")
    soundfile.write(path, np.r_[tone(2, "rock"), np.zeros(RATE * 2), tone(1, "rock")], RATE)
    clf = windowed().fit(paths, y)
    table = clf.predict_windows(path)
    silent = table["rock"].isna()
    assert table["start"][silent].tolist() == [2.0, 2.5, 3.0]
    assert table.drop(columns=["start", "end"])[silent].isna().all(axis=None)
    np.testing.assert_allclose(clf.predict_proba([path])[0, 1], table["rock"].mean())
    silence = str(tmp_path / "silence.wav")
    soundfile.write(silence, np.zeros(RATE * 2), RATE)
    with pytest.raises(BadClipError, match=r"silence\.wav: is silent"):
        clf.predict([path, silence])
    with pytest.raises(BadClipError, match=r"silence\.wav: is silent"):
        clf.predict_windows(silence)


def test_bad_tracks_are_listed_in_the_order_of_the_rows(tracks, tmp_path):
    paths, _ = tracks
    silence = str(tmp_path / "silence.wav")
    soundfile.write(silence, np.zeros(RATE), RATE)
    X = [silence, "nowhere.wav", paths[2], paths[3], silence]
    clf = windowed(on_error="warn")
    with pytest.warns(BadClipWarning) as caught:
        clf.fit(X, ["folk", "folk", "folk", "rock", "folk"])
    assert list(clf.bad_clips_) == list(caught[0].message.bad_clips) == [0, 1, 4]
    with pytest.warns(BadClipWarning):
        clf.predict_proba(X)
    assert list(clf.bad_clips_) == [0, 1, 4]


def test_bad_tracks_are_reported_once(tracks, tmp_path):
    paths, y = tracks
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"RIFF....WAVEfmt ")
    nan = tmp_path / "nan.wav"
    wave = tone(3, "rock")
    wave[-5] = np.nan  # found after two windows
    soundfile.write(nan, wave, RATE, subtype="FLOAT")
    X, labels = [damaged, *paths, nan], ["folk", *y, "folk"]
    with pytest.raises(BadClipError, match=r"damaged\.wav"):
        windowed().fit(X, labels)
    clf = windowed(on_error="warn")
    with pytest.warns(BadClipWarning, match="left out of the fit on 8 others") as caught:
        clf.fit(X, labels)
    assert len(caught) == 1
    assert list(clf.bad_clips_) == [0, 9]
    with pytest.warns(BadClipWarning, match="whose rows are NaN"):
        proba = clf.predict_proba(X)
    assert np.isnan(proba[[0, 9]]).all()
    np.testing.assert_array_equal(proba[1:9], windowed().fit(paths, y).predict_proba(paths))
    with pytest.raises(BadClipError, match="2 of 10"):
        clf.predict(X)
    with pytest.warns(BadClipWarning):
        assert clf.predict(X, missing="unknown").tolist() == ["unknown", *y, "unknown"]
    with pytest.warns(BadClipWarning, match="left out of the score"):
        assert clf.score(X, labels) == clf.score(paths, y)
    clf.predict(paths)
    assert clf.bad_clips_ == {}
    with pytest.raises(BadClipError, match="all 2 clips"):
        clf.fit([damaged, damaged], ["folk", "rock"])


def test_windows_have_weights_where_one_mixture_judges_them(tracks):
    paths, y = tracks
    clips = [tone(1.0, genre, seed=row) for row, genre in enumerate(y)]
    plain = mixture().fit(clips, y)
    calibrated = windowed(CalibratedClassifierCV(mixture(), cv=2)).fit(paths, y)
    of_frozen = windowed(CalibratedClassifierCV(FrozenEstimator(plain), cv=2)).fit(clips, y)
    # The mixture in here is fitted, but not what judges.
    template = CalibratedClassifierCV(plain, cv=2).fit(plain.extract(paths), y)
    of_template = windowed(FrozenEstimator(template))
    alone = windowed(FrozenEstimator(plain))
    judges = [(alone, True), (calibrated, False), (of_frozen, False), (of_template, False)]
    for clf, with_weights in judges:
        table = clf.predict_windows(paths[0])
        assert len(table.filter(like="weight").columns) == 2 * with_weights
        np.testing.assert_allclose(
            table[["folk", "rock"]].mean(), clf.predict_proba([paths[0]])[0], atol=1e-9
        )


def test_windows_are_those_of_one_track(tracks):
    paths, y = tracks
    clf = windowed().fit(paths, y)
    clips = [tone(1.0, "folk"), tone(2.0, "rock")]
    for several in (paths[:2], [paths[0]], np.array(clips[:1]), clips, None):
        with pytest.raises(ValueError, match=r"give one track, for example X\[0\]"):
            clf.predict_windows(several)


def test_a_fitted_estimator_runs_over_whole_tracks(tracks):
    paths, y = tracks
    clips = np.array([tone(1.0, genre, seed=row) for row, genre in enumerate(y)])
    fitted = mixture().fit(clips, y)
    clf = windowed(FrozenEstimator(fitted))
    assert clf.classes_.tolist() == ["folk", "rock"]
    assert clf.predict(paths).tolist() == y.tolist()  # without a fit
    before = clf.predict_proba(paths)
    clf.fit(["nowhere.wav"] * 8, y)  # reads nothing
    np.testing.assert_array_equal(clf.predict_proba(paths), before)
    assert clf.estimator_.estimator is fitted
    with pytest.raises(ValueError, match=r"set window=1\."):
        clone(clf).set_params(window=2.0).predict(paths)
    with pytest.raises(NotFittedError):
        windowed(FrozenEstimator(mixture())).predict(paths)


def test_the_window_is_what_a_fitted_estimator_heard(tracks):
    paths, y = tracks
    of_batch = mixture()
    of_batch.fit(of_batch.extract(paths), y)
    of_pipeline = make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert()).fit(paths, y)
    track = tone(4.0, "folk")[np.newaxis]
    for fitted in (of_batch, of_pipeline):
        for X in (paths, track):
            with pytest.raises(ValueError, match=r"window=2\.0 makes clips of 16000 .*window=1\."):
                windowed(FrozenEstimator(fitted), window=2.0).predict(X)
        assert windowed(FrozenEstimator(fitted)).predict(paths).tolist() == y.tolist()
    longer = make_pipeline(LogMelSpectrogram(**{**SIGNAL, "duration": 2.0}), quick_expert())
    mixed = MixtureOfExpertsClassifier([*of_batch.experts, ("longer", longer)], "balanced")
    with pytest.raises(ValueError, match=r"read \[1\.0, 2\.0\] s of each clip"):
        windowed(FrozenEstimator(mixed.fit(paths, y))).predict(paths)


def test_refusals(tracks):
    paths, y = tracks
    with pytest.raises(NotFittedError):
        windowed().predict(paths)
    assert not hasattr(windowed(), "classes_")
    with pytest.raises(TypeError, match="with predict_proba"):
        windowed(sklearn.linear_model.RidgeClassifier()).fit(paths, y)
    with pytest.raises(ValueError, match="can't be divided into windows"):
        windowed().fit(DomainBatch({"original": np.zeros((8, 4, 4))}), y)
    with pytest.raises(ValueError, match="single path"):
        windowed().fit(paths[0], y)
    for name, value in [("window", 0), ("hop", -1.0), ("aggregate", "max"), ("on_error", "no")]:
        with pytest.raises(ValueError, match=name):
            windowed(**{name: value}).fit(paths, y)
    clf = windowed().fit(paths, y)
    before = clf.predict_proba(paths)
    with pytest.raises(ValueError, match="one class"):
        clf.fit(paths, ["folk"] * 8)
    np.testing.assert_array_equal(clf.predict_proba(paths), before)  # the model of before


# As a part of scikit-learn.


def test_composes(tracks):
    paths, y = tracks
    groups = np.arange(8) // 2
    clf = windowed()
    assert cross_val_score(clf, paths, y, cv=GroupKFold(2), groups=groups).tolist() == [1, 1]
    grid = {"aggregate": ["mean", "vote"], "estimator__mixer": ["balanced", "log_pool"]}
    search = GridSearchCV(clf, grid, cv=GroupKFold(2)).fit(np.array(paths), y, groups=groups)
    assert search.best_score_ == 1
    copied = pickle.loads(pickle.dumps(clf.fit(paths, y)))
    np.testing.assert_array_equal(copied.predict_proba(paths), clf.predict_proba(paths))
    assert windowed(n_jobs=2).fit(paths, y).predict_proba(paths).tolist() == (
        clf.predict_proba(paths).tolist()
    )


def test_metadata_routing(tracks):
    paths, y = tracks
    weight = np.arange(1.0, 9)
    with sklearn.config_context(enable_metadata_routing=True):
        spy = Spy().set_fit_request(sample_weight=True, groups=True)
        clf = windowed(spy).set_fit_request(sample_weight=True)
        clf.fit(paths, y, sample_weight=weight)
        plain = windowed(Spy().set_fit_request(sample_weight=False, groups=False)).fit(paths, y)
    other = windowed(Spy()).fit(paths, y, sample_weight=weight)
    np.testing.assert_array_equal(clf.estimator_.weight_, other.estimator_.weight_)
    np.testing.assert_array_equal(clf.estimator_.groups_, other.estimator_.groups_)
    assert plain.estimator_.weight_ is None
    with pytest.raises(TypeError, match="unexpected arguments"):
        windowed(Spy()).fit(paths, y, other=weight)


def test_waveforms_of_several_windows():
    X = np.array([tone(3.0, genre, seed=row) for row, genre in enumerate(["folk", "rock"] * 3)])
    X[0, : 2 * RATE] = 0
    y = ["folk", "rock"] * 3
    clf = windowed().fit(X, y)
    assert clf.n_features_in_ == RATE
    assert clf.predict(X).tolist() == y
    assert clf.predict(X[:, : 2 * RATE][1:]).tolist() == y[1:]  # another number of windows
    assert clf.predict_windows(X[0])["folk"].isna().tolist() == [True, True, True, False, False]
    with pytest.raises(ValueError, match="features"):
        clf.predict(X[:, :5000])


@pytest.mark.parametrize("estimator", [DummyClassifier(), LogisticRegression(), GaussianNB()])
def test_tables_are_tables(estimator):
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = np.arange(20) % 2
    clf = WindowedClassifier(estimator).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), clone(estimator).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("kind", ["paths", "waveforms"])
def test_windows_are_as_long_as_they_say_whatever_the_domain_does(tracks, kind, tmp_path):
    paths, y = tracks
    waveforms = np.stack([tone(2, genre, seed=row) for row, genre in enumerate(y)])
    seen = set()

    def look(X):
        seen.add(np.shape(X)[1:])
        return np.asarray(X).mean(axis=2)

    domain = LogMelSpectrogram(sample_rate=RATE, n_fft=256, hop_length=128, n_mels=16)
    assert domain.duration == 30.0
    for memory in (None, str(tmp_path)):
        expert = make_pipeline(domain, FunctionTransformer(look), GaussianNB())
        clf = WindowedClassifier(
            MixtureOfExpertsClassifier([("a", expert)], "balanced", memory=memory),
            window=0.5,
            hop=0.25,
        )
        clf.fit(paths if kind == "paths" else waveforms, y)
        proba = clf.predict_proba(waveforms)
        assert proba.shape == (len(y), 2)
        clf.predict(paths)
    assert seen == {(16, 1 + RATE // 2 // 128)}
