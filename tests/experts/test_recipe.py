"""What CNNClassifier can train with beyond the paper's recipe."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from skorch.callbacks import Callback
from torch.nn import functional as F

from sklearn_genremoe import CNNClassifier
from sklearn_genremoe.networks._network import (
    K2C2,
    BinScaling,
    PooledBlock,
    resolve_pool_sizes,
)

Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Data:
    """Clips of 12 bins and 40 frames that differ in how fast they pulse."""
    rng = np.random.default_rng(0)
    y = np.repeat(["fast", "slow"], 12)
    X = rng.normal(size=(24, 12, 40)).astype(np.float32)
    X[:12, :, ::2] += 2
    X[12:, :, ::8] += 2
    return X, y


def make_clf(**params: Any) -> CNNClassifier:
    defaults: dict[str, Any] = {
        "channels": (4, 8),
        "max_epochs": 2,
        "batch_size": 8,
        "device": "cpu",
        "random_state": 0,
    }
    return CNNClassifier(**{**defaults, **params})


STATISTICS: dict[str, Any] = {"architecture": "statistics_pooling"}
RECIPE: dict[str, Any] = {
    "architecture": "statistics_pooling",
    "center_bins": True,
    "crop_frames": 16,
    "schedule": "one_cycle",
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "dropout": 0.3,
}


def test_whole_recipe_learns_and_is_deterministic(data: Data) -> None:
    X, y = data
    clf = make_clf(**RECIPE, max_epochs=60, lr=1e-2).fit(X, y)
    assert clf.score(X, y) > 0.9
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_proba(X)[3:5], clf.predict_proba(X[3:5]))


def test_training_sees_crops_and_prediction_averages_windows(data: Data) -> None:
    X, y = data
    seen = []

    class Look(Callback):
        def on_batch_begin(self, net: Any, batch: Any, **kwargs: Any) -> None:
            seen.append(batch[0]["X"])

    clf = make_clf(crop_frames=16, callbacks=[Look()]).fit(X, y)
    assert {tuple(clips.shape[1:]) for clips in seen} == {(12, 16)}
    # Crops are stretches of the clips, from many places.
    places = set()
    for clip in torch.cat(seen).numpy():
        found = [
            (row, start)
            for row in range(len(X))
            for start in range(25)
            if np.array_equal(X[row, :, start : start + 16], clip)
        ]
        assert len(found) == 1
        places.add(found[0][1])
    assert len(places) > 10

    with torch.inference_mode():
        windows = [
            softmax(clf.net_.module_(torch.from_numpy(X[:, :, s : s + 16])).numpy(), axis=1)
            for s in (0, 8, 16, 24)
        ]
    np.testing.assert_allclose(clf.predict_proba(X), np.mean(windows, axis=0), atol=1e-6)


def test_crops_longer_than_clips_are_whole_clips(data: Data) -> None:
    X, y = data
    whole = make_clf().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(make_clf(crop_frames=1000).fit(X, y).predict_proba(X), whole)


def test_watched_clips_are_judged_by_windows(data: Data) -> None:
    X, y = data
    clf = make_clf(crop_frames=16, validation_fraction=0.25).fit(X, y)
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()


def scaling(clf: CNNClassifier) -> BinScaling:
    return clf.net_.module_.scaling


def test_bins_are_scaled_by_the_training_clips(data: Data) -> None:
    X, y = data
    weight = np.linspace(0, 2, len(X))
    found = scaling(make_clf(**STATISTICS).fit(X, y, sample_weight=weight))
    mean = np.average(X.mean(axis=2), axis=0, weights=weight)
    square = np.average(np.square(X, dtype=np.float64).mean(axis=2), axis=0, weights=weight)
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.deviation, np.sqrt(square - mean**2), rtol=1e-5)


def test_scaling_makes_bins_alike() -> None:
    torch.manual_seed(0)
    network = K2C2(3, (12, 40), (4, 8), **STATISTICS).eval()
    X = torch.randn(5, 12, 40)
    factor, offset = torch.linspace(0.5, 4, 12), torch.linspace(-3, 3, 12)
    with torch.inference_mode():
        expected = network(X)
        network.scaling.observe(offset, factor, 10.0)
        logits = network(X * factor[:, None] + offset[:, None])
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_bins_that_never_vary_are_only_shifted(data: Data) -> None:
    X, y = data[0].copy(), data[1]
    X[:, 3] = 0.1
    clf = make_clf(**STATISTICS).fit(X, y)
    assert scaling(clf).deviation[3] == 0
    X[:, 3] = 0.1 + 1e-6
    assert np.isfinite(clf.predict_proba(X)).all()


def test_scaling_runs_over_all_clips_so_far(data: Data) -> None:
    X, y = data[0] * np.float32(3), data[1]
    first, second = slice(None, None, 3), np.arange(24) % 3 > 0
    X[second] += 10
    clf = make_clf(**STATISTICS)
    for part in (first, second):
        clf.partial_fit(X[part], y[part], classes=["fast", "slow"])
    together = scaling(make_clf(**STATISTICS).fit(X, y))
    for name, running in scaling(clf).named_buffers():
        torch.testing.assert_close(running, together.get_buffer(name), msg=name)


def test_clips_that_come_again_leave_the_scaling_alone(data: Data) -> None:
    clf = make_clf(**STATISTICS).fit(*data)
    before = scaling(clf).mean.clone(), scaling(clf).deviation.clone()
    clf.partial_fit(*data)
    torch.testing.assert_close((scaling(clf).mean, scaling(clf).deviation), before)


def test_centred_bins_ignore_the_colour_of_a_recording(data: Data) -> None:
    X, y = data
    clf = make_clf(center_bins=True).fit(X, y)
    colour = np.random.default_rng(1).normal(size=(len(X), 12, 1)).astype(np.float32)
    np.testing.assert_allclose(clf.predict_proba(X + colour), clf.predict_proba(X), atol=1e-5)


class RecordRates(Callback):
    """Keep the learning rate and beta 1 of each update."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.rates: list[float] = []

    def on_grad_computed(self, net: Any, *args: Any, **kwargs: Any) -> None:
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def test_one_cycle_rises_to_the_peak_and_falls_to_nothing(data: Data) -> None:
    record = RecordRates()
    make_clf(schedule="one_cycle", lr=0.01, max_epochs=10, callbacks=[record]).fit(*data)
    rates = np.array(record.rates)
    assert len(rates) == 30
    assert rates[0] == pytest.approx(0.01 / 25)
    assert 7 <= rates.argmax() <= 10
    assert rates.max() == pytest.approx(0.01, rel=0.02)
    assert (np.diff(rates[rates.argmax() :]) < 0).all()
    assert rates[-1] < 1e-4


def test_weight_decay_is_for_kernels_and_dense_weights(data: Data) -> None:
    net = make_clf(weight_decay=0.05).fit(*data).net_
    decayed = {
        id(p) for group in net.optimizer_.param_groups if group["weight_decay"] == 0.05
        for p in group["params"]
    }  # fmt: skip
    for name, parameter in net.module_.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1), name
    strong = make_clf(weight_decay=50.0).fit(*data).net_.module_.head.weight
    assert strong.norm() < 0.5 * net.module_.head.weight.norm()


def test_label_smoothing_keeps_the_loss_up(data: Data) -> None:
    X, y = data
    losses = [
        make_clf(label_smoothing=share, max_epochs=30, lr=1e-2).fit(X, y).history_[-1, "train_loss"]
        for share in (0.0, 0.5)
    ]
    assert losses[0] < 0.05
    # The least that half a uniform target allows: the entropy of (0.75, 0.25).
    assert losses[1] > 0.56


@pytest.mark.parametrize("shape", [(16, 32), (60, 129), (2, 1), (7, 5)])
def test_statistics_pooling_in_plain_torch(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = K2C2(3, shape, (5, 6), **STATISTICS).eval()
    X = torch.randn(4, *shape)
    x = X[:, None]
    for block in network.blocks:
        size, padding, output_shape = block.pooling
        x = F.conv2d(x, block.conv.weight, padding=1)
        x = F.max_pool2d(x, size, padding=padding, ceil_mode=True)
        norm = block.norm
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)
        x = F.elu(x)
        assert tuple(x.shape[2:]) == output_shape
    x = x.mean(dim=2)
    deviation = (x.var(dim=2, correction=0) + 1e-5).sqrt()
    expected = network.head(torch.cat([x.mean(dim=2), x.amax(dim=2), deviation], dim=1))
    with torch.inference_mode():
        np.testing.assert_allclose(network(X), expected.detach(), atol=1e-5)


@pytest.mark.parametrize("shape", [(128, 388), (96, 1292), (40, 50), (12, 4), (12, 3), (12, 1)])
@pytest.mark.parametrize("n_blocks", [1, 2, 5])
def test_frames_are_left_for_statistics(shape: tuple[int, int], n_blocks: int) -> None:
    for given in ("auto", [(1, 3)] * n_blocks):
        pools = resolve_pool_sizes(shape, [8] * n_blocks, given, "statistics_pooling")
        bins, frames = shape
        for pool in pools:
            bins, frames = -(-bins // pool[0]), -(-frames // pool[1])
        assert bins == (1 if given == "auto" else shape[0])
        assert frames >= min(2, shape[1])
        longest = 2 if given == "auto" else 3
        assert {pool for _, pool in pools} <= {1, longest}
        assert frames <= longest or all(pool == longest for _, pool in pools)


def test_deviation_over_time_is_none_of_a_single_frame(data: Data) -> None:
    module = make_clf(**STATISTICS, pool_sizes=((2, 40), (2, 40))).fit(*data).net_.module_
    with torch.inference_mode():
        features = module.blocks[0](torch.from_numpy(data[0][:, None]))
        mean, maximum, deviation = module._features(module.blocks[1](features)).split(8, dim=1)
    assert (maximum > mean).any()
    assert deviation.std() > 0.01
    make_clf(**STATISTICS).fit(data[0][:, :, 0], data[1])  # there is but one


@pytest.mark.parametrize("in_channels", [1, 3])
def test_pooling_before_the_norm_in_plain_torch(in_channels: int) -> None:
    torch.manual_seed(0)
    block = PooledBlock(in_channels, 5, (11, 14), (2, 3))
    torch.nn.init.normal_(block.norm.weight)  # of both signs
    exact = copy.deepcopy(block).double()
    x = torch.randn(4, in_channels, 11, 14, requires_grad=in_channels > 1)
    x_exact = x.detach().double().requires_grad_()
    for training in (True, False):
        y = block.train(training)(x)
        z = F.conv2d(x_exact, exact.conv.weight, padding=1)
        z = F.max_pool2d(z, (2, 3), padding=block.pooling.padding, ceil_mode=True)
        norm = exact.norm
        z = F.batch_norm(
            z, norm.running_mean, norm.running_var, norm.weight, norm.bias, training, 0.1, 1e-3
        )
        expected = F.elu(z)
        np.testing.assert_allclose(y.detach(), expected.detach(), atol=1e-5)
        np.testing.assert_allclose(block.norm.running_var, norm.running_var, rtol=1e-5)
        if training:
            target = torch.randn(y.shape)
            (y * target).sum().backward()
            (expected * target).sum().backward()
            for ours, theirs in zip(block.parameters(), exact.parameters()):
                torch.testing.assert_close(ours.grad, theirs.grad.float(), rtol=1e-4, atol=1e-4)
            if in_channels > 1:
                torch.testing.assert_close(x.grad, x_exact.grad.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"architecture": "vgg"}, "'architecture' parameter .* Got 'vgg'"),
        ({"schedule": "cosine"}, "'schedule' parameter .* Got 'cosine'"),
        ({"weight_decay": -1.0}, "'weight_decay' parameter .* Got -1.0"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter .* Got 1.0"),
        ({"crop_frames": 0}, "'crop_frames' parameter .* Got 0"),
    ],
)
def test_wrong_parameters(data: Data, params: dict[str, Any], message: str) -> None:
    clf = make_clf(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*data)
    assert not hasattr(clf, "net_")
