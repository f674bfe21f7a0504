"""The feature cache: what is kept, what is computed again, and who may share it."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.model_selection import KFold

from sklearn_genremoe import MFCC, DomainUnion, HarmonicSpectrogram, LogMelSpectrogram
from sklearn_genremoe.audio import BadClipError, BadClipWarning, _decode, decode_audio, decode_parts
from sklearn_genremoe.domains import BaseDomain, DomainBatch, _extract, _store
from sklearn_genremoe.domains._store import FeatureStore

RATE = 22050
N_CLIPS = 6


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(N_CLIPS):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-1, 1, RATE), RATE)
    return [str(folder / f"{i}.wav") for i in range(N_CLIPS)]


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


@pytest.fixture
def decoded(monkeypatch):
    """Names of the clips in the order in which they are decoded."""
    seen = []

    def counting(path, *args, **kwargs):
        seen.append(Path(path).name)
        return decode_parts(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", counting)
    return seen


def union(memory=None, *, n_mfcc=20, **params):
    domains = [
        ("mel", LogMelSpectrogram(duration=1.0)),
        ("harmonic", HarmonicSpectrogram(duration=1.0)),
        ("mfcc", MFCC(duration=1.0, n_mfcc=n_mfcc)),
    ]
    return DomainUnion(domains, memory=memory, **params)


def stores(memory):
    return sorted((memory / "sklearn_genremoe").iterdir())


def features_of(folder):
    return next(folder.glob("features-*.bin"))


def assert_equal(batch, expected):
    assert batch.names == expected.names
    for name in batch.names:
        np.testing.assert_array_equal(batch[name], expected[name], err_msg=name)


@pytest.mark.parametrize("kind", [str, Path, joblib.Memory])
def test_second_time_nothing_is_computed(paths, memory, decoded, kind):
    expected = union().transform(paths)
    decoded.clear()
    cache = joblib.Memory(memory, verbose=0) if kind is joblib.Memory else kind(memory)
    first = union(cache).fit_transform(paths)
    assert len(decoded) == N_CLIPS
    second = union(cache, n_jobs=2).fit_transform(paths)
    assert len(decoded) == N_CLIPS
    for batch in (first, second):
        assert_equal(batch, expected)
        assert all(isinstance(batch[name], np.memmap) for name in batch.names)
        assert not any(batch[name].flags.writeable for name in batch.names)
    assert len(stores(memory)) == 3


def test_memory_without_a_location_is_no_cache(paths, decoded):
    batch = union(joblib.Memory(None)).transform(paths)
    assert not isinstance(batch["mel"], np.memmap)


def test_space_on_disk_is_the_features_and_little_else(paths, memory):
    batch = union(memory).transform(paths)
    used = sum(file.stat().st_size for file in memory.rglob("*") if file.is_file())
    assert used < sum(batch[name].nbytes for name in batch.names) * 1.1


def test_other_clips_in_another_order(paths, memory, decoded):
    union(memory).transform(paths[:3])
    decoded.clear()
    mixed = [paths[4], paths[1], paths[1], paths[0], paths[4]]
    batch = union(memory).transform(mixed)
    assert decoded == ["4.wav"], "each clip once, even where it comes twice"
    assert_equal(batch, union().transform(mixed))


def test_only_the_changed_domain_is_computed_again(paths, memory, monkeypatch):
    computed = []

    def count(cls):
        features = cls.features

        def counting(self, analysis):
            computed.append(cls.__name__)
            return features(self, analysis)

        monkeypatch.setattr(cls, "features", counting)

    for cls in (LogMelSpectrogram, HarmonicSpectrogram, MFCC):
        count(cls)
    union(memory).transform(paths)
    computed.clear()
    union(memory, n_mfcc=12).transform(paths)
    assert computed == ["MFCC"] * N_CLIPS
    # How it is computed and under which name does not matter.
    computed.clear()
    renamed = [("x", MFCC(duration=1, n_mfcc=np.int64(12), n_jobs=2, on_error="warn"))]
    DomainUnion(renamed, memory=memory).transform(paths)
    assert computed == []


def test_changed_file_is_computed_again(paths, memory, decoded):
    union(memory).transform(paths)
    decoded.clear()
    soundfile.write(paths[2], np.random.default_rng(9).uniform(-1, 1, RATE), RATE)
    os.utime(paths[2], ns=(0, 0))  # even where the clock says that it is older
    batch = union(memory).transform(paths)
    assert decoded == ["2.wav"]
    assert_equal(batch, union().transform(paths))


def test_waveforms_are_known_by_content(paths, memory, monkeypatch):
    X = np.stack([decode_audio(path) for path in paths])
    expected = union().transform(X)
    union(memory).transform(X)
    calls = []
    monkeypatch.setattr(_extract, "extract_clip", lambda task: calls.append(task))
    assert_equal(union(memory).transform(X), expected)
    assert_equal(union(memory).transform(X[::-1].astype(np.float64)), expected[::-1])
    assert calls == []


def test_other_width_of_waveforms_is_another_store(memory):
    X = np.random.default_rng(0).uniform(-1, 1, (2, RATE))
    assert union(memory).transform(X)["mel"].shape == (2, 96, 44)
    assert union(memory).transform(X[:, :5000])["mel"].shape == (2, 96, 10)


def test_float16_takes_half_the_space(paths, memory):
    half = union(memory, dtype="float16").transform(paths)
    full = union(memory).transform(paths)
    for name in full.names:
        assert half[name].nbytes * 2 == full[name].nbytes
        np.testing.assert_allclose(half[name], full[name], rtol=1e-3, atol=1e-3)


def test_own_domain_is_computed_again_when_its_code_changes(paths, memory, tmp_path, monkeypatch):
    source = (
        "from sklearn_genremoe.domains import BaseDomain\n"
        "class Constant(BaseDomain):\n"
        "    duration, normalize = 1.0, None\n"
        "    def features(self, analysis):\n"
        "        return analysis.amplitude(1024, 512)[:1] * 0 + {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for value in (1, 22):
        (tmp_path / "own_domain.py").write_text(source.format(value), encoding="utf-8")
        sys.modules.pop("own_domain", None)
        import linecache

        linecache.checkcache()
        from own_domain import Constant

        assert issubclass(Constant, BaseDomain)
        batch = DomainUnion([("own", Constant())], memory=memory).transform(paths)
        assert (batch["own"] == value).all()


class TestInterruption:
    def test_goes_on_where_it_was(self, paths, memory, decoded, monkeypatch):
        decode = _decode.decode_parts

        def interrupted(path, *args, **kwargs):
            if path == paths[4]:
                raise KeyboardInterrupt
            return decode(path, *args, **kwargs)

        monkeypatch.setattr(_decode, "decode_parts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            union(memory).transform(paths)
        assert len(decoded) == 4
        monkeypatch.setattr(_decode, "decode_parts", decode)
        decoded.clear()
        assert_equal(union(memory).transform(paths), union().transform(paths))
        assert decoded[:2] == ["4.wav", "5.wav"]
        assert len(decoded) == 2 + N_CLIPS

    def test_after_a_bad_clip_too(self, paths, memory, decoded):
        with pytest.raises(BadClipError):
            union(memory).transform([*paths, "missing.wav"])
        decoded.clear()
        union(memory).transform(paths)
        assert decoded == []

    def test_killed_while_it_writes(self, paths, memory, decoded):
        process = start_extract(paths * 3, memory, pause=0.05)
        wait_for(lambda: any(memory.rglob("index.txt")))
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        batch = union(memory).transform(paths)
        assert 0 < len(decoded) < N_CLIPS
        assert_equal(batch, union().transform(paths))


class TestDamage:
    @pytest.fixture
    def damaged(self, paths, memory, decoded):
        """Extract, let the test damage a file of the cache, then check that it heals."""
        expected = union().transform(paths)
        union(memory).transform(paths)
        decoded.clear()
        folder = next(folder for folder in stores(memory) if folder.name.startswith("Harmonic"))
        yield folder
        assert_equal(union(memory).transform(paths), expected)
        assert decoded, "the damage was noticed"
        decoded.clear()
        assert_equal(union(memory).transform(paths), expected)
        assert decoded == [], "and repaired"

    def test_one_bit(self, damaged):
        data = bytearray(features_of(damaged).read_bytes())
        data[2 * 96 * 44 * 4 + 17] ^= 1
        features_of(damaged).write_bytes(data)

    def test_truncated_features(self, damaged):
        os.truncate(features_of(damaged), 3 * 96 * 44 * 4 + 100)

    def test_no_features(self, damaged):
        features_of(damaged).unlink()

    def test_features_of_zeros(self, damaged):
        size = features_of(damaged).stat().st_size
        features_of(damaged).write_bytes(bytes(size))

    def test_half_a_line_in_the_index(self, damaged):
        os.truncate(damaged / "index.txt", (damaged / "index.txt").stat().st_size - 5)

    def test_description_without_its_end_of_line(self, damaged):
        head = (damaged / "index.txt").read_bytes().splitlines()[0]
        (damaged / "index.txt").write_bytes(head)

    def test_garbage_in_the_index(self, damaged):
        lines = (damaged / "index.txt").read_bytes().splitlines(keepends=True)
        lines[2:4] = [b"\xff\x00 garbage\n", b"a b c\n", b"\n"]
        (damaged / "index.txt").write_bytes(b"".join(lines))

    def test_wrong_row_in_the_index(self, damaged):
        lines = (damaged / "index.txt").read_text(encoding="ascii").splitlines()
        key, _, checksum = lines[1].split()
        lines[1] = f"{key} 3 {checksum}"
        (damaged / "index.txt").write_text("\n".join(lines) + "\n", encoding="ascii")

    def test_no_index(self, damaged):
        (damaged / "index.txt").unlink()

    @pytest.mark.parametrize("head", [b"{", b"[]", b'{"file": "features-1.bin"}', b"\xff"])
    def test_unreadable_description(self, damaged, head):
        _, *lines = (damaged / "index.txt").read_bytes().splitlines(keepends=True)
        (damaged / "index.txt").write_bytes(b"".join([head + b"\n", *lines]))


def start_extract(paths, memory, pause=0.0):
    program = (
        "import json, sys, time\n"
        "from sklearn_genremoe import MFCC, DomainUnion, HarmonicSpectrogram, LogMelSpectrogram\n"
        "from sklearn_genremoe.audio import _decode\n"
        "paths, memory, pause = json.loads(sys.argv[1])\n"
        "decode = _decode.decode_parts\n"
        "def slow(path, *args, **kwargs):\n"
        "    time.sleep(pause)\n"
        "    return decode(path, *args, **kwargs)\n"
        "_decode.decode_parts = slow\n"
        "domains = [('mel', LogMelSpectrogram(duration=1.0)),\n"
        "           ('harmonic', HarmonicSpectrogram(duration=1.0)),\n"
        "           ('mfcc', MFCC(duration=1.0))]\n"
        "DomainUnion(domains, memory=memory).transform(paths)\n"
    )
    arguments = json.dumps([paths, str(memory), pause])
    return subprocess.Popen([sys.executable, "-c", program, arguments])


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_two_processes_share_a_folder(paths, memory, decoded):
    processes = [start_extract(list(order), memory, 0.01) for order in (paths, paths[::-1])]
    assert [process.wait(120) for process in processes] == [0, 0]
    batch = union(memory).transform(paths)
    assert decoded == []
    assert_equal(batch, union().transform(paths))
    for folder in stores(memory):
        rows = features_of(folder).stat().st_size
        about = json.loads((folder / "index.txt").read_bytes().splitlines()[0])
        assert rows == N_CLIPS * np.prod(about["shape"]) * 4, "no clip is stored twice"


class TestBadClips:
    def test_their_rows_are_nan(self, paths, memory):
        X = [paths[0], "missing.wav", paths[1], paths[1] + "\0"]
        for _ in range(2):
            with pytest.warns(BadClipWarning, match=r"2 bad clip\(s\)"):
                batch = union(memory, on_error="warn").transform(X)
            assert list(batch.bad_clips) == [1, 3]
            for name in batch.names:
                np.testing.assert_array_equal(
                    np.isnan(batch[name]).all(axis=(1, 2)), [False, True, False, True]
                )

    def test_a_mended_file_is_taken(self, paths, memory, tmp_path):
        bad = tmp_path / "bad.wav"
        bad.touch()
        with pytest.warns(BadClipWarning):
            union(memory, on_error="warn").transform([*paths, bad])
        soundfile.write(bad, np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
        assert np.isfinite(union(memory).transform([*paths, bad])["mel"]).all()

    def test_nothing_left(self, paths, memory):
        warning = union(memory, on_error="warn")
        for _ in range(2):
            with pytest.warns(BadClipWarning, match=r"2 bad clip\(s\)"):
                batch = warning.transform(["a.wav", "b.wav"])
            good = union().transform(paths)
            for name in batch.names:
                assert batch[name].shape == (2, *good[name].shape[1:])
                assert np.isnan(batch[name]).all()
        assert list(warning.bad_clips_) == [0, 1]


def test_folds_of_paths_share_one_copy(paths, memory, decoded):
    y = np.arange(N_CLIPS) % 2
    whole = union().transform(paths)
    decoded.clear()
    for _ in range(4):  # settings of a grid
        for train, test in KFold(3).split(paths, y):
            for rows in (train, test):
                batch = clone(union(memory)).fit_transform([paths[i] for i in rows])
                assert_equal(batch, whole[rows])
    assert sorted(decoded) == sorted(Path(path).name for path in paths)
    for folder in stores(memory):
        about = json.loads((folder / "index.txt").read_bytes().splitlines()[0])
        size = features_of(folder).stat().st_size
        assert size == N_CLIPS * np.prod(about["shape"]) * 4


class TestSavedBatches:
    @pytest.fixture
    def saved(self, paths, memory, tmp_path):
        batch = union(memory).transform(paths)
        joblib.dump(batch, tmp_path / "batch.joblib")
        return tmp_path / "batch.joblib"

    def test_as_long_as_the_features_are_there(self, saved, paths, memory):
        union(memory).transform([*paths[1:], *paths])  # more rows are no harm
        assert_equal(joblib.load(saved), union().transform(paths))

    def test_after_the_cache_was_filled_again(self, saved, paths, memory):
        shutil.rmtree(memory)
        with pytest.raises(ValueError, match=r"is gone or damaged .* extract the clips again"):
            joblib.load(saved)
        union(memory).transform(paths[::-1])
        with pytest.raises(ValueError, match="is gone or damaged"):
            joblib.load(saved)

    def test_of_arrays_that_are_others_by_now(self, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(12.0).reshape(4, 3))
        batch = DomainBatch({"a": np.load(tmp_path / "a.npy", mmap_mode="r")})
        data = joblib.hash(batch), pickle.dumps(batch)
        np.save(tmp_path / "a.npy", np.arange(12.0)[::-1].reshape(4, 3))
        with pytest.raises(ValueError, match="holds other features than when"):
            pickle.loads(data[1])
        other = DomainBatch({"a": np.load(tmp_path / "a.npy", mmap_mode="r")})
        assert joblib.hash(other) != data[0]


def test_rows_are_read_and_checked_once(paths, memory, monkeypatch):
    union(memory).transform(paths)
    monkeypatch.setattr(_store, "_TICK", 0)
    read = []
    original = FeatureStore._read
    monkeypatch.setattr(FeatureStore, "_read", lambda *a: read.append(1) or original(*a))
    for expected in (3 * N_CLIPS, 3 * N_CLIPS):
        union(memory).transform(paths)
        assert len(read) == expected


class Infinite(BaseDomain):
    normalize, output_ndim, duration = None, 1, 1.0

    def __init__(self, values=(1.0, np.nan)):
        self.values = values

    def features(self, analysis):
        return np.array(self.values)


@pytest.mark.parametrize(
    ("values", "dtype"), [((1, np.nan), "float32"), ((1, np.inf), "float32"), ((1, 1e6), "float16")]
)
@pytest.mark.parametrize("cached", [False, True])
def test_features_that_are_not_finite_are_reported(paths, memory, values, dtype, cached):
    domains = DomainUnion(
        [("own", Infinite(values))], dtype=dtype, memory=memory if cached else None
    )
    with pytest.raises(BadClipError, match=r"0\.wav: Infinite computes NaN or infinity"):
        domains.transform(paths)
    X = np.random.default_rng(0).normal(size=(2, 4000))
    with pytest.warns(BadClipWarning):
        batch = domains.set_params(on_error="warn").transform(X)
    assert list(batch.bad_clips) == [0, 1]
    assert "waveform 1: Infinite" in batch.bad_clips[1]
