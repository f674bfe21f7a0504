"""The experts that the paper's authors published."""

from collections import Counter
from pathlib import Path

import numpy as np
import pooch

from ._compat import import_optional
from ._files import data_folder, fetch_file, user_path
from .experts import paper_experts
from .mixture import BalancedMixer, MixtureOfExpertsClassifier

__all__ = ["fetch_published_experts", "load_published_experts"]

# The authors' repository at a fixed commit, and the SHA-256 of its files.
_BASE_URL = (
    "https://raw.githubusercontent.com/superlyy/apsipa_2019/"
    "4249d5415cf7a6b4783e921b92f407bbd2c5580e/experiments/fma_small/weights/"
)
_HASHES = {
    "original.hdf5": "a4b0e7081f72e15198cdd00e2eb4cd3c5eae1f8dd23b4bd1d66e6dc6cfaea22e",
    "harmonic.hdf5": "d81ff0a39443b15035a92e8de20be59a436ba4f74d0229b3888175598ebfe337",
    "percussive.hdf5": "ce766d3e6395760697039e17becdc206d19ef055880d06bd30995ba796f3ba8d",
    "modulation.hdf5": "c1650331dd2051f36452d283064d72024b5472b135c9a6d653258534e0aab34d",
}

# In the order of the outputs of the published networks.
_GENRES = "Electronic, Experimental, Folk, Hip-Hop, Instrumental, International, Pop, Rock"

# Keras' names of layers and of their weights, in the terms of our network.
_LAYERS = {"conv2d": "conv", "batch_normalization": "norm", "dense": "head"}
_TENSORS = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
_TENSORS |= {"moving_variance": "running_var"}


def fetch_published_experts(data_home=None, *, download_if_missing=True):
    """Fetch the paper's own experts for the eight genres of FMA-small, ready to predict.

    Downloads the four files (14 MB) from the authors' repository on first use and checks their
    hashes. They carry no licence: nothing says what else you may do with them.

    Parameters
    ----------
    data_home : str or Path, default=None
        The folder to keep the files in, as its subfolder ``published_experts``. None means
        ``$SKLEARN_GENREMOE_DATA``, or else the user's cache folder.
    download_if_missing : bool, default=True
        Whether to download the files that aren't there.

    Returns
    -------
    clf : MixtureOfExpertsClassifier
        What :func:`load_published_experts` returns.

    Raises
    ------
    ConnectionError
        If the server can't be reached, answers with an error, or breaks off.
    OSError
        If what arrived is damaged, the folder can't be written to, or a file is not there and must
        not be downloaded.

    See Also
    --------
    load_published_experts : The same from files of one's own; what it raises.

    Examples
    --------
    >>> from sklearn_genremoe.pretrained import fetch_published_experts
    >>> clf = fetch_published_experts()  # doctest: +SKIP
    >>> clf.predict(["song.mp3"])  # doctest: +SKIP
    array(['Hip-Hop'], dtype='<U13')
    """
    folder = data_folder(data_home) / "published_experts"
    if download_if_missing and not all((folder / name).is_file() for name in _HASHES):
        pooch.get_logger().info("The published experts (%s) carry no licence.", _BASE_URL)
    for name, known_hash in _HASHES.items():
        how = {"download_if_missing": download_if_missing}
        fetch_file(_BASE_URL + name, name, known_hash, folder, **how)
    return load_published_experts(folder)


def load_published_experts(folder):
    """Load the paper's own experts for the eight genres of FMA-small.

    The authors published the Keras weights of their four networks beside the paper's code, without
    a licence: :func:`fetch_published_experts` takes them from there.

    Parameters
    ----------
    folder : str or Path
        The folder with ``original.hdf5``, ``harmonic.hdf5``, ``percussive.hdf5`` and
        ``modulation.hdf5``.

    Returns
    -------
    clf : MixtureOfExpertsClassifier
        The fitted balanced mixture (MoEB) of the four experts, ready to predict on 30 s clips
        at 22,050 Hz. Its genres are Electronic, Experimental, Folk, Hip-Hop, Instrumental,
        International, Pop and Rock. Each expert in ``named_experts_`` predicts by itself too.

    Raises
    ------
    ImportError
        If h5py is not installed.
    FileNotFoundError
        If the folder or one of the files is missing.
    ValueError
        If a file isn't HDF5, doesn't hold the weights of its expert, or holds NaN.

    See Also
    --------
    fetch_published_experts : The same, downloaded.
    paper_experts : The same experts, untrained.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019.

    Examples
    --------
    >>> from sklearn_genremoe.pretrained import load_published_experts
    >>> clf = load_published_experts("published_experts")  # doctest: +SKIP
    >>> clf.predict(["fma/000002.mp3"])  # doctest: +SKIP
    array(['Hip-Hop'], dtype='<U13')
    """
    folder = user_path(folder)
    missing = [name for name in _HASHES if not (folder / name).is_file()]
    if missing:
        found = f"{folder}: there is no {', '.join(missing)} here"
        raise FileNotFoundError(f"{found}. Pass the folder that holds all four.")
    genres = np.array(_GENRES.split(", "))
    # Any seed, since the weights are replaced; without one, numpy's global state would be used.
    experts = paper_experts(random_state=0)
    for name, expert in experts:
        path = folder / f"{name}.hdf5"
        shape = (96, 646 if name == "modulation" else 1292)  # bins and frames of 30 s
        module = {"n_classes": len(genres), "input_shape": shape}
        net = {"module": module, "parameters": _read_weights(path, name)}
        state = {"classes_": genres, "input_shape_": shape, "n_features_in_": shape[0]}
        try:
            expert[-1].__setstate__({**state, "n_iter_": 0, "net_": net})
        except ValueError as error:
            found = f"{path} doesn't fit the network for {len(genres)} genres"
            raise ValueError(f"{found}. {error} Use it as is.") from error
    clf = MixtureOfExpertsClassifier(experts, mixer="balanced", cv="prefit")
    clf.n_features_in_ = experts[0][1][0].n_samples
    return clf._assemble(experts, BalancedMixer(), genres)


def _read_weights(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read the weights of an expert in the names and the layouts of :class:`K2C2`."""
    h5py = import_optional("h5py", "Reading the published experts", "h5py")
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)  # where Keras keeps them in a whole model
            layers = {
                layer: {
                    weight.split("/")[-1].split(":")[0]: np.asarray(root[layer][weight], np.float32)
                    for weight in root[layer].attrs["weight_names"].astype(str)
                }
                for layer in root.attrs["layer_names"].astype(str)
            }
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"{path} holds no Keras weights, or was cut short ({error})"
        raise ValueError(f"{found}; fetch it again.") from error

    # The published layers are named after their expert: a renamed file would go unnoticed
    # otherwise, since three of the four networks have the same shapes.
    if f"dense_{name}" not in layers:
        found = f"no layer 'dense_{name}' among {list(layers)}"
        advice = "Each file must keep the name under which it was published"
        raise ValueError(f"{path} doesn't hold the {name} expert: {found}. {advice}.")
    weights: dict[str, np.ndarray] = {}
    n_blocks = Counter[str]()
    for layer, values in layers.items():
        kind = layer.rpartition("_")[0]
        if kind not in _LAYERS:
            continue  # inputs, pools and activations have no weights
        prefix = "" if kind == "dense" else f"blocks.{n_blocks[kind]}."
        n_blocks[kind] += 1
        for key, array in values.items():
            # From (height, width, in, out) and (in, out) to (out, in, ...); vectors stay.
            ours = f"{prefix}{_LAYERS[kind]}.{_TENSORS.get(key, key)}"
            weights[ours] = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise ValueError(f"{path} holds weights that are NaN or infinite; fetch it again.")
    return weights
