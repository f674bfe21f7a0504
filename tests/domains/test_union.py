"""DomainUnion: several domains with one decode and one analysis per clip."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import MFCC, DomainUnion, HarmonicSpectrogram, LogMelSpectrogram
from sklearn_genremoe.audio import (
    BadClipError,
    BadClipWarning,
    _decode,
    decode_audio,
    decode_parts,
    fix_length,
)
from sklearn_genremoe.domains import DomainBatch

RATE = 22050


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(5):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-1, 1, RATE), RATE)
    return [str(folder / f"{i}.wav") for i in range(5)]


@pytest.fixture
def decoded(monkeypatch):
    """Paths in the order in which they are decoded."""
    seen = []

    def counting(path, *args, **kwargs):
        seen.append(path)
        return decode_parts(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", counting)
    return seen


def three(**params):
    return [
        ("mel", LogMelSpectrogram(duration=1.0, **params)),
        ("harmonic", HarmonicSpectrogram(duration=1.0, **params)),
        ("mfcc", MFCC(duration=1.0, **params)),
    ]


def test_paper_domains_by_default():
    batch = DomainUnion().fit_transform(np.random.default_rng(0).uniform(-1, 1, (2, RATE)))
    assert batch.names == ["original", "harmonic", "percussive", "modulation"]
    assert batch["modulation"].shape == (2, 96, 22)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_equal_to_single_domains(paths, n_jobs):
    batch = DomainUnion(three(), n_jobs=n_jobs).fit_transform(paths)
    assert isinstance(batch, DomainBatch)
    for name, domain in three():
        np.testing.assert_array_equal(batch[name], domain.transform(paths))
        assert batch.domains[name].signature == domain.signature


def test_one_decode_per_clip(paths, decoded):
    DomainUnion(three()).fit_transform(paths)
    assert decoded == paths


def test_one_read_for_all_rates_and_parts(paths, monkeypatch):
    opened = []
    read = _decode.read_blocks

    def counting(path, *args):
        opened.append(path)
        return read(path, *args)

    monkeypatch.setattr(_decode, "read_blocks", counting)
    domains = [
        ("a", MFCC(duration=1.0)),
        ("b", MFCC(duration=1.0, sample_rate=16000)),
        ("c", MFCC(duration=1.0, sample_rate=32000)),
        ("d", MFCC(duration=0.3, offset=0.5, sample_rate=16000)),
    ]
    batch = DomainUnion(domains).transform(paths)
    assert opened == paths
    for name, domain in domains:  # nobody hears from the others' company
        np.testing.assert_array_equal(batch[name], domain.transform(paths))


class FromFilesAt16k(LogMelSpectrogram):
    """A domain that reads files at a rate of its own."""

    @property
    def file_rate(self):
        return 16000

    def features(self, analysis):
        assert analysis.sample_rate == 16000
        return super().features(analysis)


def test_rate_of_files_is_the_domains_affair(paths):
    domains = [("own", FromFilesAt16k(duration=1.0)), ("mel", LogMelSpectrogram(duration=1.0))]
    batch = DomainUnion(domains).transform(paths)
    expected = LogMelSpectrogram(duration=1.0, sample_rate=16000).transform(paths)
    np.testing.assert_array_equal(batch["own"], expected)


def test_zeros_and_repetition_in_one_union(paths):
    domains = [
        (f"{fill}, {seconds} s", LogMelSpectrogram(duration=seconds, fill=fill))
        for fill in ("zeros", "repeat")
        for seconds in (1.0, 2.5)
    ]
    batch = DomainUnion(domains).transform(paths[:1])
    waveform = decode_audio(paths[0])
    assert len(waveform) == RATE
    for name, domain in domains:
        filled = fix_length(waveform, domain.n_samples, domain.fill)
        expected = LogMelSpectrogram().transform(filled[None])
        np.testing.assert_array_equal(batch[name], expected)
    np.testing.assert_array_equal(batch["zeros, 1.0 s"], batch["repeat, 1.0 s"])
    assert not np.allclose(batch["zeros, 2.5 s"], batch["repeat, 2.5 s"])


def test_domains_that_compute_the_same_share_an_array(paths, tmp_path):
    domains = [*three(), ("again", MFCC(duration=1.0, n_jobs=1))]
    for memory in (None, tmp_path):
        batch = DomainUnion(domains, memory=memory).transform(paths)
        assert batch.names == ["mel", "harmonic", "mfcc", "again"]
        assert np.shares_memory(batch["mfcc"], batch["again"])
    np.testing.assert_array_equal(batch[[3, 1]]["again"], batch[[3, 1]]["mfcc"])


def test_domains_may_look_at_different_parts(paths, decoded):
    domains = [*three(), ("start", LogMelSpectrogram(duration=0.5)), ("again", MFCC(duration=0.5))]
    batch = DomainUnion(domains).fit_transform(paths[:1])
    assert len(decoded) == 1
    assert batch["mel"].shape == (1, 96, 44)
    assert batch["start"].shape == (1, 96, 22)


def test_from_an_extracted_batch(paths, decoded):
    batch = DomainUnion(three()).fit_transform(paths)
    decoded.clear()
    part = DomainUnion([("a", MFCC(duration=1.0)), ("b", LogMelSpectrogram(duration=1.0))])
    taken = part.fit_transform(batch)
    assert taken.names == ["a", "b"]
    np.testing.assert_array_equal(taken["a"], batch["mfcc"])
    assert not decoded
    with pytest.raises(ValueError, match="does not hold MFCC"):
        DomainUnion([("a", MFCC())]).fit(batch)


def test_iter_transform(paths, decoded):
    union = DomainUnion(three())
    whole = union.transform(paths)
    decoded.clear()
    batches = union.iter_transform((path for path in paths), batch_size=2)
    first = next(batches)
    assert decoded == paths[:2], "nothing is read ahead of its batch"
    rest = list(batches)
    assert [len(batch) for batch in (first, *rest)] == [2, 2, 1]
    together = np.concatenate([first, *rest])
    for name in whole.names:
        np.testing.assert_array_equal(together[name], whole[name])


def test_iter_transform_numbers_bad_clips_as_the_user_does(paths):
    X = [paths[0], "a.wav", paths[1], "c.wav", "d.wav", paths[2], "e.wav"]
    union = DomainUnion(three(), on_error="warn")
    with pytest.warns(BadClipWarning) as caught:
        batches = list(union.iter_transform(iter(X), batch_size=2))
    assert len(caught) == 1
    rows = [1, 3, 4, 6]
    assert list(caught[0].message.bad_clips) == list(union.bad_clips_) == rows
    assert [list(batch.bad_clips) for batch in batches] == [[1], [1], [0], [0]]
    whole = np.concatenate(batches)
    assert isinstance(whole, DomainBatch)
    assert list(whole.bad_clips) == rows
    with pytest.warns(BadClipWarning):
        expected = union.transform(X)
    for name in expected.names:
        np.testing.assert_array_equal(whole[name], expected[name])
    # A batch without a good clip has the shapes of the others.
    with pytest.warns(BadClipWarning):
        (first, *_) = union.iter_transform(X[3:], batch_size=2)
    assert {name: first[name].shape[1:] for name in first.names} == {
        name: whole[name].shape[1:] for name in whole.names
    }
    assert all(np.isnan(first[name]).all() for name in first.names)


def test_iter_transform_without_an_end(paths):
    batches = DomainUnion(three()).iter_transform(itertools.cycle(paths), batch_size=3)
    assert [len(batch) for batch in itertools.islice(batches, 3)] == [3, 3, 3]


def test_iter_transform_of_waveforms():
    X = np.random.default_rng(0).uniform(-1, 1, (5, RATE))
    union = DomainUnion(three())
    together = [batch["mfcc"] for batch in union.iter_transform(X, batch_size=3)]
    np.testing.assert_array_equal(np.concatenate(together), union.transform(X)["mfcc"])
    with pytest.raises(ValueError, match=r"'batch_size' .* in the range .* Got 0"):
        next(union.iter_transform(X, batch_size=0))
    with pytest.raises(ValueError, match=r"'batch_size' .* must be an int .* Got 2\.0"):
        next(union.iter_transform(X, batch_size=2.0))
    frame = pd.DataFrame(X)
    np.testing.assert_array_equal(
        next(union.iter_transform(frame, batch_size=3))["mfcc"], together[0]
    )


@pytest.mark.parametrize("X", ["s.wav", Path("s.wav"), b"s.wav", {"s.wav": 1}, 3, None])
def test_iter_transform_refuses_what_transform_does(X):
    with pytest.raises(ValueError, match=r"^X is (the single path|of the type)") as refused:
        next(DomainUnion(three()).iter_transform(X))
    with pytest.raises(ValueError, match=r"^X is") as expected:
        DomainUnion(three()).transform(X)
    assert str(refused.value) == str(expected.value)


def test_float16(paths):
    full = DomainUnion(three()).transform(paths)
    half = DomainUnion(three(), dtype="float16").transform(paths)
    for name in full.names:
        assert half[name].dtype == np.float16
        np.testing.assert_allclose(half[name], full[name], rtol=1e-3, atol=1e-3)


def test_nested_parameters(paths):
    union = DomainUnion(three())
    assert union.get_params()["mfcc__n_mfcc"] == 20
    union.set_params(mfcc__n_mfcc=5, mel__n_mels=40)
    batch = union.transform(paths[:1])
    assert batch["mfcc"].shape == (1, 15, 44)
    assert batch["mel"].shape == (1, 40, 44)
    copied = clone(union)
    assert copied.domains[0][1] is not union.domains[0][1]
    assert copied.get_params()["mel__n_mels"] == 40
    union.set_params(mel=MFCC(duration=1.0))
    assert union.transform(paths[:1])["mel"].shape == (1, 60, 44)


def test_in_a_pipeline(paths):
    summary = FunctionTransformer(lambda batch: batch["mfcc"].mean(axis=2))
    model = make_pipeline(DomainUnion(three()), summary, LogisticRegression())
    assert model.fit(paths, [0, 1, 0, 1, 1]).predict(paths).shape == (5,)


def test_progress_bar_only_when_asked(paths, capsys):
    DomainUnion(three()).transform(paths)
    assert capsys.readouterr() == ("", "")
    DomainUnion(three(), verbose=1, n_jobs=2).transform(paths)
    assert "5/5" in capsys.readouterr().err


class TestBadInput:
    def test_warn_reports_all_in_the_batch(self, paths, tmp_path):
        bad = [paths[0], tmp_path / "a.wav", paths[1], tmp_path / "b.wav"]
        with pytest.warns(BadClipWarning, match=r"2 bad clip\(s\)") as caught:
            batch = DomainUnion(three(), on_error="warn").fit_transform(bad)
        assert len(caught) == 1
        assert list(batch.bad_clips) == [1, 3]
        assert "no such file" in batch.bad_clips[3]
        for name in batch.names:
            assert np.isnan(batch[name][[1, 3]]).all()
            assert np.isfinite(batch[name][[0, 2]]).all()

    def test_raise(self, paths):
        with pytest.raises(BadClipError, match="no such file"):
            DomainUnion(three()).transform([*paths, "missing.wav"])

    def test_bad_clips_of_a_batch(self, paths):
        union = DomainUnion(three()[2:], on_error="warn")
        with pytest.warns(BadClipWarning):
            batch = union.transform([*paths, "missing.wav"])
        with pytest.warns(BadClipWarning, match="row 5: missing"):
            assert list(union.transform(batch).bad_clips) == [5]
        union.set_params(on_error="raise")
        with pytest.raises(ValueError, match=r"clips without features: \{5: 'missing.wav"):
            union.transform(batch)
        assert len(union.transform(batch[:5])) == 5

    @pytest.mark.parametrize(
        ("domains", "said"),
        [
            ([], "at least one"),
            ([LogMelSpectrogram()], r"expected tuples \(name, domain\)"),
            ([("mel", LogisticRegression())], "with a feature domain such as"),
            ([("mel", LogMelSpectrogram)], "with a feature domain such as"),
            ([("mel", MFCC()), ("mel", MFCC())], "not unique"),
            ([("n_jobs", MFCC())], "conflict with constructor arguments"),
            ([("a__b", MFCC())], "must not contain __"),
            ([("a", MFCC(n_mfcc=0))], "The 'n_mfcc' parameter of MFCC must be"),
            ("mel", "The 'domains' parameter of DomainUnion must be"),
        ],
    )
    def test_wrong_domains(self, paths, domains, said):
        for method in ("fit", "transform"):
            with pytest.raises(ValueError, match=said):
                getattr(DomainUnion(domains), method)(paths)

    @pytest.mark.parametrize(
        "params", [{"memory": 5}, {"dtype": "int8"}, {"on_error": "skip"}, {"n_jobs": "all"}]
    )
    def test_wrong_parameters(self, paths, params):
        name = next(iter(params))
        with pytest.raises(ValueError, match=f"The '{name}' parameter of DomainUnion must be"):
            DomainUnion(**params).fit(paths)

    def test_waveforms_have_one_sample_rate(self, paths):
        union = DomainUnion([("a", MFCC()), ("b", MFCC(sample_rate=16000))])
        with pytest.raises(ValueError, match=r"the domains expect \{'a': 22050, 'b': 16000\}"):
            union.fit(np.ones((2, RATE)))
        assert union.transform(paths[:1])["b"].shape == (1, 60, 938)

    def test_other_width_than_in_fit(self, paths):
        union = DomainUnion(three()).fit(paths)
        assert union.n_features_in_ == RATE
        with pytest.raises(ValueError, match="X has 10 features, but DomainUnion is expecting"):
            union.transform(np.ones((2, 10)))


def test_output_is_not_wrapped_in_data_frames():
    assert not hasattr(DomainUnion(), "set_output")
