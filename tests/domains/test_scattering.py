"""Joint time-frequency scattering against convolutions that are written out."""

import numpy as np
import pytest

from sklearn_genremoe import DomainUnion, LogMelSpectrogram, TimeFrequencyScattering
from sklearn_genremoe.domains import (
    HarmonicSpectrogram,
    PercussiveSpectrogram,
    _analysis,
    modulation_statistics,
    time_frequency_scattering,
)

RATES = (3, 6, 12, 24)
SCALES = (0, 32, -32, 16, -16, 8, -8, 4, -4, 2)  # 0: all bins alike; upwards, downwards
BANDWIDTH = 0.4


def modulation_in_time(rows, period, times):
    """Convolve rows with a Gabor filter, around the circle, and look at some times."""
    n_frames = rows.shape[1]
    frequencies = np.arange(1, n_frames // 2 + 1) / n_frames
    weights = np.exp(-0.5 * ((frequencies * period - 1) / BANDWIDTH) ** 2)
    away = times[:, np.newaxis] - np.arange(n_frames)
    waves = np.exp(2j * np.pi * frequencies * away[:, :, np.newaxis])
    return rows @ (waves @ weights / n_frames).T


def plain_magnitudes(x):
    """Yield the magnitudes of 16 groups of bins by rate and scale, at the times of the kernel."""
    n_bins, n_frames = x.shape
    for period in RATES:
        n_times = min(n_frames // 2 + 1, -(-4 * n_frames // period))
        in_time = modulation_in_time(x, period, np.arange(n_times) * n_frames / n_times)
        for scale in SCALES:
            width = abs(scale) or np.inf
            sigma = min(width / (2 * np.pi * BANDWIDTH), 10)
            step = int(min(max(width / 2, 2), n_bins // 16))
            found = []
            for centre in np.arange((step - 1) / 2, n_bins, step):
                away = np.arange(n_bins) - centre
                gabor = np.exp(-0.5 * (away / sigma) ** 2) / sigma
                if scale:
                    gabor = gabor * np.exp(2j * np.pi * away / scale)
                found.append(np.abs(gabor @ in_time))
            yield np.array([part.mean(axis=0) for part in np.array_split(found, 16)])


def stretch_means(values, n_points):
    """Average a row over equal stretches of time, each value lasting from one to the next."""
    fine = np.repeat(values, n_points, axis=-1)
    return fine.reshape(*values.shape[:-1], n_points, -1).mean(axis=-1)


@pytest.mark.parametrize("shape", [(128, 100), (96, 40), (64, 60), (33, 25)])
def test_parity_with_convolutions_written_out(shape):
    X = np.random.default_rng(0).normal(size=(1, *shape))
    n_points = round(shape[1] / 8)
    plain = list(plain_magnitudes(X[0]))
    expected = np.log([stretch_means(magnitude, n_points) + 1e-3 for magnitude in plain])
    found = time_frequency_scattering(X)
    assert found.dtype == np.float32
    assert found.shape == (1, 40, 16, n_points)
    np.testing.assert_allclose(found[0], expected, atol=2e-4)
    strength = np.log([magnitude.mean(axis=1) + 1e-3 for magnitude in plain])
    variation = np.log([magnitude.std(axis=1) + 1e-3 for magnitude in plain]) - strength
    np.testing.assert_allclose(
        modulation_statistics(X)[0],
        np.concatenate([(strength - strength.mean()).ravel(), variation.ravel()]),
        atol=1e-3,
    )


def test_its_means_are_those_of_modulation_statistics():
    X = np.random.default_rng(0).normal(size=(2, 128, 240))
    magnitudes = np.exp(time_frequency_scattering(X)) - 1e-3
    strength = np.log(magnitudes.mean(axis=3).reshape(2, -1) + 1e-3)
    strength -= strength.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(modulation_statistics(X)[:, :640], strength, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((0, 128, 20), (16, 2)), ((2, 1, 1), (1, 1)), ((1, 3, 2), (2, 1)), ((1, 40, 7), (16, 1))],
)
def test_any_size_gives_numbers(shape, expected):
    found = time_frequency_scattering(np.random.default_rng(0).normal(size=shape))
    assert found.shape == (shape[0], 40, *expected)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("part", "domain"),
    [
        ("original", LogMelSpectrogram),
        ("harmonic", HarmonicSpectrogram),
        ("percussive", PercussiveSpectrogram),
    ],
)
def test_is_computed_from_a_part_of_the_clip(part, domain):
    waveforms = np.random.default_rng(0).normal(scale=0.1, size=(2, 2 * 22050))
    waveforms[1, :22050] = 0.1 * np.sin(np.arange(22050))
    kernel = {} if part == "original" else {"kernel_size": (9, 63)}
    mel = domain(n_fft=2048, hop_length=1707, n_mels=128, **kernel).transform(waveforms)
    found = TimeFrequencyScattering(part=part).transform(waveforms)
    np.testing.assert_array_equal(found, time_frequency_scattering(mel))


def test_a_union_pays_once(monkeypatch):
    computed = []
    for name in ("magnitude_by_frames", "running_median"):
        function = getattr(_analysis, name)
        counted = lambda *args, f=function, n=name: computed.append(n) or f(*args)  # noqa: E731
        monkeypatch.setattr(_analysis, name, counted)
    parts = ("original", "harmonic", "percussive")
    union = DomainUnion([(part, TimeFrequencyScattering(part=part)) for part in (*parts, "all")])
    batch = union.transform(np.random.default_rng(0).normal(scale=0.1, size=(1, 22050)))
    assert sorted(computed) == ["magnitude_by_frames", "running_median", "running_median"]
    assert not np.array_equal(batch["harmonic"], batch["percussive"])
    np.testing.assert_array_equal(
        batch["all"], np.concatenate([batch[part] for part in parts], axis=1)
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [({"part": "vocals"}, "part"), ({"kernel_size": (9, 0)}, "kernel_size=.*; expected a pos")],
)
def test_wrong_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        TimeFrequencyScattering(**params).transform(np.zeros((1, 22050)))
