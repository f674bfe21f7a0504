"""Clips with channels, (n_clips, n_channels, n_bins, n_frames)."""

import pickle
from typing import Any

import numpy as np
import pytest
import skops.io as skops
import torch
from torch.nn import functional as F

from sklearn_genremoe import CNNClassifier
from sklearn_genremoe.networks import K2C2

Data = tuple[np.ndarray, np.ndarray]
MIXING: dict[str, Any] = {"channels": (8, 8, 16), "architecture": "channel_mixing"}


@pytest.fixture(scope="module")
def data() -> Data:
    """Two classes that pulse in other bins of the third of five channels, and in another rate."""
    rng = np.random.default_rng(0)
    y = np.repeat(["high", "low"], 12)
    X = rng.normal(size=(24, 5, 8, 20)).astype(np.float32)
    X[:12, 2, 4:, ::2] += 2
    X[12:, 2, :4, ::4] += 2
    return X, y


def make_clf(**params: Any) -> CNNClassifier:
    defaults: dict[str, Any] = {"crop_frames": 10, "schedule": "one_cycle", "lr": 1e-2}
    small = {"max_epochs": 3, "batch_size": 8, "device": "cpu", "random_state": 0}
    return CNNClassifier(**{**MIXING, **defaults, **small, **params})


@pytest.mark.parametrize("architecture", ["k2c2", "statistics_pooling", "channel_mixing"])
def test_learns_from_channels(data: Data, architecture: str) -> None:
    X, y = data
    clf = make_clf(architecture=architecture, max_epochs=20, dropout=0.2).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.input_shape_ == (5, 8, 20)
    np.testing.assert_array_equal(clf.predict_proba(X.astype(np.float64)), clf.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_proba(X)[3:5], clf.predict_proba(X[3:5]))


def test_state_is_parameters_and_arrays(data: Data) -> None:
    clf = make_clf().fit(*data)
    dumped = skops.dumps(clf)
    copies = [
        pickle.loads(pickle.dumps(clf)),
        skops.loads(dumped, trusted=skops.get_untrusted_types(data=dumped)),
    ]
    clf.partial_fit(*data)
    for copy in copies:
        assert copy.history_[:, "train_loss"] == clf.history_[:3, "train_loss"]
        copy.partial_fit(*data)
        np.testing.assert_array_equal(copy.predict_proba(data[0]), clf.predict_proba(data[0]))


def test_weights_are_repetitions(data: Data) -> None:
    X, y = data
    weight = np.random.default_rng(0).integers(3, size=24)
    weighted = make_clf().fit(X, y, sample_weight=weight)
    repeated = make_clf().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    scaling = weighted.net_.module_.scaling
    mean = np.average(X.mean(axis=3), axis=0, weights=weight)
    square = np.average(np.square(X, dtype=np.float64).mean(axis=3), axis=0, weights=weight)
    np.testing.assert_allclose(scaling.mean, mean, atol=1e-5)
    np.testing.assert_allclose(scaling.deviation, np.sqrt(square - mean**2), rtol=1e-5)


@pytest.mark.parametrize("shape", [(40, 16, 24), (1, 1, 1), (3, 2, 1), (2, 1, 9), (5, 9, 7)])
def test_channel_mixing_in_plain_torch(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = K2C2(3, shape, **MIXING).eval()
    network.scaling.observe(torch.randn(shape[:2]), torch.rand(shape[:2]) + 0.5, 1.0)
    X = torch.randn(4, *shape)
    x = (X - network.scaling.mean[..., None]) / network.scaling.deviation[..., None]
    for number, block in enumerate(network.blocks):
        x = F.conv2d(x, block.conv.weight, padding=0 if number == 0 else 1)
        pool = ((1, 1), (2, min(2, -(-shape[2] // 2))), (4, 1))[number]
        x = F.max_pool2d(x, pool, padding=block.pooling.padding, ceil_mode=True)
        x = F.elu(block.norm(x))
    assert x.shape[2] == -(-shape[1] // 8)
    deviation = (x.var(dim=3, correction=0) + 1e-5).sqrt()
    expected = network.head(torch.cat([x.mean(dim=3).flatten(1), deviation.flatten(1)], dim=1))
    with torch.inference_mode():
        np.testing.assert_allclose(network(X), expected.detach(), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2])
def test_windows_of_single_frames_are_not_centred_to_nothing(data: Data, frames: int) -> None:
    X, y = data[0][..., :frames], data[1]
    for clips in (X, X[:, 2], X[:, 2, :, 0]):
        clf = make_clf(center_bins=True, crop_frames=1, max_epochs=20, channels=(8, 8))
        assert clf.fit(clips, y).score(clips, y) > 0.8


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 8, 20)), r"shape \(5, 8, 20\) of a single clip"),
        (np.zeros((3, 5, 8, 9)), r"clips of shape \(5, 8, 9\), but .* \(5, 8, 20\) as in fit"),
        (np.zeros((3, 5, 7, 20)), r"clips of shape \(5, 7, 20\)"),
        (np.zeros((3, 5, 20)), r"clips of shape \(5, 20\)"),
        (np.zeros((3, 4, 8, 20)), "X has 4 features, but CNNClassifier is expecting 5"),
        (np.zeros((3, 5, 8, 20, 1)), "X has 5 dimensions"),
        (np.full((3, 5, 8, 20), np.nan), r"contains NaN or infinity in 3 of 3 clips"),
    ],
)
def test_other_shapes_are_refused(data: Data, X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_clf(max_epochs=1).fit(*data).predict(X)
