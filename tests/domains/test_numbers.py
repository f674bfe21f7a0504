"""No NaN leaves a domain, whatever finite numbers come in."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_genremoe import (
    MFCC,
    AudioLoader,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)

SMALL = {"sample_rate": 8000, "n_fft": 256, "hop_length": 128, "n_mels": 12}
KINDS = [
    LogMelSpectrogram, HarmonicSpectrogram, PercussiveSpectrogram, ModulationSpectrogram, MFCC,
]  # fmt: skip
SETTINGS = [{}, {"normalize": None}, {"normalize": "bin"}, {"top_db": None}]
SEPARATED = [{"power": 5.0}, {"margin": 3.0}, {"power": 0.1, "margin": 20.0}]
LOG = [{"scale": "log"}, {"scale": "log", "drop_dc": True, "top_db": None}]

EVERY = DomainUnion(
    [
        (f"{cls.__name__}{number}", cls(**SMALL, **options))
        for cls in KINDS
        for number, options in enumerate(
            SETTINGS
            + (SEPARATED if cls in (HarmonicSpectrogram, PercussiveSpectrogram) else [])
            + (LOG if cls is ModulationSpectrogram else [])
        )
    ]
)


def signals(n_samples, scale, kind, seed):
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples)
    signal = {
        "noise": rng.uniform(-1, 1, n_samples),
        "tone": np.sin(0.3 * time),
        "click": (time == n_samples // 2).astype(float),
        "constant": np.ones(n_samples),
        "half silent": rng.uniform(-1, 1, n_samples) * (time > n_samples // 2),
        "alternating": (-1.0) ** time,
        "many scales": rng.uniform(-1, 1, n_samples) * 10.0 ** rng.uniform(-20, 0, n_samples),
    }[kind]
    return scale * signal


KIND = st.sampled_from(
    ["noise", "tone", "click", "constant", "half silent", "alternating", "many scales"]
)


def assert_finite(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "X holds samples of up to")
        batch = EVERY.transform(X)
        waveforms = AudioLoader().transform(X)
    for name in batch.names:
        assert np.isfinite(batch[name]).all(), name
    assert np.isfinite(waveforms).all()


common = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@common
@given(
    n_samples=st.integers(1, 3000),
    exponent=st.floats(-12, 12),
    kind=KIND,
    seed=st.integers(0, 99),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@example(n_samples=3000, exponent=12, kind="constant", seed=0, dtype=np.float32)
@example(n_samples=3000, exponent=12, kind="click", seed=0, dtype=np.float32)
@example(n_samples=3000, exponent=12, kind="alternating", seed=0, dtype=np.float64)
@example(n_samples=3000, exponent=-12, kind="noise", seed=0, dtype=np.float32)
def test_any_scale(n_samples, exponent, kind, seed, dtype):
    assert_finite(signals(n_samples, 10.0**exponent, kind, seed)[None].astype(dtype))


@common
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 400)),
        elements=st.floats(-(2.0**39), 2.0**39, width=32),
    )
)
def test_any_numbers(X):
    assert_finite(X)


@common
@given(
    st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 3), st.integers(1, 256)))
    )
)
def test_any_integers(X):
    assert_finite(X)
    assert np.abs(AudioLoader().transform(X)).max() <= 1


@pytest.mark.parametrize("value", [1e13, 1e30, 1e38, 1e300])
def test_numbers_too_large_are_refused(value):
    X = np.full((1, 300), 10 * value)
    for transformer in (LogMelSpectrogram(), AudioLoader(), EVERY):
        with pytest.raises(ValueError, match=r"values of up to .*, too large for single precision"):
            transformer.transform(X)
