"""The parts that every network here trains with."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback, EarlyStopping

from sklearn_genremoe.networks import _data, _training
from sklearn_genremoe.networks._data import (
    ClipDataset,
    merge_duplicates,
    split_groups,
    split_validation,
)
from sklearn_genremoe.networks._network import K2C2, RecurrentGate
from sklearn_genremoe.networks._training import (
    GenreNet,
    LearningRate,
    local_seed,
    mixed_precision,
    net_state,
    predict_logits,
    resolve_device,
    restore_net,
)


class Linear(torch.nn.Module):
    """The smallest network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, 2)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.layer(X.flatten(1))


def make_net(**kwargs: Any) -> GenreNet:
    return GenreNet(
        Linear,
        criterion=torch.nn.CrossEntropyLoss,
        criterion__reduction="none",
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=4,
        train_split=None,
        verbose=0,
        **kwargs,
    ).initialize()


def make_dataset(n: int = 10, weights: Any = None) -> ClipDataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2, 3)).astype(np.float32)
    y = np.arange(n) % 2
    return ClipDataset(X, y, np.arange(n), np.ones(n, np.float32) if weights is None else weights)


def test_learning_rate_decays_with_every_update() -> None:
    rates: list[float] = []

    class Recorder(Callback):
        def on_grad_computed(self, net: Any, *args: Any, **kwargs: Any) -> None:
            rates.append(net.optimizer_.param_groups[0]["lr"])

    net = make_net(callbacks=[LearningRate(0.1, 0.5), Recorder()])
    net.train(make_dataset(), 1)
    net.train(make_dataset(), 1)  # a continued training goes on counting
    assert rates == pytest.approx([0.1 / (1 + 0.5 * t) for t in range(6)])


def test_loss_of_a_batch_is_the_weighted_mean() -> None:
    weights = np.array([1.0, 3.0, 0.5, 2.0], np.float32)
    net, dataset = make_net(), make_dataset(4, weights)
    inputs, y = dataset[np.arange(4)]
    logits = net.infer(inputs)
    losses = torch.nn.functional.cross_entropy(logits, y, reduction="none").detach().numpy()
    loss = net.get_loss(logits, y, X=inputs).item()
    assert loss == pytest.approx((weights * losses).sum() / weights.sum(), rel=1e-6)


def test_interrupt_goes_up_to_the_caller() -> None:
    class Interrupt(Callback):
        def on_batch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_net(callbacks=[Interrupt()]).train(make_dataset(), 2)


def test_interrupt_is_not_taken_for_early_stopping() -> None:
    class Interrupt(Callback):
        def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    callbacks = [EarlyStopping(monitor="train_loss", patience=5), Interrupt()]
    with pytest.raises(KeyboardInterrupt):
        make_net(callbacks=callbacks).train(make_dataset(), 2)


def test_early_stopping_of_skorch_ends_the_training() -> None:
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10, threshold_mode="abs")
    net = make_net(callbacks=[stop]).train(make_dataset(), 50)
    assert len(net.history) == 3


def test_order_of_batches_is_seeded_and_new_in_each_epoch() -> None:
    def order(seed: int, epochs: int = 2) -> list[list[float]]:
        net = make_net(seed=seed)
        batches = net.get_iterator(make_dataset(), training=True)
        return [[float(X["X"].sum()) for X, _ in batches] for _ in range(epochs)]

    first, second = order(0)
    assert first != second
    assert [first, second] == order(0)
    assert [first, second] != order(1)
    in_order = make_net().get_iterator(make_dataset(), training=False)
    assert len(in_order) == 3
    assert torch.equal(torch.cat([y for _, y in in_order]), torch.arange(10) % 2)


def test_state_of_a_net_goes_on_where_it_was() -> None:
    def make(**kwargs: Any) -> GenreNet:
        return GenreNet(
            RecurrentGate,
            module__n_outputs=2,
            module__n_bins=2,
            module__hidden_size=4,
            criterion=torch.nn.CrossEntropyLoss,
            criterion__reduction="none",
            optimizer=torch.optim.Adam,
            callbacks=[LearningRate(0.1, 0.5)],
            train_split=None,
            **kwargs,
        )

    first = make(seed=3).initialize().train(make_dataset(), 2)
    second = restore_net(make(device="cuda:9"), net_state(first))
    assert second.device == "cpu"
    assert second.history == first.history
    assert second.history[-1]["n_updates"] == 2
    for net in (first, second):
        net.train(make_dataset(), 1)
    for ours, theirs in zip(first.module_.parameters(), second.module_.parameters()):
        assert torch.equal(ours, theirs)


def test_parameters_of_another_network_are_refused() -> None:
    state = net_state(make_net())
    state["parameters"]["layer.weight"] = np.zeros((3, 6))
    del state["parameters"]["layer.bias"]
    with pytest.raises(ValueError, match=r'(?s)fit the network: .*Missing key.*"layer.bias"'):
        restore_net(make_net(), state)
    state["parameters"]["layer.bias"] = np.zeros(2)
    with pytest.raises(ValueError, match=r"(?s)layer.weight.*\[3, 6\].*\[2, 6\]"):
        restore_net(make_net(), state)


def test_divergence_is_an_error() -> None:
    dataset = make_dataset()
    dataset.X = dataset.X * np.float32(1e30)
    with pytest.raises(ValueError, match=r"diverged: the loss of epoch 1 is nan.*Lower lr"):
        make_net().train(dataset, 3)


def test_local_seed_leaves_the_global_state_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    with local_seed(0):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    with local_seed(0):
        assert torch.equal(torch.rand(3), first)


def test_local_seed_serves_one_thread_at_a_time() -> None:
    draws = {}

    def draw(seed: int) -> None:
        with local_seed(seed):
            draws[seed] = torch.cat([torch.rand(100) for _ in range(20)])

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, drawn in draws.items():
        draw(seed)
        assert torch.equal(draws[seed], drawn)


def test_auto_device_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"device='cuda:1' is not available here.*'auto'"):
        resolve_device("cuda:1")
    with pytest.raises(ValueError, match="device='gpu' is not available"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


def test_mixed_precision_is_for_gpus_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with mixed_precision(torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_autocast_enabled("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with mixed_precision(torch.device("cuda")):
        assert not torch.is_autocast_enabled("cuda")


def test_loss_is_float32_in_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    # The processor stands in for a GPU: the net asks for the context and casts its outputs.
    monkeypatch.setattr(
        _training, "mixed_precision", lambda device: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    net, dataset = make_net(), make_dataset()
    inputs, _ = dataset[np.arange(4)]
    exact = net.module_(inputs["X"])
    mixed = net.infer(inputs)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, exact)
    torch.testing.assert_close(mixed, exact, rtol=0.05, atol=0.05)
    net.train(dataset, 1)
    assert np.isfinite(net.history[-1]["train_loss"])


def test_clips_are_kept_on_a_gpu_if_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset()
    copied: list[str] = []
    monkeypatch.setattr(ClipDataset, "copy_to", lambda self, device: copied.append(device))
    n_bytes = 10 * 2 * 3 * 4
    for free, expected in ((2 * n_bytes, ["cuda:0"]), (2 * n_bytes - 1, [])):
        copied.clear()
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        kept = dataset.on("cuda:0")
        assert copied == expected
        assert (kept is dataset) == (not expected)
    assert dataset.on("cpu") is dataset


def test_copy_of_a_dataset_gives_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_data, "_CHUNK_BYTES", 3 * 2 * 3 * 4)  # three clips at a time
    dataset = make_dataset().take(np.array([7, 1, 4, 4, 0, 9, 2]))
    copy = dataset.copy_to("cpu")
    assert isinstance(copy.X, torch.Tensor)
    for batch in (np.array([0, 3]), np.array([6, 2, 1])):
        (ours, y), (theirs, y_theirs) = copy[batch], dataset[batch]
        assert torch.equal(y, y_theirs)
        for name in ("X", "sample_weight"):
            assert torch.equal(ours[name], theirs[name])


def test_prediction_reads_clip_by_clip_and_leaves_evaluation_mode_on() -> None:
    sizes: list[int] = []

    class Spy(Linear):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            sizes.append(len(X))
            return super().forward(X)

    module = Spy().train()
    X = np.random.default_rng(0).normal(size=(5, 2, 3))
    logits = predict_logits(module, X, torch.device("cpu"))
    assert logits.shape == (5, 2)
    assert logits.dtype == np.float32
    assert sizes == [1] * 5
    assert not module.training


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_prediction_shares_clips_among_threads(three_threads: None) -> None:
    seen: list[tuple[int, int]] = []

    class Spy(torch.nn.Module):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            seen.append((threading.get_ident(), torch.get_num_threads()))
            return X.mean(dim=2)[:, :2]

    X = np.random.default_rng(0).normal(size=(20, 64, 128)).astype(np.float32)
    logits = predict_logits(Spy(), X, torch.device("cpu"))
    np.testing.assert_allclose(logits, X.mean(axis=2)[:, :2], rtol=1e-5, atol=1e-7)
    threads, inner = zip(*seen)
    assert len(seen) == 20
    assert threading.get_ident() not in threads
    assert set(inner) == {1}  # none of them starts further ones
    assert torch.get_num_threads() == 3
    other = ThreadPoolExecutor(1).submit(torch.get_num_threads)
    assert other.result() == 3


def test_prediction_does_not_depend_on_the_number_of_threads(three_threads: None) -> None:
    network = K2C2(3, (96, 100), channels=(16, 16))
    X = np.random.default_rng(0).normal(size=(8, 96, 100)).astype(np.float32)
    by_three = predict_logits(network, X, torch.device("cpu"))
    torch.set_num_threads(1)
    np.testing.assert_array_equal(predict_logits(network, X, torch.device("cpu")), by_three)


def test_equal_clips_merge_and_absent_ones_drop_out() -> None:
    X = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [5.0, 6.0], [1.0, 2.0]])
    y = np.array([0, 0, 0, 0, 1])
    rows, weights = merge_duplicates([X], y, np.array([1.0, 1.0, 2.0, 0.0, 1.0]))
    assert {(int(row), float(w)) for row, w in zip(rows, weights)} == {(0, 3.0), (1, 1.0), (4, 1.0)}


def test_canonical_order_forgets_how_clips_came() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4, 5)), rng.integers(3, size=30)
    order = rng.permutation(30)
    rows, _ = merge_duplicates([X], y, np.ones(30))
    shuffled, _ = merge_duplicates([X[order]], y[order], np.ones(30))
    np.testing.assert_array_equal(X[rows], X[order][shuffled])
    as_float32, _ = merge_duplicates([X.astype(np.float32)], y, np.ones(30))
    np.testing.assert_array_equal(rows, as_float32)


def test_negative_zero_is_zero() -> None:
    rows, weights = merge_duplicates([np.array([[0.0], [-0.0]])], np.zeros(2, int), np.ones(2))
    assert len(rows) == 1
    assert weights == [2]


def test_validation_split_is_stratified_and_seeded() -> None:
    y = np.repeat([0, 1], [60, 20])
    training, validation = split_validation(y, 0.25, None, 0, np.array(["a", "b"]))
    assert np.bincount(y[validation]).tolist() == [15, 5]
    assert sorted([*training, *validation]) == list(range(80))
    np.testing.assert_array_equal(
        split_validation(y, 0.25, None, 0, np.array(["a", "b"]))[1], validation
    )
    assert not np.array_equal(
        split_validation(y, 0.25, None, 1, np.array(["a", "b"]))[1], validation
    )


def test_validation_split_keeps_groups_together() -> None:
    groups = np.repeat(np.arange(20), 4)
    y = np.repeat(np.arange(20) % 2, 4)
    training, validation = split_validation(y, 0.2, groups, 0, np.array(["a", "b"]))
    assert not set(groups[training]) & set(groups[validation])
    assert len(validation) == 16


def test_groups_are_drawn_as_scikit_learn_draws_them() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(30, size=200)
    y = rng.integers(3, size=30)[groups]
    for seed in range(5):
        training, held_out = split_groups(4, y, groups, seed)
        assert sorted([*training, *held_out]) == list(range(200))
        assert not set(groups[training]) & set(groups[held_out])
        shares = np.bincount(y[held_out]) / np.bincount(y)
        np.testing.assert_allclose(shares, 0.25, atol=0.12)
        if parse_version(sklearn.__version__) >= parse_version("1.8"):
            theirs = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
            expected = next(theirs.split(y, y, groups))
            np.testing.assert_array_equal(held_out, expected[1])


def test_impossible_validation_splits_say_why() -> None:
    classes = np.array(["folk", "rock"])
    for y, fraction, groups, message in [
        ([0, 0, 1], 0.2, None, r"fraction=0.2 of 3 distinct clips .* few clips of rock to hold"),
        ([0, 0, 1, 1], 0.2, np.array([0, 1, 2, 2]), "too few groups of rock to hold out"),
        (
            [0, 0, 0, 1, 1, 1],
            0.9,
            None,
            "0.9 of 6 distinct clips .* folk, rock .* another fraction",
        ),
        (np.repeat([0, 1, 1], 5), 0.5, np.repeat([0, 0, 1], 5), "too few groups of folk"),
    ]:
        with pytest.raises(ValueError, match=message):
            split_validation(np.array(y), fraction, groups, 0, classes)
