"""Extraction that is interrupted, loses a worker, or finds the disk full."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import soundfile

from sklearn_genremoe import MFCC, AudioLoader, DomainUnion, LogMelSpectrogram
from sklearn_genremoe.audio import BadClipError, BadClipWarning, _decode, decode_parts
from sklearn_genremoe.domains import BaseDomain
from sklearn_genremoe.domains._store import FeatureStore

RATE = 22050
N_CLIPS = 40
DOMAINS = [("mel", LogMelSpectrogram(duration=1.0)), ("mfcc", MFCC(duration=1.0))]

PROGRAM = """
import json, os, signal, sys, time
from joblib import parallel_config
from sklearn_genremoe import MFCC, DomainUnion, LogMelSpectrogram
from sklearn_genremoe.audio import _decode
from sklearn_genremoe.domains import BaseDomain

decode = _decode.decode_parts
def slow(path, *args, **kwargs):
    time.sleep(0.1)
    return decode(path, *args, **kwargs)

class Deadly(BaseDomain):
    duration = 1.0
    def features(self, analysis):
        if analysis.waveform[0] > 0.9:
            os.kill(os.getpid(), signal.SIGKILL)
        return analysis.amplitude(1024, 512)

paths, memory, n_jobs, task = json.loads(sys.argv[1])
domains = [("mel", LogMelSpectrogram(duration=1.0)), ("mfcc", MFCC(duration=1.0))]
if task == "interrupt":
    _decode.decode_parts = slow
    try:
        DomainUnion(domains, memory=memory, n_jobs=n_jobs).transform(paths)
    except KeyboardInterrupt:
        print(time.monotonic())
        raise
else:
    for folder in (memory, None):
        try:
            with parallel_config("loky", n_jobs=2):
                DomainUnion([("deadly", Deadly())], memory=folder).transform(paths)
        except Exception as error:
            print(type(error).__name__, flush=True)
            if folder is None:
                raise
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(N_CLIPS):
        samples = rng.uniform(-0.5, 0.5, RATE)
        samples[0] = 0.95 if i == 10 else 0
        soundfile.write(folder / f"{i}.wav", samples, RATE)
    return [str(folder / f"{i}.wav") for i in range(N_CLIPS)]


@pytest.fixture
def no_audio(tmp_path):
    path = tmp_path / "no_audio.wav"
    path.write_text("no audio")
    return str(path)


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


def start(paths, memory, n_jobs, task):
    arguments = json.dumps([paths, memory and str(memory), n_jobs, task])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_resumes(paths, memory, monkeypatch):
    """Extract the rest, see that there was something, and that all is right."""
    decoded = []

    def counting(path, *args, **kwargs):
        decoded.append(path)
        return decode_parts(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", counting)
    batch = DomainUnion(DOMAINS, memory=memory).transform(paths)
    assert 0 < len(decoded) < N_CLIPS
    expected = DomainUnion(DOMAINS).transform(paths)
    for name in expected.names:
        np.testing.assert_array_equal(batch[name], expected[name])


def test_interrupted_while_a_row_is_written(memory, monkeypatch):
    store = FeatureStore(memory, {}, "float32")
    refresh, interrupts = FeatureStore._refresh, []

    def interrupted(self):
        refresh(self)
        if not interrupts:
            interrupts.append(signal.raise_signal(signal.SIGINT))  # the lock is held

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "_refresh", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.write("first", np.ones((2, 3)))
    assert signal.getsignal(signal.SIGINT) is handler
    again = FeatureStore(memory, {}, "float32")
    assert again.find(["first"]).tolist() == [0]  # the row is whole
    assert again.write("second", np.zeros((2, 3))) == 1  # and the lock is free


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupted(paths, memory, n_jobs, monkeypatch):
    process = start(paths, memory, n_jobs, "interrupt")
    end = time.monotonic() + 120
    while sum(len(file.read_bytes().splitlines()) for file in memory.rglob("index.txt")) < 8:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        stopped, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert float(stopped) - sent < 3
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert_resumes(paths, memory, monkeypatch)


@pytest.fixture
def decoded(monkeypatch):
    """List the clips as they are decoded, slowly."""
    paths = []

    def slow(path, *args, **kwargs):
        paths.append(path)
        time.sleep(0.05)
        return decode_parts(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", slow)
    return paths


class Growing(BaseDomain):
    """Features of another shape for clip 10."""

    duration = 1.0

    def features(self, analysis):
        amplitude = analysis.amplitude(1024, 512)
        return amplitude[1:] if analysis.waveform[0] > 0.9 else amplitude


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("bad clip of the loader", BadClipError),
        ("bad clip", BadClipError),
        ("bad clip with memory", BadClipError),
        ("other shape", ValueError),
        ("other shape with memory", ValueError),
        ("interrupt with memory", KeyboardInterrupt),
    ],
)
def test_nothing_goes_on_while_the_error_is_looked_at(
    kind, error, n_jobs, paths, no_audio, memory, decoded, monkeypatch
):
    # As long as somebody has the traceback, in a notebook or as the interpreter comes to its end.
    if "bad" in kind:
        paths = [*paths[:10], no_audio, *paths[10:]]
    if "interrupt" in kind:
        write = FeatureStore.write

        def interrupted(self, key, features):
            row = write(self, key, features)
            if row == 9:
                raise KeyboardInterrupt
            return row

        monkeypatch.setattr(FeatureStore, "write", interrupted)
    if "loader" in kind:
        transformer = AudioLoader(duration=1.0, n_jobs=n_jobs)
    else:
        domains = [("growing", Growing())] if "shape" in kind else DOMAINS
        store = memory if "memory" in kind else None
        transformer = DomainUnion(domains, memory=store, n_jobs=n_jobs)
    with pytest.raises(error) as info:
        transformer.transform(paths)
    n_decoded = len(decoded)
    time.sleep(0.3)
    assert len(decoded) == n_decoded
    assert 5 < n_decoded < 20
    assert info.tb is not None


@pytest.mark.slow
def test_a_program_ends_with_its_error(paths, no_audio):
    # Its threads are stopped before the iterators that its traceback keeps are closed.
    process = start([*paths[:10], no_audio, *paths[10:]], None, 2, "interrupt")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"BadClipError: {no_audio}" in errors


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_killed_worker_is_an_error(paths, memory):
    process = start(paths, memory, 2, "kill")
    found, errors = process.communicate(timeout=120)
    assert found.split() == ["TerminatedWorkerError"] * 2  # with a memory, and without one
    assert process.returncode == 1
    assert "TerminatedWorkerError" in errors


class TestFullDisk:
    @pytest.fixture(params=[0, 1, 7])
    def full(self, request, monkeypatch):
        """Let only so many rows of each domain be written."""
        write, written = FeatureStore.write, []

        def limited(self, key, features):
            if len(written) >= 2 * request.param:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(key)
            return write(self, key, features)

        monkeypatch.setattr(FeatureStore, "write", limited)
        return request.param

    def test_goes_on_in_memory(self, paths, memory, full):
        X = [*paths, paths[3], "missing.wav", paths[20]]
        union = DomainUnion(DOMAINS, on_error="warn", memory=memory)
        for _ in range(2):
            with pytest.warns() as caught:
                batch = union.transform(X)
            assert {w.category for w in caught[:-1]} == {UserWarning}
            assert caught[-1].category is BadClipWarning
            assert len({str(w.message) for w in caught}) == 2  # the same for each domain
            said = str(caught[0].message)
            assert "can't be written (No space left on device)" in said
            assert str(memory) in said
            assert "make room there" in said
            with pytest.warns(BadClipWarning):
                expected = DomainUnion(DOMAINS, on_error="warn").transform(X)
            assert batch.bad_clips == expected.bad_clips
            for name in expected.names:
                np.testing.assert_array_equal(batch[name], expected[name])

    def test_goes_on_where_there_is_room_again(self, paths, memory, full, monkeypatch):
        with pytest.warns(UserWarning, match="No space left"):
            DomainUnion(DOMAINS, memory=memory).transform(paths)
        monkeypatch.undo()
        if full:
            assert_resumes(paths, memory, monkeypatch)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no limits on files here")
def test_disk_that_fills_up_within_a_row(paths, memory, monkeypatch):
    import resource

    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    row = 96 * 44 * 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * row + 100, hard))
    try:
        with pytest.warns(UserWarning, match="can't be written"):
            batch = DomainUnion(DOMAINS, memory=memory).transform(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    expected = DomainUnion(DOMAINS).transform(paths)
    for name in expected.names:
        np.testing.assert_array_equal(batch[name], expected[name])
    assert_resumes(paths, memory, monkeypatch)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="for root all can be written")
def test_folder_that_may_not_be_written(paths, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.warns(UserWarning, match=r"can't be written \(Permission denied\)"):
        DomainUnion(DOMAINS, memory=tmp_path / "memory").transform(paths[:2])


def test_memory_that_is_a_file(paths, tmp_path):
    (tmp_path / "memory").touch()
    with pytest.warns(UserWarning, match="can't be written"):
        batch = DomainUnion(DOMAINS, memory=tmp_path / "memory").transform(paths[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(batch["mel"]).all()
