"""The published experts answer as they do in Keras, and nothing else passes for them."""

import re
import shutil
import sys

import h5py
import numpy as np
import pooch
import pytest
from sklearn.utils.validation import check_is_fitted

from sklearn_genremoe import BalancedMixer, pretrained
from sklearn_genremoe.pretrained import fetch_published_experts, load_published_experts
from tests._server import file_server
from tests._shared import shared_data

NAMES = ("original", "harmonic", "percussive", "modulation")
GENRES = [
    "Electronic",
    "Experimental",
    "Folk",
    "Hip-Hop",
    "Instrumental",
    "International",
    "Pop",
    "Rock",
]


@pytest.fixture(scope="module")
def folder():
    return shared_data("published_experts")


@pytest.fixture(scope="module")
def published(folder):
    return load_published_experts(folder)


@pytest.fixture(scope="module")
def reference(folder):
    with np.load(folder / "keras_reference.npz") as file:
        return dict(file)


@pytest.fixture
def copies(folder, tmp_path):
    """A folder of writable copies, to be spoilt."""
    for name in NAMES:
        shutil.copyfile(folder / f"{name}.hdf5", tmp_path / f"{name}.hdf5")
    return tmp_path


def test_fitted_balanced_mixture(published):
    check_is_fitted(published)
    assert isinstance(published.mixer_, BalancedMixer)
    assert list(published.named_experts_) == list(NAMES)
    assert published.classes_.tolist() == GENRES
    assert published.n_features_in_ == 661_500
    for name in NAMES:
        expert = published.named_experts_[name]
        check_is_fitted(expert)
        assert expert.classes_.tolist() == GENRES
        state = expert[-1].net_.module_.state_dict()
        assert sum(tensor.numel() for tensor in state.values()) == 891_208


@pytest.mark.parametrize("name", NAMES)
def test_same_probabilities_as_keras(published, reference, name):
    X = reference[f"{name}_input"].astype(np.float32)
    proba = published.named_experts_[name][-1].predict_proba(X)
    np.testing.assert_allclose(proba, reference[f"{name}_proba"], rtol=0, atol=1e-5)


def test_real_clip_by_path_is_hip_hop(published, reference):
    path = shared_data("fma", "000002.mp3")
    (probas,) = published.expert_predict_proba([path])
    assert [GENRES[best] for best in probas.argmax(axis=1)] == ["Hip-Hop"] * 4
    expected = np.stack([reference[f"fma_000002_{name}_proba"] for name in NAMES])
    np.testing.assert_allclose(probas, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(published.predict_proba([path])[0], probas.mean(axis=0))
    np.testing.assert_allclose(published.mixture_weights([path]), 0.25)
    assert published.predict([str(path)]).tolist() == ["Hip-Hop"]


def test_each_expert_predicts_by_path(published):
    path = shared_data("fma", "000002.mp3")
    assert published.named_experts_["modulation"].predict([path]).tolist() == ["Hip-Hop"]


def test_whole_keras_models_are_read_too(published, copies, reference):
    name = "percussive"
    with h5py.File(copies / f"{name}.hdf5", "r+") as file:
        whole = file.create_group("model_weights")
        whole.attrs["layer_names"] = file.attrs["layer_names"]
        for layer in [layer for layer in file if layer != "model_weights"]:
            file.move(layer, f"model_weights/{layer}")
    X = reference[f"{name}_input"].astype(np.float32)
    expected = published.named_experts_[name][-1].predict_proba(X)
    proba = load_published_experts(copies).named_experts_[name][-1].predict_proba(X)
    np.testing.assert_array_equal(proba, expected)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no original\.hdf5, .* Pass the"):
        load_published_experts(tmp_path / "nowhere")


def test_missing_file(copies):
    (copies / "harmonic.hdf5").rename(copies / "harmonic.h5")
    with pytest.raises(
        FileNotFoundError, match=r"there is no harmonic\.hdf5 here. Pass the folder that holds"
    ):
        load_published_experts(copies)


@pytest.mark.parametrize("content", [b"", b"not HDF5"])
def test_not_hdf5(copies, content):
    (copies / "original.hdf5").write_bytes(content)
    with pytest.raises(ValueError, match=r"original.hdf5 holds no Keras weights, or was cut short"):
        load_published_experts(copies)


def test_truncated_file(copies):
    path = copies / "modulation.hdf5"
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(ValueError, match=r"modulation.hdf5 holds no Keras weights, or was cut"):
        load_published_experts(copies)


def test_hdf5_without_keras_weights(copies):
    with h5py.File(copies / "original.hdf5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"original.hdf5 holds no Keras weights"):
        load_published_experts(copies)


@pytest.mark.parametrize("names", [3, "conv", np.array([[1]]), h5py.Empty("f")])
def test_names_of_layers_that_are_no_list(copies, names):
    with h5py.File(copies / "original.hdf5", "r+") as file:
        file.attrs["layer_names"] = names
    with pytest.raises(ValueError, match=r"original.hdf5 holds no Keras weights"):
        load_published_experts(copies)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(copies, value):
    with h5py.File(copies / "harmonic.hdf5", "r+") as file:
        layer = file["dense_harmonic"]
        layer[layer.attrs["weight_names"][1]][0] = value
    with pytest.raises(ValueError, match=r"harmonic.hdf5 holds weights that are NaN"):
        load_published_experts(copies)


@pytest.mark.parametrize("folder", [None, 3])
def test_folder_is_no_path(folder):
    with pytest.raises(ValueError, match=rf"expected a path \(str or Path\), found {folder}"):
        load_published_experts(folder)


def test_exchanged_files(copies):
    shutil.copyfile(copies / "percussive.hdf5", copies / "harmonic.hdf5")
    with pytest.raises(
        ValueError, match=r"harmonic.hdf5 doesn't hold the harmonic expert: no layer 'dense_harm"
    ):
        load_published_experts(copies)


def test_another_number_of_genres(copies):
    with h5py.File(copies / "original.hdf5", "r+") as file:
        layer = file["dense_original"]
        for weight in layer.attrs["weight_names"]:
            narrow = layer[weight][..., :5]
            del layer[weight]
            layer[weight] = narrow
    with pytest.raises(ValueError, match=r"(?s)8 genres\. .* head\.bias: .*\[5\].*\[8\].*Use"):
        load_published_experts(copies)


def test_a_layer_too_few(copies):
    with h5py.File(copies / "original.hdf5", "r+") as file:
        names = [name for name in file.attrs["layer_names"] if name != b"conv2d_85"]
        file.attrs["layer_names"] = names
    with pytest.raises(
        ValueError, match=r"(?s)original\.hdf5 .*Missing key.* \"blocks\.4\.conv\.bias\""
    ):
        load_published_experts(copies)


def test_without_h5py(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="needs h5py: pip install h5py"):
        load_published_experts(folder)


class TestFetched:
    @pytest.fixture
    def server(self, folder, monkeypatch):
        with file_server() as server:
            server.files |= {
                f"/{name}.hdf5": (folder / f"{name}.hdf5").read_bytes() for name in NAMES
            }
            monkeypatch.setattr(pretrained, "_BASE_URL", server.url("/"))
            yield server

    def test_same_as_loaded_and_offline_from_then_on(
        self, server, tmp_path, published, monkeypatch
    ):
        said = []
        monkeypatch.setattr(
            pooch.get_logger(), "info", lambda text, *args: said.append(text % args)
        )
        clf = fetch_published_experts(tmp_path)
        assert "carry no licence" in said[0]
        said.clear()
        assert sorted(path.name for path in tmp_path.rglob("*.hdf5")) == sorted(
            f"{name}.hdf5" for name in NAMES
        )
        X = np.random.default_rng(0).standard_normal((1, 96, 646)).astype(np.float32)
        one, other = (each.named_experts_["modulation"][-1] for each in (clf, published))
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        server.server_close()
        fetch_published_experts(tmp_path, download_if_missing=False)
        fetch_published_experts(tmp_path)
        assert said == []
        assert set(server.requests.values()) == {1}

    def test_address_is_of_a_fixed_commit(self):
        assert re.fullmatch(
            r"https://raw\.githubusercontent\.com/superlyy/apsipa_2019/[0-9a-f]{40}/"
            r"experiments/fma_small/weights/",
            pretrained._BASE_URL,
        )

    def test_folder_from_the_environment(self, server, tmp_path, monkeypatch):
        monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path))
        fetch_published_experts()
        assert len(list((tmp_path / "published_experts").iterdir())) == 4

    def test_another_file(self, server, tmp_path):
        server.files["/percussive.hdf5"] = server.files["/harmonic.hdf5"]
        with pytest.raises(OSError, match=r"percussive.hdf5: what arrived .* is damaged"):
            fetch_published_experts(tmp_path)

    def test_server_error(self, server, tmp_path):
        server.faults["/original.hdf5"] = 404
        with pytest.raises(
            ConnectionError, match=r"answers 404 .* put it, under the name original"
        ):
            fetch_published_experts(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"original.hdf5: no such file"):
            fetch_published_experts(tmp_path, download_if_missing=False)


def test_global_random_state_is_untouched(folder):
    before = str(np.random.mtrand._rand.get_state())
    load_published_experts(folder)
    assert str(np.random.mtrand._rand.get_state()) == before
