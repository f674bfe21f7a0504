"""The domain transformers: shapes, parameters, input of every kind, and bad input."""

import pickle
import re
import warnings

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile
import torch
from sklearn.base import clone
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import (
    MFCC,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    _clips,
)
from sklearn_genremoe._rows import Rows
from sklearn_genremoe.audio import BadClipError, BadClipWarning, decode_audio
from sklearn_genremoe.domains import BaseDomain, ClipAnalysis, DomainUnion, _analysis

RATE = 22050
ALL = [
    LogMelSpectrogram,
    HarmonicSpectrogram,
    PercussiveSpectrogram,
    ModulationSpectrogram,
    MFCC,
]
every_domain = pytest.mark.parametrize("cls", ALL)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(4):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-1, 1, RATE), RATE)
    return [str(folder / f"{i}.wav") for i in range(4)]


@pytest.fixture(scope="module")
def waveforms(paths):
    return np.stack([decode_audio(path) for path in paths])


@every_domain
def test_paths_and_waveforms_give_the_same(cls, paths, waveforms):
    np.testing.assert_array_equal(
        cls(duration=1.0).fit_transform(paths), cls().fit_transform(waveforms)
    )


@every_domain
def test_input_of_every_kind(cls, paths, waveforms):
    domain = cls(duration=1.0)
    expected = domain.transform(paths)
    for X in (np.array(paths), pd.Series(paths, index=[5, 3, 9, 1]), tuple(paths)):
        np.testing.assert_array_equal(domain.transform(X), expected)
    wide = np.zeros((4, 2 * RATE), dtype=np.float32)
    wide[:, ::2] = waveforms
    for X in (
        waveforms.astype(np.float64),
        waveforms.tolist(),
        pd.DataFrame(waveforms),
        torch.from_numpy(waveforms),
        np.asfortranarray(waveforms),
        wide[:, ::2],
    ):
        np.testing.assert_array_equal(domain.transform(X), expected)


@every_domain
def test_memory_mapped_waveforms(cls, waveforms, tmp_path):
    np.save(tmp_path / "waveforms.npy", waveforms)
    mapped = np.load(tmp_path / "waveforms.npy", mmap_mode="r")
    np.testing.assert_array_equal(cls().transform(mapped), cls().transform(waveforms))


@every_domain
def test_deterministic_whatever_the_workers_and_the_company(cls, waveforms):
    expected = cls().transform(waveforms)
    np.testing.assert_array_equal(cls(n_jobs=2).transform(waveforms), expected)
    np.testing.assert_array_equal(cls().transform(waveforms[2:3]), expected[2:3])
    np.testing.assert_array_equal(
        cls().fit(waveforms).fit(waveforms).transform(waveforms), expected
    )


@every_domain
def test_input_is_left_alone(cls, waveforms):
    before = waveforms.copy()
    cls().fit_transform(waveforms)
    np.testing.assert_array_equal(waveforms, before)


@every_domain
def test_clone_and_pickle(cls, waveforms):
    domain = cls(n_fft=512, fmax=8000.0).fit(waveforms)
    expected = domain.transform(waveforms)
    for copied in (
        clone(domain),
        pickle.loads(pickle.dumps(domain)),
        cloudpickle.loads(cloudpickle.dumps(domain)),
    ):
        assert copied.get_params() == domain.get_params()
        assert copied.signature == domain.signature
        np.testing.assert_array_equal(copied.transform(waveforms), expected)


@every_domain
@pytest.mark.parametrize(
    ("params", "n_bins", "n_frames"),
    [
        ({}, 96, 44),
        ({"hop_length": 256}, 96, 87),
        ({"n_mels": 40, "n_fft": 2048}, 40, 44),
        ({"n_mels": 1, "fmin": 20.0, "fmax": 4000.0, "top_db": None}, 1, 44),
        ({"n_fft": 333, "hop_length": 1000, "n_mels": 12}, 12, 23),
        ({"normalize": "bin"}, 96, 44),
    ],
)
def test_shapes(cls, waveforms, params, n_bins, n_frames):
    if cls is ModulationSpectrogram:
        n_frames //= 2
    if cls is MFCC:
        n_bins = 3 * min(20, n_bins)
    features = cls(**params).fit_transform(waveforms)
    assert features.shape == (4, n_bins, n_frames)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@every_domain
def test_normalisation(cls, waveforms):
    whole = cls().transform(waveforms)
    np.testing.assert_allclose(whole.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(whole.std(axis=(1, 2)), 1, atol=1e-5)
    by_bin = cls(normalize="bin").transform(waveforms)
    np.testing.assert_allclose(by_bin.mean(axis=2), 0, atol=1e-4)
    np.testing.assert_allclose(by_bin.std(axis=2), 1, atol=1e-4)
    raw = cls(normalize=None).transform(waveforms)
    np.testing.assert_allclose(
        (raw - raw.mean(axis=(1, 2), keepdims=True)) / raw.std(axis=(1, 2), keepdims=True),
        whole,
        atol=1e-3,
    )


def test_offset_and_duration_of_paths(paths):
    part = LogMelSpectrogram(offset=0.25, duration=0.5).transform(paths)
    start = round(0.25 * RATE)
    y = np.stack([decode_audio(path)[start : start + round(0.5 * RATE)] for path in paths])
    np.testing.assert_array_equal(part, LogMelSpectrogram().transform(y))


def test_short_files_are_filled_up(paths):
    features = LogMelSpectrogram(duration=2.0, normalize=None).transform(paths)
    assert features.shape == (4, 96, 87)
    floor = features.max(axis=(1, 2)) - 80
    np.testing.assert_allclose(features[:, :, 60:].max(axis=(1, 2)), floor, atol=1e-4)


def test_modulation_options(waveforms):
    pulses = np.zeros((1, 4 * RATE))
    pulses[0, : 4 * RATE : RATE // 4] = 1  # 16 per clip
    for scale in ("linear", "log"):
        domain = ModulationSpectrogram(scale=scale, drop_dc=True, normalize=None)
        strength = domain.transform(pulses)[0].mean(axis=0)
        assert np.argmax(strength[:20]) == 15  # column k counts k + 1 pulses
    plain = ModulationSpectrogram(normalize=None).transform(waveforms)
    without = ModulationSpectrogram(normalize=None, drop_dc=True).transform(waveforms)
    assert plain.shape == without.shape
    np.testing.assert_array_equal(plain[:, :, 1:], without[:, :, :-1])


def test_three_dimensional_output_opts_out_of_data_frames(waveforms):
    domain = LogMelSpectrogram()
    assert not hasattr(domain, "get_feature_names_out")
    assert not hasattr(domain, "set_output")
    with pytest.raises(AttributeError, match="set_output"):
        domain.set_output(transform="pandas")
    with pytest.raises(ValueError, match="Unable to configure output for LogMelSpectrogram"):
        make_pipeline(domain, VarianceThreshold()).set_output(transform="pandas")
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(domain.fit_transform(waveforms), np.ndarray)


def test_in_a_pipeline_with_any_summary(waveforms):
    summary = FunctionTransformer(lambda X: X.mean(axis=2))
    assert make_pipeline(MFCC(), summary).fit_transform(waveforms).shape == (4, 60)


class TestSharedAnalysis:
    def test_everything_is_computed_once(self, waveforms, monkeypatch):
        counts = {}

        def count(name):
            compute = getattr(_analysis, name)

            def counted(*args):
                counts[name] = counts.get(name, 0) + 1
                return compute(*args)

            monkeypatch.setattr(_analysis, name, counted)

        for name in ("magnitude_by_frames", "running_median", "mel_power"):
            count(name)
        analysis = ClipAnalysis(waveforms[0], RATE)
        for cls in ALL:
            cls().spectrogram(analysis)
        assert counts == {"magnitude_by_frames": 1, "running_median": 2, "mel_power": 3}

    def test_signature_knows_what_but_not_how(self):
        plain = LogMelSpectrogram()
        how = LogMelSpectrogram(n_jobs=2, verbose=1, on_error="warn")
        assert plain.signature == how.signature
        assert hash(plain.signature) == hash(how.signature)
        assert plain.signature != LogMelSpectrogram(n_mels=64).signature
        assert HarmonicSpectrogram().signature != PercussiveSpectrogram().signature


class Loudness(BaseDomain):
    """The smallest domain of one's own."""

    def __init__(self, hop_length=512):
        self.hop_length = hop_length

    def features(self, analysis):
        return analysis.amplitude(self.n_fft, self.hop_length).sum(axis=0, keepdims=True)


def test_own_domain(paths, waveforms):
    loudness = Loudness(hop_length=441)
    assert loudness.fit_transform(waveforms).shape == (4, 1, 51)
    assert loudness.fit_transform(paths).shape == (4, 1, 1501)
    assert clone(loudness).get_params() == {"hop_length": 441}


class Returns(BaseDomain):
    """A domain that returns what it is told to."""

    def __init__(self, shape):
        self.shape = shape

    def features(self, analysis):
        return np.zeros(self.shape)


@pytest.mark.parametrize("shape", [(), (7,), (1, 2, 3)])
def test_own_domain_of_another_shape(shape, waveforms):
    said = rf"Returns.features returned the shape {re.escape(str(shape))}; expected \(n_bins, n_f"
    with pytest.raises(ValueError, match=said):
        Returns(shape).transform(waveforms)


def test_own_domain_that_sums_up(waveforms, paths):
    class Sums(Returns):
        output_ndim = 1

    assert Sums((7,)).transform(waveforms).shape == (4, 7)
    assert DomainUnion([("own", Sums((7,)))]).transform(paths)["own"].shape == (4, 7)
    with pytest.raises(ValueError, match=r"Sums.features .* expected \(n_features,\)"):
        Sums((7, 2)).transform(waveforms)


def test_own_domain_whose_shape_changes(waveforms):
    class Varying(BaseDomain):
        def features(self, analysis):
            return np.zeros((2, 1 + int(analysis.waveform[0] > 0)))

    with pytest.raises(ValueError, match=r"Varying.features returned the shape \(2, .\) for clip"):
        Varying().transform(waveforms)


@every_domain
def test_fit_on_a_batch_copies_nothing(cls, waveforms, monkeypatch):
    batch = DomainUnion([("domain", cls())]).transform(waveforms)[[2, 0]]
    copied = []
    array = Rows.array
    monkeypatch.setattr(Rows, "array", lambda self: copied.append(1) or array(self))
    domain = cls().fit(batch)
    assert not copied
    expected = domain.transform(batch)
    assert len(copied) == 1
    np.testing.assert_array_equal(cls().fit_transform(batch), expected)
    assert len(copied) == 2


def test_checked_once(waveforms, paths, monkeypatch):
    asked = []
    for name in ("kind_of_clips", "check_finite"):
        function = getattr(_clips, name)
        counted = lambda *a, f=function, n=name: asked.append(n) or f(*a)  # noqa: E731
        monkeypatch.setattr(_clips, name, counted)
    domain = LogMelSpectrogram(duration=1.0)
    for method in (domain.fit, domain.transform, domain.fit_transform):
        asked.clear()
        method(waveforms)
        assert asked == ["kind_of_clips", "check_finite"]


class TestBadInput:
    @pytest.fixture
    def bad_paths(self, paths, tmp_path):
        soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
        soundfile.write(tmp_path / "short.wav", np.ones(1500), RATE)
        return [paths[0], tmp_path / "silent.wav", paths[1], tmp_path / "short.wav"]

    @every_domain
    def test_raise(self, cls, bad_paths):
        with pytest.raises(BadClipError, match=r"silent\.wav: is silent throughout"):
            cls(duration=1.0).fit_transform(bad_paths)

    def test_frame_of_the_domain_counts(self, bad_paths):
        short = bad_paths[3:]
        assert LogMelSpectrogram(duration=1.0).fit_transform(short).shape == (1, 96, 44)
        with pytest.raises(BadClipError, match=r"1500 samples.*one frame of 2048 samples"):
            LogMelSpectrogram(duration=1.0, n_fft=2048).fit_transform(short)

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_warn(self, bad_paths, n_jobs):
        domain = LogMelSpectrogram(duration=1.0, n_fft=2048, on_error="warn", n_jobs=n_jobs)
        with pytest.warns(BadClipWarning) as caught:
            features = domain.fit_transform(bad_paths)
        assert len(caught) == 1
        message = str(caught[0].message)
        assert "2 bad clip(s)" in message
        assert f"row 1: {bad_paths[1]}: is silent" in message
        assert f"row 3: {bad_paths[3]}: holds 1500 samples" in message
        bad = np.isnan(features).all(axis=(1, 2))
        np.testing.assert_array_equal(bad, [False, True, False, True])
        assert domain.bad_clips_ == caught[0].message.bad_clips
        assert list(domain.bad_clips_) == [1, 3]

    @every_domain
    def test_warn_where_nothing_is_left(self, cls, bad_paths):
        domain = cls(duration=1.0, on_error="warn")
        expected = domain.transform(bad_paths[:1]).shape
        with pytest.warns(BadClipWarning, match="row 0: .*silent") as caught:
            features = domain.fit_transform(bad_paths[1:2])
        assert len(caught) == 1
        assert features.shape == expected
        assert np.isnan(features).all()
        assert list(domain.bad_clips_) == [0]
        domain.transform(bad_paths[:1])
        assert domain.bad_clips_ == {}

    @every_domain
    @pytest.mark.parametrize(
        ("X", "said"),
        [
            ("clip.wav", "single path 'clip.wav'"),
            ([], "no clips"),
            (np.zeros((2, 3, 4)), "3 dimensions.*expects paths.*or waveforms"),
            (np.zeros(5), "Reshape your data"),
            ([["a.wav"]], "type list.*expected paths"),
            (np.full((2, 5), np.inf), "infinity"),
            (np.ones((2, 5)) * 1j, "Complex data not supported"),
        ],
    )
    def test_wrong_input(self, cls, X, said):
        for method in ("fit", "transform", "fit_transform"):
            with pytest.raises(ValueError, match=said):
                getattr(cls(), method)(X)

    @every_domain
    def test_other_width_than_in_fit(self, cls, waveforms, paths):
        domain = cls(duration=0.5).fit(waveforms)
        with pytest.raises(ValueError, match=f"X has 10 features, but {cls.__name__} is expecting"):
            domain.transform(waveforms[:, :10])
        with pytest.raises(ValueError, match=r"X has 11025 features.*duration"):
            domain.transform(paths)

    @every_domain
    @pytest.mark.parametrize(
        "params",
        [
            {"sample_rate": 0},
            {"sample_rate": 22050.5},
            {"duration": -1.0},
            {"n_fft": 1},
            {"hop_length": 0},
            {"n_mels": 0},
            {"offset": -0.1},
            {"fmin": -1},
            {"fmax": 0},
            {"top_db": 0},
            {"normalize": "row"},
            {"on_error": "skip"},
            {"verbose": "loud"},
        ],
    )
    def test_wrong_parameters(self, cls, params, waveforms):
        name = next(iter(params))
        for method in ("fit", "transform"):
            with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must"):
                getattr(cls(**params), method)(waveforms)

    @pytest.mark.parametrize("params", [{"kernel_size": 0}, {"power": 0}, {"margin": 0.5}])
    def test_wrong_separation(self, params, waveforms):
        name = next(iter(params))
        with pytest.raises(ValueError, match=f"The '{name}' parameter of HarmonicSpectrogram must"):
            HarmonicSpectrogram(**params).fit(waveforms)

    @pytest.mark.parametrize("kernel_size", [(9,), (9, 0), (9, 9, 9), (9, 1.5)])
    def test_wrong_pair_of_kernel_sizes(self, kernel_size, waveforms):
        for method in ("fit", "transform"):
            with pytest.raises(ValueError, match="a tuple of two: frames and frequency bins"):
                getattr(PercussiveSpectrogram(kernel_size=kernel_size), method)(waveforms)

    @every_domain
    def test_mel_bands_that_cannot_be(self, cls, waveforms):
        for method in ("fit", "transform"):
            with pytest.raises(ValueError, match=r"fmax=20000.* sample_rate / 2 = 11025"):
                getattr(cls(fmax=20000.0), method)(waveforms)
            with pytest.raises(ValueError, match=r"fmin=5000.*fmax=4000"):
                getattr(cls(fmin=5000.0, fmax=4000.0), method)(waveforms)
            with pytest.raises(ValueError, match=r"n_mels=500.*larger n_fft"):
                getattr(cls(n_mels=500), method)(waveforms)


def test_no_warning_and_no_output(waveforms, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cls in ALL:
            cls().fit_transform(waveforms)
    assert capsys.readouterr() == ("", "")
