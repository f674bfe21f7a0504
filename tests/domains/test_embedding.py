"""AudioSetEmbedding: what it computes, where its weights come from, and what it costs."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from joblib import parallel_config
from sklearn.base import clone

from sklearn_genremoe import (
    AudioSetEmbedding,
    CNNMixer,
    DomainUnion,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
)
from sklearn_genremoe.audio import BadClipError, BadClipWarning, _decode, decode_audio
from sklearn_genremoe.domains import DomainBatch, _embeddings
from sklearn_genremoe.domains._mobilenet import Embedder, read_embedder
from tests._server import file_server
from tests._shared import shared_data
from tests._weights import N_FEATURES, MobileNet, small_state, write_small_weights

RATE = 22050


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_small_weights(tmp_path_factory.mktemp("weights") / "mn01.pt"))


@pytest.fixture(scope="module")
def waveforms():
    t = np.arange(4 * RATE) / RATE
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (5, len(t)))
    return (np.sin(2 * np.pi * 200 * np.arange(1, 6)[:, None] * t**1.2) + noise) / 4


@pytest.fixture(scope="module")
def paths(tmp_path_factory, waveforms):
    folder = tmp_path_factory.mktemp("clips")
    for i, waveform in enumerate(waveforms):
        soundfile.write(folder / f"{i}.wav", waveform, RATE)
    return [str(folder / f"{i}.wav") for i in range(len(waveforms))]


def published(name="mn04_as_mAP_432.pt"):
    return shared_data("efficientat", name)


# What it computes.


def test_parity_of_the_network_with_its_authors():
    reference = np.load(published("reference_mn04.npz"))
    audio = 0.1 * torch.randn(2, 320000, generator=torch.Generator().manual_seed(0))
    network = MobileNet(0.4).eval()
    network.load_state_dict(torch.load(published(), weights_only=True))
    embedder = read_embedder(published().read_bytes(), "mn04")
    with torch.inference_mode():
        logmel = embedder.logmel(audio)
        embeddings, logits = network(logmel)
    np.testing.assert_allclose(logmel[:, :, ::50], reference["logmel"], atol=1e-4)
    np.testing.assert_allclose(embeddings, reference["emb"], atol=1e-4)
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-4)
    for row in range(2):  # batch normalisation folded, windows alone
        embedding, _ = embedder.embed(audio[row].numpy(), 10.0)
        np.testing.assert_allclose(embedding[0], reference["emb"][row], atol=1e-4)
        tags, _ = embedder.embed(audio[row].numpy(), 10.0, "tags")
        expected = torch.from_numpy(reference["logits"][row]).sigmoid()
        np.testing.assert_allclose(tags[0], expected, atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "mean_std"])
def test_parity_on_music(pool):
    reference = np.load(published("music_mn04.npz"))
    some = slice(None, None, 6)
    clips = [
        decode_audio(shared_data("music", *path.split("/")), duration=30.0)
        for path in reference["paths"][some]
    ]
    embedding = AudioSetEmbedding(published(), level=None, pool=pool)
    found = embedding.transform(np.stack(clips))
    expected = reference["emb"][some].mean(axis=1)
    if pool == "mean_std":
        expected = np.concatenate([expected, reference["emb"][some].std(axis=1)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize(
    ("width", "n_last", "n_stages"), [(0.1, 96, 296), (0.5, 480, 1456), (1.0, 960, 2896)]
)
def test_any_width(width, n_last, n_stages):
    state = small_state(width=width)
    embedder = Embedder({k: v for k, v in state.items() if not k.endswith("_tracked")})
    assert embedder.n_features == {"last": n_last, "stages": n_stages, "tags": 527}


def test_what_is_heard_before_the_last_layer(weights):
    audio = np.random.default_rng(0).uniform(-1, 1, 32000 * 4).astype(np.float32)
    network = read_embedder(Path(weights).read_bytes(), weights)
    last, stages = (
        AudioSetEmbedding(weights, 2.0, None, layers=layers, sample_rate=32000).fit(audio[None])
        for layers in ("last", "stages")
    )
    found = stages.transform(audio[None])[0]
    assert len(stages.get_feature_names_out()) == len(found) == 2 * network.n_features["stages"]
    expected = []
    plain = MobileNet(0.1).eval()
    plain.load_state_dict(torch.load(weights, weights_only=True))
    with torch.inference_mode():
        x = network.logmel(torch.from_numpy(audio).reshape(2, -1)).unsqueeze(1)
        for number, layer in enumerate(plain.features):
            if number in (6, 10, 12, 15):  # all of the block but the layer that makes it narrow
                expected.append(layer.block[:-1](x).mean((2, 3)))
            x = layer(x)
        expected = torch.cat([x.mean((2, 3)), *expected], dim=1).numpy()
    mean, deviation = np.split(found, 2)
    np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(deviation, expected.std(axis=0), rtol=1e-2, atol=1e-4)
    of_last = np.split(last.transform(audio[None])[0], 2)
    np.testing.assert_array_equal(mean[:N_FEATURES], of_last[0])
    np.testing.assert_array_equal(deviation[:N_FEATURES], of_last[1])


def test_windows_and_what_is_left_of_them(weights):
    audio = np.random.default_rng(0).uniform(-1, 1, 32000 * 5).astype(np.float32)
    network = read_embedder(Path(weights).read_bytes(), weights)

    def embed(seconds, window, pool="mean_std"):
        x = audio[None, : round(seconds * 32000)]
        return AudioSetEmbedding(weights, window, None, pool, sample_rate=32000).transform(x)[0]

    def alone(start, stop):
        x = audio[round(start * 32000) : round(stop * 32000)]
        return network.embed(x, 10.0)[0][0]

    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(embed(3, 10, "mean"), alone(0, 3), **close)  # shorter than one
    first, second, rest = alone(0, 2), alone(2, 4), alone(4, 5)
    two, three = (first + second) / 2, (2 * first + 2 * second + rest) / 5
    np.testing.assert_allclose(embed(4, 2, "mean"), two, **close)
    np.testing.assert_allclose(embed(4.9, 2, "mean"), two, **close)  # less than a second is left
    np.testing.assert_allclose(embed(5, 2, "mean"), three, **close)
    deviation = np.sqrt(
        (2 * (first - three) ** 2 + 2 * (second - three) ** 2 + (rest - three) ** 2) / 5
    )
    np.testing.assert_allclose(embed(5, 2), [*three, *deviation], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(embed(1, 2)[N_FEATURES:], 0)  # one window doesn't deviate


def test_level(weights, waveforms):
    loud = AudioSetEmbedding(weights).transform(waveforms)
    quiet = AudioSetEmbedding(weights).transform(0.01 * waveforms)
    np.testing.assert_allclose(quiet, loud, rtol=1e-3, atol=1e-3)
    as_they_are = AudioSetEmbedding(weights, level=None)
    changed = as_they_are.transform(waveforms) - as_they_are.transform(0.01 * waveforms)
    assert abs(changed).max() > 0.1
    level = 20 * np.log10(np.sqrt(np.mean(waveforms[0] ** 2)))
    same = AudioSetEmbedding(weights, level=level).transform(waveforms[:1])
    np.testing.assert_allclose(same, as_they_are.transform(waveforms[:1]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_samples", [1, 700, 1500, 40000])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e10])
@pytest.mark.filterwarnings("ignore:X holds samples of up to")
def test_odd_waveforms_give_numbers(weights, n_samples, scale):
    X = scale * np.random.default_rng(0).uniform(-1, 1, (2, n_samples))
    features = AudioSetEmbedding(weights).transform(X)
    assert features.shape == (2, 2 * N_FEATURES)
    assert np.isfinite(features).all()


# Rates: those of files and those of waveforms.


def test_a_file_is_heard_above_11_khz(weights, tmp_path):
    t = np.arange(2 * 44100) / 44100
    audio = 0.1 * np.sin(2 * np.pi * 300 * t) + 0.1 * np.sin(2 * np.pi * 13000 * t)
    soundfile.write(tmp_path / "a.wav", audio, 44100, subtype="FLOAT")
    union = DomainUnion(
        [
            ("mel", LogMelSpectrogram(duration=2.0)),
            ("embedding", AudioSetEmbedding(weights, duration=2.0)),
        ]
    )
    from_file = union.transform([tmp_path / "a.wav"])["embedding"]
    at_its_rate = AudioSetEmbedding(weights, sample_rate=44100).transform(audio[None])
    np.testing.assert_allclose(from_file, at_its_rate, rtol=1e-3, atol=1e-3)
    halved = soxr.resample(audio, 44100, RATE, quality="HQ")[None]
    without = AudioSetEmbedding(weights, sample_rate=RATE).transform(halved)
    assert abs(from_file - without).max() > 0.05 * abs(from_file).max()


def test_one_decode_for_all_rates(weights, paths, monkeypatch):
    opened = []
    read_blocks = _decode.read_blocks

    def counting(path, *args):
        opened.append(path)
        return read_blocks(path, *args)

    monkeypatch.setattr(_decode, "read_blocks", counting)
    domains = [
        ("mel", LogMelSpectrogram(duration=2.0)),
        ("embedding", AudioSetEmbedding(weights, duration=2.0)),
        ("embedding of all", AudioSetEmbedding(weights)),
        ("wide", LogMelSpectrogram(44100, duration=2.0)),
    ]
    batch = DomainUnion(domains).transform(paths)
    assert opened == paths
    for name, domain in domains:
        np.testing.assert_array_equal(batch[name], domain.transform(paths))


def test_short_files(weights, paths):
    long = AudioSetEmbedding(weights, window=2.0).transform(paths)
    exact = AudioSetEmbedding(weights, window=2.0, duration=4.0).transform(paths)
    np.testing.assert_array_equal(long, exact)
    for fill in ("zeros", "repeat"):
        filled = AudioSetEmbedding(weights, window=2.0, duration=7.0, fill=fill).transform(paths)
        assert abs(filled - exact).max() > 0.01


def test_waveforms_of_a_union_have_one_rate(weights, waveforms):
    embedding = AudioSetEmbedding(weights)
    batch = DomainUnion([("mel", LogMelSpectrogram()), ("e", embedding)]).transform(waveforms)
    np.testing.assert_array_equal(batch["e"], embedding.transform(waveforms))
    other = AudioSetEmbedding(weights, sample_rate=44100)
    with pytest.raises(ValueError, match="waveforms have one sample rate"):
        DomainUnion([("mel", LogMelSpectrogram()), ("e", other)]).transform(waveforms)


# Like any domain.


def test_nothing_changes_a_bit(weights, paths):
    embedding = AudioSetEmbedding(weights, window=1.5)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    expected = embedding.transform(paths)
    one_by_one = np.concatenate([embedding.transform([path]) for path in paths])
    np.testing.assert_array_equal(one_by_one, expected)
    np.testing.assert_array_equal(clone(embedding).set_params(n_jobs=3).transform(paths), expected)
    with parallel_config("loky", n_jobs=2):
        np.testing.assert_array_equal(embedding.transform(paths), expected)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(embedding.transform(paths), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    _embeddings._load.cache_clear()
    torch.manual_seed(1)
    np.testing.assert_array_equal(embedding.transform(paths), expected)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_reading_weights_draws_no_random_numbers(weights):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    read_embedder(Path(weights).read_bytes(), weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_in_a_union_and_its_batch(weights, paths):
    embedding = AudioSetEmbedding(weights, duration=3.0)
    union = DomainUnion([("mel", LogMelSpectrogram(duration=3.0)), ("e", embedding)])
    batch = union.fit_transform(paths)
    assert repr(batch) == f"DomainBatch(5 clips; mel: 96 x 130, e: {2 * N_FEATURES})"
    np.testing.assert_array_equal(
        embedding.transform(batch[[3, 1]]), embedding.transform(paths)[[3, 1]]
    )
    with pytest.raises(ValueError, match="does not hold AudioSetEmbedding"):
        AudioSetEmbedding(weights, window=2.0).transform(batch)
    assert embedding.transform(pickle.loads(pickle.dumps(batch))).shape == (5, 2 * N_FEATURES)


def test_bad_clips(weights, paths, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    some = [paths[0], tmp_path / "bad.wav", paths[1]]
    with pytest.raises(BadClipError, match=r"bad\.wav"):
        AudioSetEmbedding(weights).transform(some)
    with pytest.warns(BadClipWarning, match="row 1"):
        features = AudioSetEmbedding(weights, on_error="warn").transform(some)
    assert np.isnan(features).all(axis=1).tolist() == [False, True, False]


def test_names_of_the_features(weights, paths):
    frame = AudioSetEmbedding(weights).set_output(transform="pandas").fit_transform(paths)
    assert frame.shape == (5, 2 * N_FEATURES)
    assert frame.columns[-1] == f"audiosetembedding{2 * N_FEATURES - 1}"


def test_small_where_it_is_copied(weights, paths):
    embedding = AudioSetEmbedding(weights)
    embedding.fit_transform(paths[:1])
    assert len(pickle.dumps(embedding)) < 1000
    assert clone(embedding).get_params() == embedding.get_params()
    assert set(vars(embedding)) == {*embedding.get_params(), "n_features_in_", "bad_clips_"}


def test_torch_is_not_imported_before_it_is_used(weights):
    code = (
        "import sys, sklearn_genremoe.domains as domains, pickle\n"
        f"pickle.dumps(domains.AudioSetEmbedding({weights!r}).fit([[0.0] * 2000]).signature)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.getcwd())


def test_the_cache_knows_the_weights(weights, paths, tmp_path):
    other = tmp_path / "other.pt"
    write_small_weights(other, seed=1)
    calls = []

    class Counting(AudioSetEmbedding):
        def features(self, analysis):
            calls.append(1)
            return super().features(analysis)

    def extract(weights):
        calls.clear()
        union = DomainUnion([("e", Counting(weights, duration=1.0))], memory=tmp_path / "cache")
        return np.array(union.transform(paths)["e"]), len(calls)

    first, n_computed = extract(weights)
    assert n_computed == 5
    assert extract(weights)[1] == 0
    second, n_computed = extract(other)
    assert n_computed == 5
    assert abs(first - second).max() > 0.01
    other.write_bytes(Path(weights).read_bytes())  # another content under the same name
    third, n_computed = extract(other)
    assert n_computed == 0  # which is known under another name
    np.testing.assert_array_equal(third, first)


def test_a_batch_outlives_the_file_of_weights(paths, tmp_path):
    weights = write_small_weights(tmp_path / "gone.pt")
    embedding = AudioSetEmbedding(weights, duration=1.0)
    mel = LogMelSpectrogram(duration=1.0)
    batch = DomainUnion([("e", embedding), ("mel", mel)]).transform(paths)
    weights.unlink()
    assert mel.transform(batch).shape[0] == 5
    assert embedding.transform(batch).shape[0] == 5


def test_a_batch_is_not_of_weights_that_replaced_its_own(paths, tmp_path):
    weights = write_small_weights(tmp_path / "net.pt")
    embedding = AudioSetEmbedding(weights, duration=1.0)
    batch = DomainUnion([("e", embedding)]).transform(paths)
    pickled = pickle.dumps(batch)
    write_small_weights(weights, seed=1)
    for old in (batch, batch[[0, 2]], batch | {"t": np.zeros((5, 1))}, pickle.loads(pickled)):
        with pytest.raises(ValueError, match="does not hold AudioSetEmbedding"):
            embedding.transform(old)
    new = DomainUnion([("e", embedding)]).transform(paths)
    with pytest.raises(ValueError, match="the batches hold different domains"):
        np.concatenate([batch, new])
    assert embedding.transform(new).shape[0] == 5


def test_bad_clips_of_a_batch_are_not_passed_on(weights, paths, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    some = [paths[0], tmp_path / "bad.wav", paths[1]]
    union = DomainUnion([("e", AudioSetEmbedding(weights, duration=1.0))], on_error="warn")
    with pytest.warns(BadClipWarning):
        batch = union.fit_transform(some)
    embedding = AudioSetEmbedding(weights, duration=1.0)
    with pytest.raises(ValueError, match=r"clips without features: \{1: .*bad\.wav"):
        embedding.fit_transform(batch)
    with pytest.raises(ValueError, match=r"clips without features: \{0: .*bad\.wav"):
        embedding.transform(batch[1:])
    embedding.set_params(on_error="warn")
    with pytest.warns(BadClipWarning, match="row 1: .*bad"):
        features = embedding.fit_transform(batch)
    assert list(embedding.bad_clips_) == [1]
    assert np.isnan(features).all(axis=1).tolist() == [False, True, False]
    assert embedding.set_params(on_error="raise").transform(batch[[0, 2]]).shape[0] == 2


def test_weights_in_the_home_folder(weights, paths, monkeypatch):
    monkeypatch.setenv("HOME", os.path.dirname(weights))
    here, home = AudioSetEmbedding(weights), AudioSetEmbedding(f"~/{os.path.basename(weights)}")
    np.testing.assert_array_equal(here.transform(paths[:1]), home.transform(paths[:1]))
    assert here.signature == home.signature


def test_names_as_paths_and_endless_windows(weights, paths):
    assert AudioSetEmbedding(Path("mn04")).signature == AudioSetEmbedding().signature
    whole = AudioSetEmbedding(weights, window=1e300).transform(paths[:1])
    np.testing.assert_array_equal(whole, AudioSetEmbedding(weights, window=30).transform(paths[:1]))


def test_as_an_expert(weights, paths):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    experts = [
        ("embedding", make_pipeline(AudioSetEmbedding(weights), LogisticRegression())),
        ("other", make_pipeline(AudioSetEmbedding(weights, pool="mean"), LogisticRegression())),
    ]
    X, y = paths[:4], ["a", "a", "b", "b"]
    clf = MixtureOfExpertsClassifier(experts, mixer="log_pool").fit(X, y)
    batch = DomainUnion([(name, expert[0]) for name, expert in experts]).transform(X)
    np.testing.assert_array_equal(clf.predict_proba(batch), clf.predict_proba(X))
    gate = CNNMixer(channels=(2, 2), max_epochs=1, random_state=0)
    for mixer in (gate, "stacking"):  # a gate looks at a spectrogram, where no expert has one
        assert clone(clf).set_params(mixer=mixer, cv=2).fit(X, y).predict(X).shape == (4,)


# Where the weights come from.


def test_not_a_name_and_not_a_file(paths, tmp_path):
    with pytest.raises(ValueError, match=r"weights='mn05' is neither a file .*\('mn04'\)"):
        AudioSetEmbedding("mn05").transform(paths)
    with pytest.raises(ValueError, match="is neither"):
        DomainUnion([("e", AudioSetEmbedding(tmp_path))]).transform(paths)


class Planted:
    """A pickle that would leave a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def broken_weights(kind, folder):
    state = small_state()
    path = folder / "weights.pt"
    if kind == "truncated":
        write_small_weights(path)
        path.write_bytes(path.read_bytes()[:50000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<html>Not Found</html>")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Planted(str(folder / "trace"))))
    elif kind == "planted":
        torch.save({**state, "more": Planted(str(folder / "trace"))}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "another network":
        torch.save(torch.nn.Linear(2, 3).state_dict(), path)
    elif kind == "missing key":
        del state["features.7.block.0.0.weight"]
        torch.save(state, path)
    elif kind == "missing block":
        torch.save({k: v for k, v in state.items() if not k.startswith("features.9.")}, path)
    elif kind == "wrong groups":
        torch.save({**state, "features.3.block.0.0.weight": torch.zeros(8, 4, 1, 1)}, path)
    elif kind == "one key more":
        torch.save({**state, "extra": torch.zeros(3)}, path)
    elif kind == "wrong shape":
        torch.save({**state, "features.0.0.weight": torch.zeros(8, 3, 3, 3)}, path)
    elif kind == "wrong dimensions":
        torch.save({**state, "features.0.0.weight": torch.zeros(8)}, path)
    elif kind == "numbered":
        torch.save({**state, 0: torch.zeros(8)}, path)
    elif kind == "no tensor":
        torch.save({**state, "features.0.0.weight": "text"}, path)
    elif kind == "pretends":
        torch.save({**state, "classifier.2.bias": torch.zeros(1).expand(10**9)}, path)
    elif kind == "nan":
        torch.save({**state, "features.0.1.bias": torch.full((8,), torch.nan)}, path)
    elif kind == "negative variance":
        torch.save({**state, "features.0.1.running_var": -torch.ones(8)}, path)
    elif kind == "for other spectrograms":
        path = write_small_weights(folder / "mn01_as_mels_64_mAP_300.pt")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "can't be read as weights: it was cut short"),
        ("empty", "can't be read as weights"),
        ("text", "can't be read as weights"),
        ("pickle", "or holds code, which was not run"),
        ("planted", "or holds code, which was not run"),
        ("list", "it holds a list"),
        ("tensor", "it holds a Tensor"),
        ("another network", "it lacks 'features.0.0.weight'"),
        ("missing key", "it lacks 'features.7.block.0.0.weight'"),
        ("missing block", "it lacks 'features.9.block.0.0.weight'"),
        ("one key more", r"it holds more than such a network: \['extra'\]"),
        ("wrong shape", "its layers don't fit each other"),
        ("wrong dimensions", "its layers don't fit each other"),
        ("numbered", "isn't such a network"),
        ("wrong groups", "its layers don't fit each other"),
        ("no tensor", "its entry 'features.0.0.weight' is no plain tensor"),
        ("pretends", "its entry 'classifier.2.bias' is no plain tensor"),
        ("nan", "its weights hold NaN"),
        ("negative variance", "its weights hold .* negative variances"),
        ("for other spectrograms", r"spectrograms have another resolution \(mels_64\)"),
    ],
)
def test_files_that_are_no_weights(kind, message, paths, tmp_path):
    path = broken_weights(kind, tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        AudioSetEmbedding(path).transform(paths)
    assert str(path) in str(error.value)
    assert "mn04_as_mAP_432.pt" in str(error.value)
    assert not (tmp_path / "trace").exists()


def test_half_precision(waveforms, tmp_path):
    state = torch.load(published(), weights_only=True)
    torch.save(
        {k: v.half() for k, v in state.items()},  # how often batches were seen becomes infinite
        tmp_path / "half.pt",
    )
    found = AudioSetEmbedding(tmp_path / "half.pt").transform(waveforms)
    expected = AudioSetEmbedding(published()).transform(waveforms)
    np.testing.assert_allclose(found, expected, atol=0.01 * abs(expected).max())


@pytest.fixture
def server(weights, monkeypatch, tmp_path):
    """A server of weights under the name mn04."""
    content = Path(weights).read_bytes()
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path / "data"))
    with file_server() as server:
        server.files["/mn04.pt"] = content
        entry = (server.url("/mn04.pt"), "mn04.pt", hashlib.sha256(content).hexdigest())
        published = _embeddings.Published(*entry)
        monkeypatch.setitem(AudioSetEmbedding._published, "mn04", published)
        _embeddings._load.cache_clear()
        yield server
        _embeddings._load.cache_clear()


def test_weights_by_name_are_fetched_once(server, weights, paths, tmp_path):
    expected = AudioSetEmbedding(weights).transform(paths)
    for n_jobs in (None, 2):
        _embeddings._load.cache_clear()
        found = AudioSetEmbedding(n_jobs=n_jobs).transform(paths)
        np.testing.assert_array_equal(found, expected)
    assert server.requests == {"/mn04.pt": 1}
    assert os.listdir(tmp_path / "data") == ["mn04.pt"]
    assert AudioSetEmbedding().signature == AudioSetEmbedding(weights).signature


def test_nothing_is_fetched_before_it_is_needed(server, paths, tmp_path):
    embedding = AudioSetEmbedding().fit(paths)
    assert embedding.signature
    AudioSetEmbedding().transform(DomainBatch({"table": np.zeros((3, 2 * N_FEATURES))}))
    assert server.requests == {}


def test_wrong_hash(server, paths, tmp_path):
    server.files["/mn04.pt"] += b"!"
    with pytest.raises(OSError, match="damaged or has been changed"):
        AudioSetEmbedding().transform(paths)
    assert os.listdir(tmp_path / "data") == []


def test_no_network(server, paths, tmp_path):
    server.server_close()
    with pytest.raises(ConnectionError) as error:
        AudioSetEmbedding().transform(paths)
    for part in (server.url("/mn04.pt"), str(tmp_path / "data"), "weights='/path/to/mn04.pt'"):
        assert part in str(error.value)
