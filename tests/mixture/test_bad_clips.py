"""Files that can't be used: reported once, left out of a fit, and never answered for."""

import numpy as np
import pytest
import soundfile
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    CNNMixer,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
)
from sklearn_genremoe.audio import BadClipError, BadClipWarning
from tests.mixture._clips import quick_expert

RATE = 8000
SIGNAL = {"sample_rate": RATE, "duration": 0.3, "n_fft": 256, "hop_length": 128, "n_mels": 16}
BAD = [3, 8]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Sixteen tones in two genres; one file is empty and one is text."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    y = np.array(["folk", "rock"])[np.arange(16) % 2]
    paths = []
    for row, genre in enumerate(y):
        tone = np.sin(2 * np.pi * (500 if genre == "folk" else 2000) * np.arange(2400) / RATE)
        path = folder / f"{row}.wav"
        soundfile.write(path, 0.3 * tone + 0.05 * rng.normal(size=2400), RATE)
        paths.append(str(path))
    (folder / "3.wav").write_bytes(b"")
    (folder / "8.wav").write_text("no audio at all, but long enough to look like something")
    return paths, y


def mixture(mixer="stacking", on_error="warn", **params):
    experts = [
        ("original", make_pipeline(LogMelSpectrogram(**SIGNAL), quick_expert())),
        ("harmonic", make_pipeline(HarmonicSpectrogram(**SIGNAL), quick_expert())),
    ]
    return MixtureOfExpertsClassifier(
        experts, mixer, **{"cv": 2, "random_state": 0, "on_error": on_error, **params}
    )


def gate():
    return CNNMixer(channels=(2,), max_epochs=1, device="cpu")


def others(*arrays):
    good = np.setdiff1d(np.arange(16), BAD)
    return [np.asarray(array)[good] for array in arrays]


def fit_warned(clf, *args, **kwargs):
    with pytest.warns(BadClipWarning) as caught:
        clf.fit(*args, **kwargs)
    assert len(caught) == 1
    return clf, str(caught[0].message)


def test_by_default_the_first_one_is_raised(clips):
    paths, y = clips
    with pytest.raises(BadClipError, match=r"3\.wav"):
        mixture(on_error="raise").fit(paths, y)


@pytest.mark.parametrize("mixer", ["stacking", "balanced", gate()], ids=["stacking", "mean", "cnn"])
@pytest.mark.parametrize("memory", [False, True], ids=["in memory", "mapped"])
def test_fit_leaves_them_out_with_all_that_belongs_to_them(clips, mixer, memory, tmp_path):
    paths, y = clips
    weight, groups = 1.0 + np.arange(16) % 3, np.arange(16) // 4
    kept = {"memory": tmp_path} if memory else {}
    clf, message = fit_warned(mixture(mixer, **kept), paths, y, sample_weight=weight, groups=groups)
    assert "2 bad clip(s), left out of the fit on 14 others (folk 1, rock 1)" in message
    assert f"row 3: {paths[3]}" in message
    assert f"row 8: {paths[8]}" in message
    assert list(clf.bad_clips_) == BAD
    good_paths, good_y, good_weight, good_groups = others(paths, y, weight, groups)
    clean = mixture(mixer, "raise").fit(good_paths, good_y, good_weight, good_groups)
    np.testing.assert_array_equal(clf.predict_proba(good_paths), clean.predict_proba(good_paths))
    assert clf.bad_clips_ == clean.bad_clips_ == {}


def test_rows_are_those_of_the_user_where_clips_without_weight_drop_out(clips):
    paths, y = clips
    weight = np.ones(16)
    weight[[0, 1, 8]] = 0
    clf, message = fit_warned(mixture(), paths, y, sample_weight=weight)
    assert list(clf.bad_clips_) == [3]
    assert "on 12 others (rock 1)" in message


def test_a_list_of_splits_counts_all_clips(clips):
    paths, y = clips
    half = [(np.arange(8), np.arange(8, 16)), (np.arange(8, 16), np.arange(-16, -8))]
    clf, _ = fit_warned(mixture(cv=iter(half)), paths, y)
    good_paths, good_y = others(paths, y)
    kept = [(np.arange(7), np.arange(7, 14)), (np.arange(7, 14), np.arange(7))]
    clean = mixture(cv=kept).fit(good_paths, good_y)
    np.testing.assert_array_equal(clf.predict_proba(good_paths), clean.predict_proba(good_paths))


def test_predictions_have_no_numbers_for_them(clips):
    paths, y = clips
    clf = mixture().fit(*others(paths, y))
    for method, shape in (
        ("predict_proba", (16, 2)),
        ("predict_log_proba", (16, 2)),
        ("expert_predict_proba", (16, 2, 2)),
        ("mixture_weights", (16, 2)),
        ("transform", (16, 4)),
    ):
        with pytest.warns(BadClipWarning, match="2 bad clip") as caught:
            values = getattr(clf, method)(paths)
        assert len(caught) == 1
        assert values.shape == shape
        rows = np.flatnonzero(np.isnan(values).reshape(16, -1).any(axis=1))
        np.testing.assert_array_equal(rows, BAD)
        assert list(clf.bad_clips_) == BAD


def test_predict_gives_no_answer_that_was_not_asked_for(clips):
    paths, y = clips
    clf = mixture().fit(*others(paths, y))
    with pytest.raises(BadClipError, match="missing=") as raised:  # a warning would be an error
        clf.predict(paths)
    assert paths[3] in str(raised.value)
    assert "row 8" in str(raised.value)
    with pytest.warns(BadClipWarning):
        answers = clf.predict(paths, missing="unknown")
    assert answers[BAD].tolist() == ["unknown"] * 2
    np.testing.assert_array_equal(others(answers)[0], clf.predict(others(paths)[0]))
    with pytest.warns(BadClipWarning, match="left out of the scores"):
        scores = clf.score_experts(paths, y)
    assert scores.loc["mixture", "accuracy"] == clf.score(*others(paths, y))


def test_nothing_but_bad_clips(clips):
    paths, y = clips
    clf = mixture().fit(*others(paths, y))
    with pytest.warns(BadClipWarning):
        assert np.isnan(clf.predict_proba([paths[3]])).all()
    with pytest.warns(BadClipWarning):
        assert clf.predict([paths[3]], missing="?").tolist() == ["?"]
    with pytest.raises(BadClipError, match="none can be used"):
        mixture().fit([paths[row] for row in (3, 8, 3, 8)], ["folk", "rock"] * 2)


def test_extracted_domains_keep_their_bad_clips(clips):
    paths, y = clips
    clf = mixture()
    with pytest.warns(BadClipWarning):
        batch = clf.extract(paths)
    assert list(batch.bad_clips) == BAD
    fitted, _ = fit_warned(clf, batch, y)
    assert fitted.score(batch[others(np.arange(16))[0]], others(y)[0]) > 0.5
    with pytest.raises(ValueError, match="on_error='warn'"):
        mixture(on_error="raise").fit(batch, y)


def test_too_few_are_left(clips):
    paths, y = clips
    rows = [3, 8, 0, 1, 2, 5]  # folk: 8 (bad), 0, 2; rock: 3 (bad), 1, 5
    with pytest.raises(ValueError, match="has 2 clip"), pytest.warns(BadClipWarning):
        mixture(cv=3).fit([paths[row] for row in rows], y[rows])
