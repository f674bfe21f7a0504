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
from sklearn_genremoe.experts import FrequencyMask, Mixup, TimeMask
from sklearn_genremoe.networks._dataset import ClipDataset
from sklearn_genremoe.networks._k2c2 import (
    K2C2,
    ConvBlock,
    resolve_pool_sizes,
    window_starts,
)
from sklearn_genremoe.networks._layers import BinScaling
from sklearn_genremoe.networks._net import Batches, GenreNet

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
    "augment": [TimeMask(3), FrequencyMask(3), Mixup()],
}


def test_whole_recipe_learns_and_is_deterministic(data: Data) -> None:
    X, y = data
    clf = make_clf(**RECIPE, max_epochs=60, lr=1e-2).fit(X, y)
    assert clf.score(X, y) > 0.9
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_proba(X)[3:5], clf.predict_proba(X[3:5]))


@pytest.mark.parametrize("mask", [TimeMask(5, 1), FrequencyMask(5, 1)])
def test_masks_hide_one_stretch_of_each_clip(mask: Any) -> None:
    clips = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 8, 9)))
    axis, other = (2, 1) if isinstance(mask, TimeMask) else (1, 2)
    masked = mask(clips, np.random.default_rng(1))
    hidden = (masked != clips).all(dim=other)
    assert torch.equal(hidden, (masked != clips).any(dim=other))
    lengths = hidden.sum(dim=1)
    assert lengths.unique().tolist() == [0, 1, 2, 3, 4, 5]
    # One stretch begins at most once.
    begins = (hidden[:, 1:] & ~hidden[:, :-1]).sum(dim=1) + hidden[:, 0]
    assert begins.max() == 1
    assert hidden[:, 0].any()
    assert hidden[:, -1].any()
    fill = clips.mean(dim=2, keepdim=True) if axis == 2 else clips.mean(dim=(1, 2), keepdim=True)
    where = hidden.unsqueeze(other).expand_as(clips)
    assert torch.equal(masked[where], fill.expand_as(clips)[where])


def test_masks_may_be_longer_than_the_clip() -> None:
    clips = torch.randn(50, 4, 3, generator=torch.Generator().manual_seed(0))
    for mask in (TimeMask(100), FrequencyMask(100)):
        assert mask(clips, np.random.default_rng(0)).shape == clips.shape
    assert torch.equal(TimeMask(0)(clips, np.random.default_rng(0)), clips)


def test_mixup_blends_clips_and_loss() -> None:
    class Halves(Mixup):
        def blend(self, n_clips: int, rng: Any) -> tuple[np.ndarray, float]:
            return np.arange(n_clips)[::-1].copy(), 0.75

    X = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    weights = np.array([1.0, 2.0, 3.0])
    dataset = ClipDataset(X, np.array([0, 1, 0]), np.arange(3), weights)
    (inputs, y) = next(iter(Batches(dataset, 3, augment=[Halves()])))
    np.testing.assert_allclose(inputs["X"], 0.75 * X + 0.25 * X[::-1])

    logits = torch.tensor([[1.0, -1.0], [0.5, 0.0], [2.0, 1.0]])
    net = GenreNet(
        K2C2,
        module__n_classes=2,
        module__input_shape=(2, 2),
        module__channels=(2,),
        criterion=torch.nn.CrossEntropyLoss,
        criterion__reduction="none",
        classes=[0, 1],
        verbose=0,
    ).initialize()
    loss = net.get_loss(logits, y, X=inputs, training=True)
    own = F.cross_entropy(logits, torch.tensor([0, 1, 0]), reduction="none").numpy()
    other = F.cross_entropy(logits, torch.tensor([0, 1, 0]).flip(0), reduction="none").numpy()
    expected = (0.75 * weights * own + 0.25 * weights[::-1] * other).sum() / weights.sum()
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_mixup_draws_as_often_and_as_strongly_as_it_is_told() -> None:
    rng = np.random.default_rng(0)
    drawn = [Mixup(alpha=1.0, probability=0.25).blend(6, rng) for _ in range(2000)]
    blended = [share for partner, share in drawn if share < 1]
    assert 0.22 < len(blended) / 2000 < 0.28
    assert 0.45 < np.mean(blended) < 0.55
    assert all(sorted(partner) == list(range(6)) for partner, _ in drawn)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TimeMask(-1), "max_frames"),
        (lambda: TimeMask(2, -1), "n_masks"),
        (lambda: FrequencyMask(-1), "max_bins"),
        (lambda: Mixup(0.0), "alpha"),
        (lambda: Mixup(0.3, 1.5), "probability"),
    ],
)
def test_wrong_augmentations(make: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make()


def test_training_sees_crops_and_prediction_averages_windows(data: Data) -> None:
    X, y = data
    seen = []

    def look(clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        seen.append(clips)
        return clips

    clf = make_clf(crop_frames=16, augment=look).fit(X, y)
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

    assert window_starts(40, 16) == [0, 8, 16, 24]
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


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_scaling_runs_over_all_clips_so_far(data: Data, way: str) -> None:
    X, y = data[0] * np.float32(3), data[1]
    first, second = slice(None, None, 3), np.arange(24) % 3 > 0
    X[second] += 10
    clf = make_clf(**STATISTICS, warm_start=True)
    for part in (first, second):
        if way == "partial_fit":
            clf.partial_fit(X[part], y[part], classes=["fast", "slow"])
        else:
            clf.fit(X[part], y[part])
    together = scaling(make_clf(**STATISTICS).fit(X, y))
    for name, running in scaling(clf).named_buffers():
        torch.testing.assert_close(running, together.get_buffer(name), msg=name)


def test_clips_that_come_again_leave_the_scaling_alone(data: Data) -> None:
    clf = make_clf(**STATISTICS, warm_start=True).fit(*data)
    before = scaling(clf).mean.clone(), scaling(clf).deviation.clone()
    clf.fit(*data)
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
    clf = make_clf(
        schedule="one_cycle", lr=0.01, max_epochs=10, callbacks=[record], warm_start=True
    )
    for _ in range(2):  # a continued training is a cycle of its own
        clf.fit(*data)
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
        pools = resolve_pool_sizes(shape, n_blocks, given, "statistics_pooling")
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
    block = ConvBlock(in_channels, 5, (11, 14), (2, 3), pool_first=True)
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


def test_wrong_augmentation(data: Data) -> None:
    with pytest.raises(ValueError, match="augment holds 'mixup', which is neither a function"):
        make_clf(augment=[TimeMask(), "mixup"]).fit(*data)


@pytest.mark.parametrize(
    "change",
    [
        lambda clips, rng: clips[:, :, :10],
        lambda clips, rng: torch.cat([clips, clips], dim=2),
        lambda clips, rng: clips[:, :6],
        lambda clips, rng: clips[:2],
        lambda clips, rng: clips.double(),
        lambda clips, rng: clips.numpy(),
        lambda clips, rng: None,
    ],
    ids=["shorter", "longer", "fewer bins", "fewer clips", "double", "ndarray", "nothing"],
)
def test_augmentation_that_returns_something_else(data: Data, change: Any) -> None:
    clf = make_clf(crop_frames=16, augment=[TimeMask(2), change])
    with pytest.raises(ValueError, match=r"augmentation <function .*shape and type that it got"):
        clf.fit(*data)
    assert not hasattr(clf, "classes_")
