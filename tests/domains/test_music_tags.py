"""MusicTagEmbedding: what it computes, what it has in common with the other, its tags."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from joblib import parallel_config
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    AudioSetEmbedding,
    DomainUnion,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    MusicTagEmbedding,
    load_model,
    save_model,
)
from sklearn_genremoe.audio import _decode, decode_audio
from sklearn_genremoe.domains import _embeddings
from sklearn_genremoe.domains._musicnn import Tagger
from tests._server import file_server
from tests._shared import shared_data
from tests._weights import write_music_weights, write_small_weights

RATE = 16000
TAGS = 50


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_music_weights(tmp_path_factory.mktemp("weights") / "msd.data"))


@pytest.fixture(scope="module")
def waveforms():
    t = np.arange(7 * RATE) / RATE
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (3, len(t)))
    return (np.sin(2 * np.pi * 200 * np.arange(1, 4)[:, None] * t**1.2) + noise) / 4


@pytest.fixture(scope="module")
def paths(tmp_path_factory, waveforms):
    folder = tmp_path_factory.mktemp("clips")
    for i, waveform in enumerate(waveforms):
        soundfile.write(folder / f"{i}.wav", waveform, RATE)
    return [str(folder / f"{i}.wav") for i in range(len(waveforms))]


def published():
    return str(shared_data("musicnn", "msd_musicnn.data"))


def reference():
    return np.load(shared_data("musicnn", "reference.npz"))


def music(name):
    return str(shared_data("music", *name.split("/")))


def test_parity_of_the_network_with_its_authors():
    expected = reference()
    mel = 4 * torch.rand(3, 187, 96, generator=torch.Generator().manual_seed(0))
    tagger = Tagger(Path(published()).read_bytes())
    with torch.inference_mode():
        tags, stages = tagger(mel, "tags").numpy(), tagger(mel, "stages").numpy()
        pools = tagger.pools(mel)
        np.testing.assert_array_equal(tagger(mel), stages[:, :200])
    np.testing.assert_allclose(tags, expected["x_seeded_tags"], atol=1e-5)
    np.testing.assert_allclose(stages[:, :200], expected["x_seeded_penultimate"], atol=1e-4)
    for pool, name in zip(pools, ("max_pool", "mean_pool")):
        np.testing.assert_allclose(pool, expected[f"x_seeded_{name}"], rtol=1e-5, atol=1e-4)
    varying = np.ptp(expected["x_seeded_mean_pool"], axis=0) > 1e-4
    assert stages.shape == (3, 413)
    assert np.isin(pools[1].numpy()[:, varying], stages[:, 200:]).all()


def test_parity_on_music():
    expected = reference()
    some = slice(None, None, 5)
    names = expected["paths"][some]
    found = MusicTagEmbedding(published()).transform([music(name) for name in names])
    for part, name in zip(np.split(found, 2, axis=1), ("penultimate_mean", "penultimate_std")):
        np.testing.assert_allclose(part, expected[name][some], atol=1e-4)
    waveform = decode_audio(music(names[0]), sample_rate=RATE, duration=30.0)
    waveform = waveform * np.float32(0.1 / np.sqrt(np.mean(waveform.astype(float) ** 2)))
    mel = Tagger(Path(published()).read_bytes()).mel(torch.from_numpy(waveform))[:187:17]
    np.testing.assert_allclose(mel, expected["mel_every_17th_of_first_187"][0], atol=1e-4)


def test_windows_level_and_short_clips(weights, waveforms):
    def embed(x, level=None, **params):
        embedding = MusicTagEmbedding(weights, level=level, sample_rate=RATE, **params)
        return embedding.transform(x[np.newaxis])[0]

    x = waveforms[0].astype(np.float32)
    first, second = Tagger(Path(weights).read_bytes()).embed(x, 3.0)[0]
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(embed(x), [*(first + second) / 2, *abs(first - second) / 2], **close)
    np.testing.assert_array_equal(
        embed(x[: 5 * RATE], pool="mean"), embed(x[: RATE * 3], pool="mean")
    )
    short = x[:RATE]
    repeated = np.tile(short, 3)
    np.testing.assert_array_equal(embed(short), embed(repeated))
    assert np.ptp(embed(short)[200:]) == 0  # one window doesn't deviate
    whole = embed(x, window=1e300)
    np.testing.assert_array_equal(whole, embed(x, window=7))
    assert abs(whole - embed(x)).max() > 1e-3
    np.testing.assert_allclose(embed(x / 100, -20.0), embed(x, -20.0), rtol=1e-3, atol=1e-3)
    assert abs(embed(x / 100) - embed(x)).max() > 1e-3


@pytest.mark.parametrize("n_samples", [1, 700, 40000])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e10])
@pytest.mark.filterwarnings("ignore:X holds samples of up to")
def test_odd_waveforms_give_numbers(weights, n_samples, scale):
    X = scale * np.random.default_rng(0).uniform(-1, 1, (2, n_samples))
    features = MusicTagEmbedding(weights).transform(X)
    assert features.shape == (2, 400)
    assert np.isfinite(features).all()


def test_nothing_changes_a_bit(paths):
    embedding = MusicTagEmbedding(published(), layers="stages")
    expected = embedding.transform(paths)
    assert expected.shape == (3, 2 * 413)
    one_by_one = np.concatenate([embedding.transform([path]) for path in paths])
    np.testing.assert_array_equal(one_by_one, expected)
    with parallel_config("loky", n_jobs=2):
        np.testing.assert_array_equal(embedding.transform(paths), expected)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        threads = MusicTagEmbedding(published(), layers="stages", n_jobs=3)
        np.testing.assert_array_equal(threads.transform(paths), expected)
    finally:
        torch.set_num_threads(n_threads)
    assert len(pickle.dumps(embedding)) < 1000


def test_one_decode_beside_other_rates(weights, paths, tmp_path, monkeypatch):
    opened = []
    read_blocks = _decode.read_blocks

    def counting(path, *args):
        opened.append(path)
        return read_blocks(path, *args)

    monkeypatch.setattr(_decode, "read_blocks", counting)
    domains = [
        ("mel", LogMelSpectrogram(duration=2.0)),
        ("tags", MusicTagEmbedding(weights)),
        ("sounds", AudioSetEmbedding(write_small_weights(tmp_path / "mn01.pt"))),
    ]
    union = DomainUnion(domains, memory=tmp_path / "cache")
    batch = union.transform(paths)
    assert opened == paths
    for name, domain in domains:
        np.testing.assert_array_equal(batch[name], domain.transform(paths))
    opened.clear()
    np.testing.assert_array_equal(union.transform(paths)["tags"], batch["tags"])
    assert opened == []
    at_44_khz = soxr.resample(decode_audio(paths[0], sample_rate=RATE), RATE, 44100)
    found = MusicTagEmbedding(weights, sample_rate=44100).transform(at_44_khz[np.newaxis])
    np.testing.assert_allclose(found[0], batch["tags"][0], rtol=0.01, atol=0.01)


def test_tags(paths):
    name = reference()["paths"][12]
    embedding = MusicTagEmbedding(published()).set_output(transform="pandas")
    tags = embedding.predict_tags([music(name), paths[0]])
    assert tags.shape == (2, TAGS)
    assert list(tags.columns[[0, 43, 49]]) == ["rock", "Progressive rock", "happy"]
    as_features = MusicTagEmbedding(published(), layers="tags", pool="mean").transform([paths[0]])
    np.testing.assert_array_equal(tags.loc[1], as_features[0])
    assert ((tags > 0) & (tags < 1)).all(axis=None)


def test_tags_of_audioset(paths, monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path))
    names = shared_data("efficientat", "class_labels_indices.csv").read_bytes()
    (tmp_path / _embeddings._CLASS_NAMES.filename).write_bytes(names)
    weights = shared_data("efficientat", "mn04_as_mAP_432.pt")
    tags = AudioSetEmbedding(weights, window=3.0).predict_tags(paths[:1])
    assert tags.shape == (1, 527)
    assert list(tags.columns[[0, 526]]) == ["Speech", "Field recording"]
    # A tuning fork, near enough.
    assert {"Sine wave", "Tuning fork"} <= set(tags.loc[0].nlargest(5).index)


@pytest.mark.parametrize("change", ["cut", "one byte", "text"])
def test_other_files_are_refused(weights, paths, tmp_path, change):
    content = bytearray(Path(weights).read_bytes())
    if change == "cut":
        content = content[:1000]
    elif change == "text":
        content = b"<html>Not Found</html>"
    else:
        content[5_000_000] ^= 1
    path = tmp_path / "other.data"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.data is not the file of weights .* 9,465,596"):
        MusicTagEmbedding(path).transform(paths)
    with pytest.raises(ValueError, match=r"weights='mtt' is neither .*\('msd'"):
        MusicTagEmbedding("mtt").transform(paths)


def test_fetched_once_by_name(weights, paths, monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path / "data"))
    with file_server() as server:
        content = Path(weights).read_bytes()
        server.files["/w"] = content
        of_test = MusicTagEmbedding._published["seed 0"]
        here = of_test._replace(url=server.url("/w"), filename="msd_musicnn.data")
        monkeypatch.setitem(MusicTagEmbedding._published, "msd", here)
        assert MusicTagEmbedding().signature == MusicTagEmbedding(weights).signature
        expected = MusicTagEmbedding(weights).transform(paths)
        for n_jobs in (None, 2):
            found = MusicTagEmbedding(n_jobs=n_jobs).transform(paths)
            np.testing.assert_array_equal(found, expected)
        assert server.requests == {"/w": 1}
        assert os.listdir(tmp_path / "data") == ["msd_musicnn.data"]
        _embeddings._load.cache_clear()
        os.remove(tmp_path / "data" / "msd_musicnn.data")
        url = server.url("/w")
    with pytest.raises(ConnectionError, match=r"weights='/path/to/msd_musicnn\.data'") as error:
        MusicTagEmbedding().transform(paths)
    assert url in str(error.value)
    assert str(tmp_path / "data") in str(error.value)


def test_a_saved_mixture_of_both(weights, paths, tmp_path):
    sounds = write_small_weights(tmp_path / "mn01.pt")
    experts = [
        ("sounds", make_pipeline(AudioSetEmbedding(sounds), LogisticRegression())),
        ("music", make_pipeline(MusicTagEmbedding(weights), LogisticRegression())),
    ]
    X, y = [*paths, paths[0]], ["a", "b", "b", "a"]
    clf = MixtureOfExpertsClassifier(experts, cv=2).fit(X, y)
    save_model(clf, tmp_path / "model.skops")
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(load_model(tmp_path / "model.skops").predict_proba(X), expected)
    np.testing.assert_array_equal(clf.predict_proba(clf.extract(X)), expected)


def test_both_files_of_weights_have_moved(paths, tmp_path):
    files = [write_small_weights(tmp_path / "mn01.pt"), write_music_weights(tmp_path / "msd.data")]
    both = [("s", AudioSetEmbedding(files[0])), ("m", MusicTagEmbedding(files[1]))]
    experts = [(name, make_pipeline(one, LogisticRegression())) for name, one in both]
    X, y = [*paths, paths[0]], ["a", "b", "b", "a"]
    clf = MixtureOfExpertsClassifier(experts, "balanced").fit(X, y)
    save_model(clf, tmp_path / "model.skops")
    expected = clf.predict_proba(X)
    moved = [file.rename(file.with_stem("moved")) for file in files]
    loaded = load_model(tmp_path / "model.skops", weights=moved[::-1])
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"mn01\.pt', by its SHA-256"):
        load_model(tmp_path / "model.skops", weights=moved[1])
