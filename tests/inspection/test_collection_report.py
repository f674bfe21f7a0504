"""Reports on collections: numbers worked out by hand, planted faults found, bad input refused."""

import ast
import json
import re
import shutil
import subprocess
import sys
from html import unescape

import numpy as np
import pandas as pd
import pytest
import soundfile
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit, StratifiedGroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from sklearn_genremoe import MFCC, CNNMixer, MixtureOfExpertsClassifier, WindowedClassifier
from sklearn_genremoe.audio import BadClipWarning
from sklearn_genremoe.datasets import make_genre_clips
from sklearn_genremoe.domains import BaseDomain, DomainBatch, time_statistics
from sklearn_genremoe.inspection import (
    CollectionReport,
    apply_corrections,
    compare,
    save_audacity_labels,
    save_beets_changes,
    save_playlists,
)

CLASSES = ["folk", "rock"]
PROBA = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
Y = np.array(["folk", "folk", "rock", "rock", "rock", "rock"])


def experts(n=2):
    """Quick experts on audio."""
    domain = MFCC(duration=1.0, hop_length=2048)
    steps = FunctionTransformer(time_statistics), StandardScaler()
    return [
        (f"c{power}", make_pipeline(domain, *steps, LogisticRegression(C=10.0**-power)))
        for power in range(n)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 files of 3 genres, a copy of one as AIFF, and two that hold no sound."""
    folder = tmp_path_factory.mktemp("clips")
    X, y = make_genre_clips(24, duration=1.0, random_state=0)
    paths = []
    for row, clip in enumerate(X):
        paths.append(str(folder / f"{row:02}.wav"))
        soundfile.write(paths[-1], clip, 22050)
    copy = str(folder / "05.aiff")
    soundfile.write(copy, X[5], 22050)
    empty, text = str(folder / "empty.wav"), str(folder / "text.mp3")
    open(empty, "w").close()
    shutil.copyfile(__file__, text)
    y = np.concatenate([y, [y[5], y[0], y[1]]])
    return Bunch(data=[*paths, copy, empty, text], target=y, groups=np.arange(27) // 2)


@pytest.fixture(scope="module")
def report(folder):
    clf = MixtureOfExpertsClassifier(experts(), cv=2, random_state=0)
    with pytest.warns(BadClipWarning, match="2 bad clip"):
        return CollectionReport.from_cross_validation(clf, folder.data, folder.target, cv=3)


def given(**params):
    return CollectionReport.from_predictions(Y, PROBA, classes=CLASSES, **params)


def data_of(page):
    """Return what the page knows about the clips."""
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.S)[1])


# Numbers worked out by hand.


def test_label_issues_by_hand():
    # Thresholds: folk (0.9 + 0.8) / 2 = 0.85, rock (0.1 + 0.7 + 0.9 + 0.4) / 4 = 0.525.
    report = given()
    frame = report.frame()
    assert_allclose(frame["margin"], [0.8, 0.6, -0.8, 0.4, 0.8, -0.2])
    # Clip 5 is more likely folk, but below what clips of folk have.
    assert_array_equal(frame["issue"], [False, False, True, False, False, False])
    assert_array_equal(frame["suspicion"], [5, 4, 1, 3, 6, 2])  # by 0.9, 0.8, 0.1, 0.7, 0.9, 0.4
    assert report.label_issues().index.tolist() == [2]
    assert report.label_issues(3).index.tolist() == [2, 5, 3]


def test_scores_by_hand():
    scores = given().scores().loc["mixture", "value"]
    assert_allclose(scores["accuracy"], 4 / 6)
    assert_allclose(scores["balanced_accuracy"], (1 + 0.5) / 2)
    own = [0.9, 0.8, 0.1, 0.7, 0.9, 0.4]
    assert_allclose(scores["log_loss"], -np.log(own).mean())
    assert_allclose(scores["recall[rock]"], 0.5)
    assert_allclose(scores["precision[folk]"], 0.5)
    # Bins: 0.9 (clips 0, 2, 4: 2 of 3 right), 0.8, 0.7, 0.6 (wrong).
    error = (3 * abs(0.9 - 2 / 3) + 0.2 + 0.3 + 0.6) / 6
    assert_allclose(scores["calibration_error"], error)
    calibration = given().calibration()
    assert_allclose(calibration.attrs["expected_calibration_error"], error)
    assert_allclose(calibration["clips"], [1, 1, 1, 3])


def test_confusion_and_coverage():
    confusion = given().confusion()
    assert confusion.loc["rock", "folk"] == 2
    assert confusion.to_numpy().tolist() == [[2, 0], [2, 2]]
    coverage = given().coverage()
    assert_allclose(coverage["coverage"], np.arange(1, 7) / 6)
    assert_allclose(coverage["accuracy"], [1, 1 / 2, 2 / 3, 3 / 4, 4 / 5, 4 / 6])
    assert_allclose(coverage["threshold"], [0.9, 0.9, 0.9, 0.8, 0.7, 0.6])


def test_rejection_threshold():
    # Right are 0.9, 0.8, 0.7, 0.9: a quarter of them is below the quantile.
    assert_allclose(given().rejection_threshold(1 / 3), 0.8)
    with pytest.raises(ValueError, match="between 0 and 1"):
        given().rejection_threshold(0.0)


def test_intervals_draw_groups():
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.7, 10)  # clips of a group are right or wrong together
    proba = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    y = np.repeat("folk", 200)
    found = {}
    for name, groups in {"clips": None, "groups": np.repeat(np.arange(20), 10)}.items():
        report = CollectionReport.from_predictions(y, proba, classes=CLASSES, groups=groups)
        found[name] = report.scores().loc[("mixture", "accuracy")]
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    width = {name: part["high"] - part["low"] for name, part in found.items()}
    assert_allclose(width["groups"] / width["clips"], np.sqrt(10), rtol=0.15)
    assert_allclose(
        width["clips"], 2 * 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 200), rtol=0.1
    )


def test_flipped_labels_come_first():
    X, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    flipped = rng.choice(len(y), 18, replace=False)
    noisy = y.copy()
    noisy[flipped] = (y[flipped] + rng.integers(1, 3, 18)) % 3
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    report = CollectionReport.from_cross_validation(clf, X, noisy)
    found = report.label_issues(18).index
    assert len(set(found) & set(flipped)) >= 15
    assert set(report.frame()["predicted"]) == {0, 1, 2}


# From files.


def test_bad_clips_stay_as_rows(report, folder):
    frame = report.frame()
    assert len(frame) == 27
    assert_array_equal(np.flatnonzero(frame["error"] != ""), [25, 26])
    assert "empty.wav" in frame["error"][25]
    assert pd.isna(frame["predicted"][25])
    assert frame["suspicion"].isna().sum() == 2
    assert frame["clip"].tolist() == folder.data
    assert report.confusion().to_numpy().sum() == 25
    assert "2 clips can't be used." in report.summary()


def test_out_of_fold(folder):
    # The same as fitting on the other folds by hand.
    clf = MixtureOfExpertsClassifier(experts(), cv=2, random_state=0)
    good = np.arange(24)
    batch, y = clf.extract(folder.data[:24]), folder.target[:24]
    groups = folder.groups[:24]
    report = CollectionReport.from_cross_validation(clf, folder.data[:24], y, groups, cv=3)
    with parallel_config("threading"):
        again = CollectionReport.from_cross_validation(clf, batch, y, groups, cv=3, n_jobs=2)
    assert_array_equal(report.proba, again.proba)
    for train, test in StratifiedGroupKFold(3).split(good, y, groups):
        model = clf.fit(batch[train], y[train], groups=groups[train])
        assert_allclose(report.proba[test], model.predict_proba(batch[test]))
        assert_allclose(report.expert_proba[test], model.expert_predict_proba(batch[test]))
        assert_allclose(report.weights[test], model.mixture_weights(batch[test]))
    assert report.expert_names == ["c0", "c1"]
    assert "expert[c1]" in report.frame()


class Loudness(BaseDomain):
    """A domain that counts how many clips it has analysed."""

    clips = 0

    def features(self, analysis):
        Loudness.clips += 1
        return analysis.amplitude(1024, 512).mean(axis=1, keepdims=True)


def test_extracted_once(folder):
    statistics = FunctionTransformer(time_statistics)
    loudness = make_pipeline(Loudness(), statistics, StandardScaler(), GaussianNB())
    clf = MixtureOfExpertsClassifier([*experts(1), ("loudness", loudness)], cv=2)
    display = compare({"mixture": clf, "alone": loudness}, folder.data[:24], folder.target[:24])
    assert Loudness.clips == 24
    assert list(display.frame().index) == ["mixture", "alone"]


def test_gates_are_compared(folder):
    # They look at clips in domains that no expert has.
    seen = MFCC(duration=1.0, hop_length=1024)
    gates = {
        name: MixtureOfExpertsClassifier(
            experts(), CNNMixer(max_epochs=1), mixer_domain=seen, cv=2, random_state=0
        )
        for name in ("a", "b")
    }
    frame = compare(gates, folder.data[:24], folder.target[:24], cv=2).frame()
    assert frame.loc["b", "difference"] == 0.0


def test_pipeline_with_a_domain(folder):
    # Not a mixture, but extracted once all the same, and bad clips stay as rows.
    [(_, expert)] = experts(1)
    paths, y = [*folder.data[:9], folder.data[25]], [*folder.target[:9], folder.target[0]]
    with pytest.warns(BadClipWarning):
        report = CollectionReport.from_cross_validation(expert, paths, y, cv=2)
    assert np.isnan(report.proba).any(axis=1).tolist() == 9 * [False] + [True]
    assert report.expert_proba is None
    assert "expert" not in str(report.frame().columns)


def test_copies_and_similar(report, folder):
    pairs = report.duplicates()
    assert (5, 24) in pairs.index.tolist()
    assert pairs.loc[(5, 24), "same_genre"]
    nearest = report.similar(folder.data[24], 2)
    assert nearest["clip"].iloc[0] == folder.data[5]
    assert nearest["similarity"].iloc[0] > 0.95
    assert report.similar(24, 1).index.tolist() == [5]
    assert report.similar(np.int64(-3), 1).index.tolist() == [5]
    frame = report.frame()
    assert frame["duplicates"][24] == [folder.data[5]]
    assert frame["similar"][24][0] == folder.data[5]
    assert len(report.duplicates(1.1)) == 0
    for clip, message in (("nowhere.wav", "not in"), (99, "99"), (25, "can't be used")):
        with pytest.raises(ValueError, match=message):
            report.similar(clip)


def test_next_to_label(report, folder):
    X, _ = make_genre_clips(12, duration=1.0, random_state=1)
    X[7] = X[3]  # which teaches nothing new once the other is chosen
    chosen = report.next_to_label(X, 11)
    assert chosen.index.is_unique
    order = chosen.index.tolist()
    assert (3 in order) + (7 in order) == 1 or abs(order.index(3) - order.index(7)) > 3
    assert list(chosen.columns) == ["clip", "predicted", "probability", "margin"]
    with pytest.warns(BadClipWarning):
        named = report.next_to_label(folder.data[20:], 3)
    assert set(named["clip"]) <= set(folder.data[20:25])
    with pytest.raises(ValueError, match="from_cross_validation"):
        given().next_to_label(X)


def test_judge(report):
    X, _ = make_genre_clips(6, duration=1.0, random_state=3)
    noise = np.random.default_rng(0).normal(size=(4, X.shape[1])).astype(np.float32)
    answers = report.judge(np.vstack([X, noise]), 0.2)
    assert answers["refused"].tolist()[6:] == 4 * [True]
    assert answers["refused"][:6].sum() <= 3
    assert answers["distance"][6:].min() > 2 * answers["distance"][:6].max()
    assert_array_equal(answers.loc[:5, "predicted"], report.judge(X)["predicted"])


def test_judge_refuses_as_often_as_told():
    X, y = load_wine(return_X_y=True)
    batch = DomainBatch({"table": X})
    clf = MixtureOfExpertsClassifier(
        [("table", make_pipeline(StandardScaler(), LogisticRegression()))], "balanced"
    )
    report = CollectionReport.from_cross_validation(clf, batch, y)
    for share in (0.05, 0.1, 0.3):
        refused = report.judge(batch, share)["refused"].mean()
        assert share / 3 < refused < 1.5 * share
    far = report.judge(DomainBatch({"table": X * 3}), 0.05)
    assert far["refused"].all()
    # Without features, by the probability alone.
    plain = CollectionReport.from_cross_validation(GaussianNB(), X, y)
    answers = plain.judge(X, 0.2)
    assert answers["distance"].isna().all()
    unsure = answers["probability"] < plain.rejection_threshold(0.2)
    assert_array_equal(answers["refused"], unsure)
    assert plain.next_to_label(X, 5)["margin"].is_monotonic_increasing


def test_windowed_classifier_and_plain_arrays():
    X, y = make_genre_clips(12, 2, duration=1.0, random_state=0)
    windowed = WindowedClassifier(experts(1)[0][1], window=1.0, hop=1.0)
    report = CollectionReport.from_cross_validation(windowed, X, y, cv=2)
    assert not np.isnan(report.proba).any()
    with pytest.raises(ValueError, match="features"):
        report.similar(0)


def test_entries_made_by_hand(folder):
    X = np.random.default_rng(0).random((24, 8, 12)).astype(np.float32)
    batch = DomainBatch({"a": X, "b": X[:, ::-1]})
    statistics = FunctionTransformer(time_statistics)
    steps = [(name, make_pipeline(statistics, GaussianNB())) for name in "ab"]
    clf = MixtureOfExpertsClassifier(steps, "log_pool", cv=2)
    report = CollectionReport.from_cross_validation(clf, batch, folder.target[:24], cv=2)
    assert report.features.shape == (24, 16)
    assert_allclose(
        report.features[:, :8],
        X.mean(axis=2) if report.feature_entries == ["a"] else X[:, ::-1].mean(axis=2),
        rtol=1e-5,
    )


def test_rows_that_a_table_lacks(folder):
    rng = np.random.default_rng(0)
    table = rng.random((24, 3))
    table[[2, 7]] = np.nan
    batch = DomainBatch({"own": table}, paths=folder.data[:24])
    clf = MixtureOfExpertsClassifier([("own", GaussianNB())], "log_pool")
    with pytest.warns(BadClipWarning, match="2 bad clip.*not judged") as caught:
        report = CollectionReport.from_cross_validation(clf, batch, folder.target[:24], cv=2)
    assert len(caught) == 1
    assert sorted(report.errors) == [2, 7]
    assert "the entry 'own'" in report.errors[7]
    assert report.paths == folder.data[:24]
    with pytest.warns(BadClipWarning, match="2 bad clip"):
        display = compare({"a": clf, "b": clf}, batch, folder.target[:24], cv=2)
    assert display.frame()["difference"].iloc[1] == 0


def test_most_frequent_genre_of_all_clips(report, folder):
    y = folder.target[:25]
    assert report.scores().loc[("most frequent genre", "accuracy"), "value"] == pytest.approx(
        np.unique(y, return_counts=True)[1].max() / 25
    )


# Refused.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": Y[:5], "proba": PROBA}, "inconsistent numbers"),
        ({"y": Y, "proba": PROBA * 2}, "sum to one"),
        ({"y": Y, "proba": PROBA, "classes": ["folk", "jazz"]}, "rock"),
        ({"y": Y, "proba": PROBA, "classes": ["folk", "rock", "x"]}, "one genre for each"),
        ({"y": None, "proba": PROBA}, "name the genre"),
        ({"y": Y, "proba": PROBA, "groups": [1, 2]}, "groups has 2"),
        ({"y": Y, "proba": PROBA, "paths": ["a"]}, "1 paths for 6"),
        ({"y": Y, "proba": PROBA, "expert_proba": PROBA}, "n_experts"),
        ({"y": Y, "proba": PROBA, "features": np.ones((2, 2))}, "inconsistent numbers"),
    ],
)
def test_from_predictions_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        CollectionReport.from_predictions(**arguments)


def test_from_cross_validation_refuses(folder):
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match=r"tests \d+ of 178 clips never"):
        CollectionReport.from_cross_validation(GaussianNB(), X, y, cv=ShuffleSplit(2))
    with pytest.raises(ValueError, match="1 paths for 178 clips"):  # before any fit
        CollectionReport.from_cross_validation("no estimator", X, y, paths=["a.ogg"])
    clf = MixtureOfExpertsClassifier(experts(), cv=2)
    with pytest.warns(BadClipWarning), pytest.raises(ValueError, match="none of the 4 clips"):
        CollectionReport.from_cross_validation(
            clf, folder.data[25:] * 2, ["a", "b", "a", "b"], cv=2
        )
    few = MixtureOfExpertsClassifier([("a", GaussianNB())], "stacking", cv=9)
    with pytest.raises(ValueError, match="fewer than the 9 folds") as error:
        CollectionReport.from_cross_validation(few, DomainBatch({"a": X[:24]}), folder.target[:24])
    assert "of 24 clips: one fold is held out" in error.value.__notes__[0]


def test_columns_of_a_frame_in_any_order():
    proba = pd.DataFrame(PROBA[:, ::-1], columns=["rock", "folk"])
    report = CollectionReport.from_predictions(Y, proba)
    assert_array_equal(report.classes, CLASSES)
    assert_array_equal(report.frame()["margin"], given().frame()["margin"])


def test_without_labels():
    report = CollectionReport.from_predictions(None, PROBA, classes=CLASSES, paths=list("abcdef"))
    assert report.summary() == ["6 clips of 2 genres.", "Predicted: folk 4, rock 2."]
    assert list(report.frame()) == ["clip", "predicted", "proba_predicted", "margin", "error"]
    for method in ("label_issues", "scores", "confusion", "calibration", "coverage"):
        with pytest.raises(ValueError, match="no labels"):
            getattr(report, method)()
    assert "<li>" in report._repr_html_()


@pytest.mark.parametrize("n_usable", [0, 1, 2])
def test_few_clips_to_compare(n_usable, tmp_path):
    proba = PROBA.copy()
    proba[n_usable:] = np.nan
    features = np.random.default_rng(0).normal(size=(6, 4))
    report = CollectionReport.from_predictions(Y, proba, classes=CLASSES, features=features)
    assert len(report.frame()) == 6
    assert len(report.duplicates(-1.0)) == (n_usable == 2)
    report.save(tmp_path / "report.html")


@pytest.mark.parametrize("labels", [[False, True], [2, 7], [1.0, 2.0]])
def test_labels_that_are_no_text(labels, tmp_path):
    y = np.array(labels)[[0, 0, 1, 1, 1, 1]]
    report = CollectionReport.from_predictions(y, PROBA, classes=labels)
    said = f"Most often {labels[1]} is taken for {labels[0]} (2 of 4 clips)."
    assert said in report.summary()
    report.save(tmp_path / "report.html")


def test_no_clip_usable():
    report = CollectionReport.from_predictions(Y, PROBA * np.nan, classes=CLASSES)
    assert report.summary() == ["6 clips of 2 genres.", "6 clips can't be used."]
    assert len(report.frame()) == 6


# Figures.


@pytest.mark.parametrize("what", ["scores", "confusion", "calibration", "coverage"])
def test_plots(what):
    ax = given(groups=[0, 0, 1, 1, 2, 2]).plot(what)
    assert ax.get_xlabel()
    assert given().plot(what, ax=ax) is ax


def test_plotted_numbers():
    ax = given().plot("coverage")
    assert_allclose(ax.lines[0].get_ydata(), given().coverage()["accuracy"])
    texts = [text.get_text() for text in given().plot("confusion").texts]
    assert texts == ["2", "0", "2", "2"]


# The comparison.


def test_compare():
    X, y = load_wine(return_X_y=True)
    groups = np.arange(len(y)) // 3
    good = make_pipeline(StandardScaler(), GaussianNB())
    display = compare({"chance": DummyClassifier(strategy="prior"), "good": good}, X, y, groups)
    frame = display.frame()
    assert frame.loc["good", "accuracy"] > 0.9
    difference = frame.loc["good", "accuracy"] - frame.loc["chance", "accuracy"]
    assert_allclose(frame.loc["good", "difference"], difference)
    assert frame.loc["good", "difference_low"] < difference < frame.loc["good", "difference_high"]
    assert frame.loc["good", "mcnemar"] < 1e-6
    assert np.isnan(frame.loc["chance", "difference"])
    axes = display.plot().ax_
    assert [ax.get_xlabel() for ax in axes] == ["accuracy", "difference from chance"]
    with pytest.raises(ValueError, match="at least two"):
        compare({"good": good}, X, y)


def test_mcnemar_by_hand():
    from sklearn_genremoe.inspection._statistics import mcnemar

    first = np.array([True] * 10 + [False] * 2)
    second = np.array([True] * 4 + [False] * 6 + [True] * 1 + [False])
    # 6 against 1 of 7 coins: 2 * (1 + 7) / 128.
    assert_allclose(mcnemar(first, second), 16 / 128)
    assert mcnemar(first, first) == 1.0


# Corrections and exports.


def test_apply_corrections(tmp_path):
    file = tmp_path / "corrections.csv"
    file.write_text(
        'clip,genre,verdict,corrected\r\n"a,1.ogg",folk,wrong,rock\r\nb.ogg,rock,right,rock\r\n'
        "c.ogg,rock,leave out,\r\n",
        encoding="utf-8",
    )
    clips = Bunch(
        data=np.array(["a,1.ogg", "b.ogg", "c.ogg", "d.ogg"]),
        target=np.array(["folk", "rock", "rock", "folk"]),
        target_names=np.array(["folk", "rock"]),
        groups=np.arange(4),
        metadata={"artist": list("wxyz")},
        palette=np.zeros((2, 3)),
    )
    corrected = apply_corrections(clips, file)
    assert corrected.target.tolist() == ["rock", "rock", "folk"]
    assert corrected.data.tolist() == ["a,1.ogg", "b.ogg", "d.ogg"]
    assert corrected.groups.tolist() == [0, 1, 3]
    assert corrected.metadata["artist"].tolist() == ["w", "x", "z"]
    assert corrected.palette.shape == (2, 3)
    assert corrected.changes == [("a,1.ogg", "folk", "rock"), ("c.ogg", "rock", None)]
    assert clips.target.tolist() == ["folk", "rock", "rock", "folk"]


def test_apply_corrections_to_numbers(tmp_path):
    file = tmp_path / "corrections.csv"
    file.write_text("clip,genre,verdict,corrected\nclip 1,3,wrong,2\n")
    clips = Bunch(data=np.zeros((3, 8)), target=np.array([2, 3, 2]))
    corrected = apply_corrections(clips, file)
    assert corrected.target.tolist() == [2, 2, 2]
    assert corrected.target.dtype.kind == "i"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("z.ogg,folk,right,folk", "line 2: z.ogg is none of"),
        ("a.ogg,rock,right,rock", "labelled rock in the report and is labelled folk now"),
        ("a.ogg,folk,wrong,", "right label"),
        ("a.ogg,folk,perhaps,rock", "perhaps"),
        ("a.ogg,folk,right,folk\na.ogg,folk,right,folk", "twice"),
    ],
)
def test_apply_corrections_refuses(tmp_path, line, message):
    file = tmp_path / "corrections.csv"
    file.write_text(f"clip,genre,verdict,corrected\n{line}\n")
    clips = Bunch(data=["a.ogg"], target=["folk"])
    with pytest.raises(ValueError, match=message):
        apply_corrections(clips, file)
    file.write_text("path;genre\n")
    with pytest.raises(ValueError, match="columns"):
        apply_corrections(clips, file)


@pytest.mark.parametrize("content", [b"", b'clip,genre,verdict,corrected\n"a.ogg,', b"\xe9"])
def test_apply_corrections_says_which_file_is_no_table(tmp_path, content):
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(ValueError, match="mine is no table of UTF-8 text"):
        apply_corrections(Bunch(data=["a.ogg"], target=["folk"]), tmp_path / "mine")


def test_playlists(tmp_path):
    paths = [str(tmp_path / "music" / name) for name in ("a.ogg", "b.ogg", "ä.ogg", "d.ogg")]
    files = save_playlists(
        paths, ["folk", "folk", "drum/bass", "folk"], [0.85, 0.95, 0.5, np.nan], tmp_path / "lists"
    )
    assert [file.name for file in files] == ["drum_bass (unsure).m3u8", "folk (sure).m3u8"]
    lines = files[1].read_text(encoding="utf-8").splitlines()
    assert lines == [
        "#EXTM3U",
        "#EXTINF:-1,95 % b.ogg",
        "../music/b.ogg",
        "#EXTINF:-1,85 % a.ogg",
        "../music/a.ogg",
    ]
    with pytest.raises(ValueError, match="inconsistent numbers"):
        save_playlists(paths, ["folk"], [1.0], tmp_path)


def test_changes_for_beets(tmp_path):
    paths = ["/m/a b.ogg", '/m/it\'s "x".ogg', "/m/c.ogg", "/m/unsure.ogg", "/m/bad.ogg"]
    genres = ["folk", "hip hop", "folk", "folk", None]
    file = save_beets_changes(
        paths, genres, [0.8, 0.9, 0.95, 0.79, np.nan], tmp_path / "changes.txt", field="genre"
    )
    run = ["xargs", "-L", "1", sys.executable, "-c", "import sys; print(sys.argv[1:])"]
    commands = subprocess.run(run, input=file.read_bytes(), capture_output=True, check=True)
    assert [ast.literal_eval(line) for line in commands.stdout.decode().splitlines()] == [
        ["genre=folk", "path:/m/c.ogg", ",", "path:/m/a b.ogg"],
        ["genre=hip hop", 'path:/m/it\'s "x".ogg'],
    ]
    save_beets_changes([f"/m/{row}.ogg" for row in range(150)], ["a"] * 150, [1.0] * 150, file)
    assert [line.count("path:") for line in file.read_text().splitlines()] == [100, 50]


def test_audacity_labels(tmp_path):
    windows = pd.DataFrame(
        {
            "start": [0.0, 15.0],
            "end": [30.0, 45.0],
            "folk": [0.25, np.nan],
            "rock": [0.75, np.nan],
            "weight[a]": [1.0, np.nan],
        }
    )
    file = save_audacity_labels(windows, tmp_path / "labels.txt")
    assert file.read_text() == "0.000000\t30.000000\trock, 0.75\n"
    with pytest.raises(ValueError, match="predict_windows"):
        save_audacity_labels(windows[["folk"]], file)


# The page.


def test_page(report, folder, tmp_path):
    page = report.save(tmp_path / "report.html", command="train clips/ <now>")
    text = page.read_text(encoding="utf-8")
    data = data_of(page)
    assert data["genres"] == report.classes.tolist()
    assert data["clips"]["error"][25]
    assert [5, 24] in [pair[:2] for pair in data["pairs"]]
    for line in report.summary():
        assert line in unescape(text)
    assert "train clips/ &lt;now&gt;" in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    link = data["clips"]["link"][0]
    assert (tmp_path / link).resolve() == (tmp_path / folder.data[0]).resolve()


NASTY = "</script><script>alert(1)</script>"


def test_planted_names_do_nothing(tmp_path):
    classes = [NASTY, "<img src=x onerror=alert(2)>"]
    report = CollectionReport.from_predictions(
        np.array(classes)[[0, 0, 1, 1, 1, 1]],
        PROBA,
        classes=classes,
        paths=[f"{NASTY}/{row}.ogg" for row in range(6)],
        groups=[NASTY] * 3 + ["&"] * 3,
        expert_proba=PROBA[:, np.newaxis],
        expert_names=[NASTY],
    )
    page = report.save(tmp_path / "report.html", command=NASTY)
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == 3  # those of the page itself
    assert "<img" not in text
    assert data_of(page)["genres"] == sorted(classes)
    assert "<script>" not in report._repr_html_()


def test_names_that_are_not_utf8(tmp_path):
    paths = [f"a\udcff{row}.ogg" for row in range(6)]
    page = given(paths=paths).save(tmp_path / "report.html")
    data = data_of(page)
    assert data["clips"]["name"] == paths
    assert "%FF0.ogg" in data["clips"]["link"][0]


def test_embedded_sound(report, tmp_path):
    page = report.save(tmp_path / "report.html", embed=True)
    sounds = data_of(page)["sounds"]
    assert len(sounds) == 25  # but for the two that can't be decoded
    assert sounds["0"].startswith("data:audio/ogg;base64,")


def test_ten_thousand_clips(tmp_path):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(8), 10_000)
    classes = [f"genre {index}" for index in range(8)]
    report = CollectionReport.from_predictions(
        np.array(classes)[rng.integers(8, size=10_000)],
        proba,
        classes=classes,
        paths=[
            f"/music/archive/artist {row % 500}/album/track {row:05}.flac" for row in range(10_000)
        ],
        groups=[f"artist {row % 500}" for row in range(10_000)],
        features=rng.normal(size=(10_000, 16)),
    )
    page = report.save(tmp_path / "report.html")
    assert page.stat().st_size < 20e6
