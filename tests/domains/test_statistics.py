"""The numbers that sum up a spectrogram."""

import numpy as np
import pytest
import torch
from scipy.linalg import logm

from sklearn_genremoe import MFCC, HarmonicSpectrogram, LogMelSpectrogram, PercussiveSpectrogram
from sklearn_genremoe.domains import (
    SpectralStatistics,
    covariance_statistics,
    modulation_statistics,
    time_statistics,
)

BOTH = pytest.mark.parametrize("statistics", [time_statistics, modulation_statistics])


def test_mean_deviation_and_change_of_each_bin():
    X = np.array([[[1.0, 3.0, 1.0, 3.0], [0.0, 1.0, 2.0, 3.0]]])
    # The first bin alternates: differences 2, -2, 2. The second one rises evenly.
    np.testing.assert_allclose(
        time_statistics(X),
        [[2.0, 1.5, 1.0, np.sqrt(1.25), np.std([2, -2, 2]), 0.0]],
    )


def test_percentiles_of_each_bin():
    X = np.random.default_rng(0).normal(size=(2, 3, 50))
    found = time_statistics(X, percentiles=[0, 50, 100])
    np.testing.assert_array_equal(found[:, :9], time_statistics(X))
    expected = np.hstack([X.min(axis=2), np.median(X, axis=2), X.max(axis=2)])
    np.testing.assert_allclose(found[:, 9:], expected)


@BOTH
@pytest.mark.parametrize("convert", [list, torch.as_tensor, np.asfortranarray])
def test_takes_what_estimators_take(convert, statistics):
    X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(statistics(convert(X)), statistics(X))


@BOTH
def test_a_map_stays_on_disk(tmp_path, statistics):
    X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(statistics(mapped), statistics(X))


def test_a_single_frame_does_not_change():
    np.testing.assert_array_equal(time_statistics([[[2.0], [5.0]]]), [[2, 5, 0, 0, 0, 0]])


@BOTH
@pytest.mark.parametrize("shape", [(3, 4), (4,), (3, 4, 0), (3, 0, 4), (1, 3, 4, 5)])
def test_other_shapes_are_refused(shape, statistics):
    expected = f"{statistics.__name__} expects spectrograms of shape"
    with pytest.raises(ValueError, match=expected):
        statistics(np.zeros(shape))


@BOTH
@pytest.mark.parametrize("shape", [(0, 128, 20), (2, 1, 1), (2, 3, 2), (2, 40, 7), (1, 128, 1)])
def test_any_size_gives_numbers(shape, statistics):
    found = statistics(np.random.default_rng(0).normal(size=shape))
    assert len(found) == shape[0]
    assert found.shape[1] == statistics(np.ones((1, shape[1], 50))).shape[1]
    assert np.isfinite(found).all()


# Modulations: 4 rates (of 3, 6, 12, 24 frames), 10 scales, 16 groups of bins.

RATES = (3, 6, 12, 24)
SCALES = (0, 32, -32, 16, -16, 8, -8, 4, -4, 2)  # 0: all bins alike; upwards, downwards


def strength_of(X):
    """Return how strong the modulations are, (n_rates, n_scales, n_groups)."""
    return modulation_statistics(X[np.newaxis])[0, :640].reshape(4, 10, 16)


def ripple(period, scale, n_bins=128, n_frames=240):
    """Return a sine that moves in time, upwards where the scale is positive."""
    phase = np.arange(n_frames) / period
    if scale:
        phase = phase - np.arange(n_bins)[:, np.newaxis] / scale
    return np.broadcast_to(np.cos(2 * np.pi * phase), (n_bins, n_frames))


@pytest.mark.parametrize("period", RATES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_ripple_is_found_where_it_is(period, scale):
    found = strength_of(ripple(period, scale)).mean(axis=2)
    rate, which = np.unravel_index(found.argmax(), found.shape)
    assert (RATES[rate], SCALES[which]) == (period, scale)


def test_a_register_that_pulses_is_found_in_its_bins():
    X = np.random.default_rng(0).normal(scale=0.01, size=(128, 240))
    X[80:88] += ripple(6, 0)[80:88]  # the group 10 of 16
    assert strength_of(X)[1, 0].argmax() == 10


def test_loudness_and_colour_are_no_modulations():
    X = np.random.default_rng(0).normal(size=(1, 128, 240))
    colour = np.linspace(-3, 3, 128)[:, np.newaxis]
    expected = modulation_statistics(X)
    np.testing.assert_allclose(modulation_statistics(X + colour), expected, atol=2e-3)
    np.testing.assert_allclose(modulation_statistics(2 * X), expected, atol=0.02)


def test_a_burst_varies_more_than_a_pulse_that_goes_on():
    pulse = ripple(6, 0)
    burst = np.where(np.arange(240) < 60, pulse, 0)
    varies = [
        modulation_statistics(X[np.newaxis])[0, 640:].reshape(4, 10, 16) for X in (pulse, burst)
    ]
    assert (varies[1][1, 0] > varies[0][1, 0] + 1).all()


def test_clips_do_not_depend_on_each_other():
    X = np.random.default_rng(0).normal(size=(3, 128, 50))
    together = modulation_statistics(X)
    for clip, expected in zip(X, together):
        np.testing.assert_array_equal(modulation_statistics(clip[np.newaxis])[0], expected)


def test_covariances_against_a_plain_matrix_logarithm():
    rng = np.random.default_rng(0)
    harmonic, percussive = rng.normal(size=(2, 1, 64, 300))
    mfcc = rng.normal(scale=20, size=(1, 60, 300))
    rows = np.concatenate(
        [harmonic[0].reshape(32, 2, -1).mean(1), percussive[0].reshape(32, 2, -1).mean(1),
         mfcc[0, :20] / 20]
    )  # fmt: skip
    covariance = np.cov(rows, bias=True)
    covariance += (np.trace(covariance) / 84 / 100 + 1e-6) * np.eye(84)
    found = covariance_statistics(harmonic, percussive, mfcc)[0]
    np.testing.assert_allclose(found[:84], rows.mean(axis=1))
    upper = logm(covariance)[np.triu_indices(84)]
    weights = np.where(np.equal(*np.triu_indices(84)), 1, np.sqrt(2))
    np.testing.assert_allclose(found[84:], weights * upper, atol=1e-9)
    # So that distances are those of the matrices.
    np.testing.assert_allclose(np.linalg.norm(found[84:]), np.linalg.norm(logm(covariance)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (40, 1)])
def test_covariances_of_any_size(shape):
    X = np.zeros((2, *shape))
    assert np.isfinite(covariance_statistics(X, X, X)).all()
    with pytest.raises(ValueError, match="covariance_statistics expects spectrograms of shape"):
        covariance_statistics(X, X[0], X)


def test_spectral_statistics_of_clips():
    waveforms = np.random.default_rng(0).normal(scale=0.1, size=(2, 2 * 22050))
    waveforms[1, :22050] = 0.1 * np.sin(np.arange(22050))
    signal = {"n_fft": 2048, "hop_length": 1707, "n_mels": 128}
    original = LogMelSpectrogram(**signal).transform(waveforms)
    modulation = SpectralStatistics().transform(waveforms)
    np.testing.assert_allclose(modulation, modulation_statistics(original), rtol=1e-5, atol=1e-6)
    expected = covariance_statistics(
        HarmonicSpectrogram(**signal, kernel_size=(9, 63)).transform(waveforms),
        PercussiveSpectrogram(**signal, kernel_size=(9, 63)).transform(waveforms),
        MFCC(**signal, normalize=None).transform(waveforms),
    )
    covariance = SpectralStatistics(kind="covariance").transform(waveforms)
    np.testing.assert_allclose(covariance, expected, rtol=1e-4, atol=1e-4)
