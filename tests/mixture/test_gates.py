"""The CNN and the RNN gate: the paper's networks, loss and recipe."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_genremoe import CNNMixer, RNNMixer
from sklearn_genremoe.mixture._gates import MixtureLoss
from sklearn_genremoe.networks._network import K2C2, Dropout, RecurrentGate
from sklearn_genremoe.networks._training import predict_logits

GATES = [
    CNNMixer(channels=(4,), max_epochs=3, device="cpu", random_state=0),
    RNNMixer(hidden_size=4, max_epochs=3, device="cpu", random_state=0),
]


def n_values(module):
    return sum(tensor.numel() for tensor in module.state_dict().values())


def task(n_clips=32, seed=0):
    """Two experts; the one that the loudness of the upper bins points to is right."""
    rng = np.random.default_rng(seed)
    first_is_right = np.arange(n_clips) % 2
    clips = rng.normal(size=(n_clips, 6, 7)).astype(np.float32)
    clips[:, 3:] += 3 * first_is_right[:, None, None]
    right = np.stack([first_is_right, 1 - first_is_right], axis=1) * 0.8 + 0.1
    return np.stack([right, 1 - right], axis=2), np.zeros(n_clips, int), clips, first_is_right


def test_parameter_counts_of_the_paper():
    assert n_values(K2C2(4, (96, 1292))) == 890_180
    assert n_values(RecurrentGate(4, 96)) == 141_092


def test_defaults_are_the_recipe_of_the_paper():
    for mixer in (CNNMixer(), RNNMixer()):
        params = mixer.get_params()
        assert params["lr"] == 5e-4
        assert params["lr_decay"] == 1e-4
        assert params["max_epochs"] == 50
        assert params["batch_size"] == 16


def plain_gate(gate):
    """The same network from torch's own layers."""

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.GRU(96, 64, bidirectional=True, batch_first=True)
            self.second = nn.GRU(128, 64, bidirectional=True, batch_first=True)
            self.dense = nn.Linear(128, 32)
            self.norm = nn.BatchNorm1d(32, eps=1e-3, momentum=0.01)
            self.head = nn.Linear(32, 4)

        def forward(self, x):
            x, _ = self.first(x.transpose(1, 2))
            _, last = self.second(x)
            x = torch.cat([last[0], last[1]], dim=1)
            return self.head(F.elu(self.norm(self.dense(x))))

    plain = Plain()
    missing, unexpected = plain.load_state_dict(gate.state_dict(), strict=False)
    assert set(missing) <= {"norm.num_batches_tracked"}
    assert not unexpected
    return plain


@pytest.mark.parametrize("n_frames", [1, 2, 50])
def test_recurrent_gate_equals_torch_layers(n_frames):
    torch.manual_seed(0)
    gate = RecurrentGate(4, 96)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    plain = plain_gate(gate)
    x = torch.randn(5, 96, n_frames)
    torch.testing.assert_close(gate.eval()(x), plain.eval()(x), atol=1e-5, rtol=1e-5)
    # In training as well, dropout aside: outputs, batch statistics and gradients.
    for module in gate.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    for network in (gate.train(), plain.train()):
        network(x).square().sum().backward()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(
            dict(gate.named_parameters())[name].grad, parameter.grad, atol=1e-4, rtol=1e-4
        )
    torch.testing.assert_close(gate.norm.running_var, plain.norm.running_var)


def test_answers_depend_on_no_neighbours_numbers_or_threads(monkeypatch):
    torch.manual_seed(0)
    gate = RecurrentGate(4, 9, 16)
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(7, 9, 50)).astype(np.float32)
    whole = predict_logits(gate, clips, torch.device("cpu"))
    assert len(np.unique(whole, axis=0)) == 7
    monkeypatch.setattr("sklearn_genremoe.networks._training._CELLS_WORTH_A_THREAD", 0)
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            for n_clips in range(1, 8):
                some = rng.permutation(7)[:n_clips]
                predicted = predict_logits(gate, clips[some], torch.device("cpu"))
                np.testing.assert_array_equal(predicted, whole[some])
    finally:
        torch.set_num_threads(before)


def test_recurrent_layers_stay_in_single_precision_in_a_mixed_one():
    gate, X = RecurrentGate(4, 9, 5).eval(), torch.randn(3, 9, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = gate(X)
    assert torch.equal(mixed, gate(X))


def test_loss_is_the_negative_log_of_the_mixture_probability():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    given = torch.tensor([[0.2, 0.5, 0.1]])
    gate = torch.softmax(logits, dim=1)
    expected = -torch.log((gate * given).sum())
    torch.testing.assert_close(MixtureLoss()(logits, given)[0], expected)
    divergence = -(torch.log(3 * gate)).mean()
    torch.testing.assert_close(
        MixtureLoss(shrinkage=0.5)(logits, given)[0], expected + 0.5 * divergence
    )


@pytest.mark.parametrize("gate", [CNNMixer, RNNMixer])
def test_gate_learns_whom_to_trust(gate):
    probas, y, clips, first_is_right = task(64)
    size = {"channels": (8,)} if gate is CNNMixer else {"hidden_size": 8}
    mixer = gate(**size, max_epochs=20, lr=1e-2, device="cpu", random_state=0)
    weights = mixer.fit(probas, y, clips).weights(probas, clips)
    assert ((weights[:, 0] > 0.5) == first_is_right).mean() > 0.9
    assert len(mixer.history_) == 20
    assert mixer.history_[-1]["train_loss"] < mixer.history_[0]["train_loss"]


@pytest.mark.parametrize("gate", [CNNMixer, RNNMixer])
def test_shrinkage_pulls_towards_equal_weights(gate):
    probas, y, clips, _ = task(64)
    size = {"channels": (8,)} if gate is CNNMixer else {"hidden_size": 8}
    spread = []
    for shrinkage in (0.0, 0.3, 30.0):
        mixer = gate(
            **size, shrinkage=shrinkage, max_epochs=20, lr=1e-2, device="cpu", random_state=0
        )
        spread.append(np.ptp(mixer.fit(probas, y, clips).weights(probas, clips), axis=1).mean())
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] < min(0.2, spread[0] / 3)


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_same_seed_same_gate_and_global_state_untouched(gate):
    probas, y, clips, _ = task()
    before = torch.get_rng_state()
    first = gate.fit(probas, y, clips).weights(probas, clips)
    torch.manual_seed(1)
    np.testing.assert_array_equal(gate.fit(probas, y, clips).weights(probas, clips), first)
    torch.set_rng_state(before)
    gate.fit(probas, y, clips)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_clips_may_be_read_only_maps_of_any_precision(gate, tmp_path):
    probas, y, clips, _ = task()
    np.save(tmp_path / "clips.npy", clips.astype(np.float64))
    mapped = np.load(tmp_path / "clips.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        gate.fit(probas, y, mapped).weights(probas, mapped),
        gate.fit(probas, y, clips).weights(probas, clips),
    )


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_one_clip_and_odd_batches(gate):
    probas, y, clips, _ = task(17)  # the last batch holds a single clip
    assert gate.fit(probas, y, clips).weights(probas, clips).shape == (17, 2)


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_experts_that_exclude_the_right_genre_leave_the_loss_finite(gate):
    probas, y, clips, _ = task()
    probas[:4] = [[[0.0, 1.0], [0.0, 1.0]]]
    gate.fit(probas, y, clips)
    assert np.isfinite(gate.history_[:, "train_loss"]).all()


@pytest.mark.parametrize("gate", GATES, ids=repr)
def test_interrupt_goes_up(gate, monkeypatch):
    probas, y, clips, _ = task()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    mixer = type(gate)(**gate.get_params())
    monkeypatch.setattr(MixtureLoss, "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mixer.fit(probas, y, clips)
