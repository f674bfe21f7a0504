"""The picture of a clip is what the domains compute."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_genremoe import (
    AudioSetEmbedding,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
)
from sklearn_genremoe.audio import BadClipError
from sklearn_genremoe.datasets import load_mini_genres, make_genre_clips
from sklearn_genremoe.inspection import DomainDisplay
from tests._weights import N_FEATURES, write_small_weights

UNION = DomainUnion([("mel", LogMelSpectrogram()), ("modulation", ModulationSpectrogram())])


@pytest.fixture(scope="module")
def waveform():
    return make_genre_clips(2, 2, duration=2, random_state=0)[0][0]


def test_union_on_a_waveform(waveform):
    display = DomainDisplay.from_estimator(UNION, waveform)
    batch = UNION.transform(waveform[np.newaxis])
    for image, name in zip(display.images_, ["mel", "modulation"]):
        np.testing.assert_allclose(image.get_array(), batch[name][0])
    assert [axis.get_xlabel() for axis in display.ax_] == [
        "time in s",
        "modulation frequency in Hz",
    ]
    # Two seconds, and half the frame rate of 22,050 / 512 Hz.
    assert display.ax_[0].get_xlim()[1] == pytest.approx(2, abs=0.03)
    assert display.ax_[1].get_xlim()[1] == pytest.approx(21.53, abs=0.01)


def test_one_domain_on_a_path():
    path = load_mini_genres().data[0]
    figure, ax = plt.subplots()
    display = DomainDisplay.from_estimator(HarmonicSpectrogram(duration=2.0), path, ax=ax)
    assert display.figure_ is figure
    assert display.ax_.tolist() == [ax]
    assert list(display.spectrograms) == ["HarmonicSpectrogram"]


def test_frame(waveform):
    display = DomainDisplay.from_estimator(UNION, waveform)
    frame = display.frame()
    cells = display.spectrograms["modulation"]
    rows = frame[frame["domain"] == "modulation"]
    np.testing.assert_allclose(rows["value"].to_numpy().reshape(cells.shape), cells)
    row = rows[(rows["bin"] == 5) & (rows["frame"] == 7)]
    assert row["value"].item() == cells[5, 7]


def test_given_arrays_count_frames():
    display = DomainDisplay({"any": np.arange(12.0).reshape(3, 4)}).plot()
    assert display.ax_[0].get_xlabel() == "frame"
    assert display.ax_[0].get_xlim() == (0, 4)


def test_unusable(waveform):
    with pytest.raises(ValueError, match="1 axes for 2 domains; pass one for each"):
        DomainDisplay.from_estimator(UNION, waveform, ax=plt.subplots()[1])
    with pytest.raises(BadClipError, match=r"nowhere.ogg"):
        DomainDisplay.from_estimator(UNION, "nowhere.ogg")


def test_features_without_time_are_a_row(waveform, tmp_path):
    embedding = AudioSetEmbedding(write_small_weights(tmp_path / "mn01.pt"))
    union = DomainUnion([("mel", LogMelSpectrogram()), ("embedding", embedding)])
    display = DomainDisplay.from_estimator(union, waveform)
    assert display.images_[1].get_array().shape == (1, 2 * N_FEATURES)
    assert [axis.get_xlabel() for axis in display.ax_] == ["time in s", "feature"]
    frame = display.frame()
    rows = frame[frame["domain"] == "embedding"]
    np.testing.assert_array_equal(rows["value"], display.spectrograms["embedding"])
    assert set(rows["frame"]) == {0}
    DomainDisplay.from_estimator(embedding, waveform)
