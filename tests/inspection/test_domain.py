"""The picture of a clip is what the domains compute."""

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB

from sklearn_genremoe import (
    MFCC,
    AudioSetEmbedding,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    WindowedClassifier,
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
    # In the unit of the domain, whose deviation from one clip to the next the experts don't see.
    for image, (_, domain) in zip(display.images_, UNION.domains):
        cells = clone(domain).set_params(normalize=None).transform(waveform[np.newaxis])[0]
        np.testing.assert_allclose(image.get_array(), cells)
    assert [axis.get_xlabel() for axis in display.ax_] == [
        "time in s",
        "modulation frequency in Hz",
    ]
    # Two seconds, and half the frame rate of 22,050 / 512 Hz, less than a column before which the
    # last one ends.
    assert display.ax_[0].get_xlim()[1] == pytest.approx(2, abs=0.03)
    assert display.ax_[1].get_xlim()[1] == pytest.approx(21.53, abs=0.5)
    for axis, image in zip(display.ax_, display.images_):  # nothing is left white
        assert axis.get_xlim() == pytest.approx(tuple(image.get_extent()[:2]))


def test_one_domain_on_a_path():
    path = load_mini_genres().data[0]
    figure, ax = plt.subplots()
    display = DomainDisplay.from_estimator(HarmonicSpectrogram(duration=2.0), path, ax=ax)
    assert display.figure_ is figure
    assert display.ax_.tolist() == [ax]
    assert list(display.spectrograms) == ["HarmonicSpectrogram"]


def places(image):
    """Return left and right end of each column."""
    left, right, _, _ = image.get_extent()
    edges = np.linspace(left, right, image.get_array().shape[1] + 1)
    return edges[:-1], edges[1:]


@pytest.mark.parametrize("drop_dc", [True, False])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("seconds", [4, 5, 7.3])
def test_modulations_are_drawn_where_they_are(drop_dc, scale, seconds):
    time = np.arange(round(seconds * 22050)) / 22050
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, len(time))
    domain = ModulationSpectrogram(drop_dc=drop_dc, scale=scale)
    for frequency in (2.0, 5.0, 12.0):
        pulsing = (1 + np.sin(2 * np.pi * frequency * time)) * noise
        (image,) = DomainDisplay.from_estimator(domain, pulsing).images_
        strength = image.get_array().mean(axis=0)
        strongest = 4 + np.argmax(strength[4:])
        left, right = places(image)
        width = right[0] - left[0]
        assert left[strongest] - width / 2 <= frequency <= right[strongest] + width / 2
        centres = (left + right) / 2
        assert centres[0] == pytest.approx(width if drop_dc else 0)
        assert abs(centres[strongest] - frequency) <= 0.55 * width
        plt.close("all")


def test_time_is_that_of_the_file(tmp_path):
    clicks = np.zeros(6 * 22050)
    clicks[round(4.5 * 22050)] = 1.0
    soundfile.write(tmp_path / "a.wav", clicks, 22050)
    for domain in (LogMelSpectrogram(offset=3.5, duration=2.0), MFCC(offset=3.5, duration=2.0)):
        display = DomainDisplay.from_estimator(domain, tmp_path / "a.wav")
        (image,) = display.images_
        loud = np.abs(np.diff(image.get_array()[0])).argmax()
        assert abs(places(image)[0][loud] - 4.5) < 0.06
        assert display.ax_[0].get_xlim() == pytest.approx((3.5, 5.5), abs=0.03)
        of_array = DomainDisplay.from_estimator(domain, clicks)
        assert of_array.ax_[0].get_xlim() == pytest.approx((0, 6), abs=0.03)


def test_axes_say_what_they_are(waveform):
    domains = [
        ("mel", LogMelSpectrogram()),
        ("raw", PercussiveSpectrogram(normalize=None)),
        ("bins", LogMelSpectrogram(normalize="bin")),
        ("linear", ModulationSpectrogram()),
        ("log", ModulationSpectrogram(scale="log")),
        ("mfcc", MFCC()),
    ]
    display = DomainDisplay.from_estimator(DomainUnion(domains), waveform)
    assert [axis.get_ylabel() for axis in display.ax_] == ["frequency in Hz"] * 5 + ["coefficient"]
    bars = [image.colorbar.ax.get_ylabel().split("\n")[0] for image in display.images_]
    assert bars == ["dB", "dB", "deviations from", "magnitude", "dB", "deviations from"]
    marks = dict(
        zip((t.get_text() for t in display.ax_[0].get_yticklabels()), display.ax_[0].get_yticks())
    )
    centres = librosa.mel_frequencies(98, fmin=0, fmax=11025)[1:-1]
    for text, place in marks.items():
        assert centres[round(place - 0.5)] == pytest.approx(float(text.replace(",", "")), rel=0.05)


def test_bar_is_in_decibels(waveform):
    (image,) = DomainDisplay.from_estimator(LogMelSpectrogram(), waveform).images_
    decibels = LogMelSpectrogram(normalize=None).transform(waveform[np.newaxis])[0]
    np.testing.assert_allclose(image.get_array(), decibels)
    assert image.colorbar.ax.get_ylabel() == "dB"


def test_each_coefficient_has_its_own_scale(waveform):
    (image,) = DomainDisplay.from_estimator(MFCC(), waveform).images_
    np.testing.assert_allclose(image.get_array().mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(image.get_array().std(axis=1), 1, atol=1e-6)
    low, high = image.get_clim()
    assert -4 < low < -1 < 1 < high < 4


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
    for several in (["a.ogg", "b.ogg"], waveform[np.newaxis], [waveform, waveform[1:]], None):
        with pytest.raises(ValueError, match=r"give one clip, for example X\[0\]"):
            DomainDisplay.from_estimator(UNION, several)
    for estimator in (WindowedClassifier(GaussianNB()), MixtureOfExpertsClassifier()):
        with pytest.raises(TypeError, match="is no feature domain; pass one, such as"):
            DomainDisplay.from_estimator(estimator, waveform)


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
