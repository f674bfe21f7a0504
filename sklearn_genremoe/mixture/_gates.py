"""Mixers that see the clip: the CNN and the RNN gate of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from .._compat import Interval, StrOptions
from ..networks import (
    K2C2,
    ClipDataset,
    GenreNet,
    LearningRate,
    NetEstimator,
    ProgressBar,
    RecurrentGate,
    check_channels,
    merge_duplicates,
    resolve_pool_sizes,
)
from ._mixers import BaseMixer

# An expert that excludes the right genre altogether still leaves the loss finite.
_FLOOR = 1e-7


class MixtureLoss(nn.Module):
    r"""Negative log of the probability that the mixture gives to the true genre.

    With :math:`p_m` the probability that expert m gives to it, and the gate :math:`g`,

    .. math:: -\log \sum_m g_m p_m - \lambda \frac{1}{M} \sum_m \log (M g_m).

    The second term is :math:`\lambda` times the Kullback-Leibler divergence of the gate from
    equal weights.

    Parameters
    ----------
    shrinkage : float, default=0.0
        The factor :math:`\lambda`.
    """

    def __init__(self, shrinkage: float = 0.0) -> None:
        super().__init__()
        self.shrinkage = shrinkage

    def forward(self, logits: torch.Tensor, true_class_proba: torch.Tensor) -> torch.Tensor:
        """Return the loss of each clip; logits and probabilities have the shape (n, M)."""
        gate = torch.log_softmax(logits, dim=1)
        loss = -torch.logsumexp(gate + torch.log(true_class_proba), dim=1)
        if self.shrinkage:
            loss = loss - self.shrinkage * (gate.mean(dim=1) + np.log(gate.shape[1]))
        return loss


class GateMixer(NetEstimator, BaseMixer):
    """A network that sees the clip and weights the experts; they stay as they are."""

    needs_fit = True
    needs_clips = True
    _module: type[nn.Module]
    _parameter_constraints: dict[str, list[Any]] = {
        **NetEstimator._parameter_constraints,
        "shrinkage": [Interval(Real, 0, None, closed="left")],
    }
    shrinkage: float

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        """Return the arguments of the network, which maps clips to a logit per expert."""
        raise NotImplementedError

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        self.clip_shape_ = clips.shape[1:]
        rows, weights, _ = merge_duplicates([clips, expert_proba], y, sample_weight)
        true_class_proba = np.maximum(expert_proba[rows, :, y[rows]], _FLOOR).astype(np.float32)
        net = self._new_net(self._module_arguments(expert_proba.shape[1], self.clip_shape_))
        dataset = ClipDataset(clips, true_class_proba, rows, weights)
        self.net_ = net.train(dataset.on(net.device), self.max_epochs)
        self.history_ = net.history

    def _net(self, module: dict[str, Any], seed: int = 0) -> GenreNet:
        callbacks: list[Any] = [LearningRate(self.lr, self.lr_decay)]
        if self.verbose:
            callbacks.append(ProgressBar("mixer"))
        loss = {"criterion": MixtureLoss, "criterion__shrinkage": self.shrinkage}
        return self._make_net(self._module, module, seed, callbacks, **loss)

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        if clips.shape[1:] != self.clip_shape_:
            raise ValueError(
                f"The clips have the shape {clips.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.clip_shape_} (bins, frames)."
            )
        return softmax(self._logits(clips), axis=1)


class CNNMixer(GateMixer):
    r"""Mixture weights by a k2c2 network that sees the clip (the paper's MoEC).

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x), \qquad
        g(x) = \mathrm{softmax}(\mathrm{CNN}(x))

    The network is that of :class:`~sklearn_genremoe.CNNClassifier`, with one output per expert.
    It learns to give the true genre a large probability,
    :math:`-\log \sum_m g_m(x) h_{m y}(x)`, while the experts stay as they are.

    Parameters
    ----------
    channels : sequence of int, default=(64, 128, 128, 192, 256)
        Filters of each convolutional block.
    pool_sizes : "auto" or sequence of (int, int), default="auto"
        Pooling over bins and frames in each block, as in :class:`CNNClassifier`.
    shrinkage : float, default=0.0
        Pull towards equal weights, zero or above: the factor of the divergence of the weights
        from equal ones in the loss. Zero is the paper's loss; with a large factor the mixer
        becomes :class:`BalancedMixer`.
    max_epochs : int, default=50
        Passes over the clips.
    batch_size : int, default=16
        Clips per update.
    lr : float, default=5e-4
        Learning rate of Adam at the first update.
    lr_decay : float, default=1e-4
        Decay per update: the rate of update t is ``lr / (1 + lr_decay * t)``.
    device : str, default="auto"
        Where to train: "auto" takes CUDA, then MPS, then the CPU.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network, the order of the clips and the dropout.
    verbose : int, default=0
        Above zero, show a progress bar.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The fitted network.
    history_ : skorch.history.History
        Loss and time of each epoch.

    See Also
    --------
    RNNMixer : The recurrent gate.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019.

    Examples
    --------
    Two experts, of which one is right on clips with power in the upper bins, the other on
    those with power in the lower bins:

    >>> import numpy as np
    >>> from sklearn_genremoe import CNNMixer
    >>> rng = np.random.default_rng(0)
    >>> upper = rng.integers(2, size=64)
    >>> clips = rng.normal(size=(64, 8, 8))
    >>> clips[:, 4:] += 3 * upper[:, None, None]
    >>> right = np.stack([upper, 1 - upper], axis=1) * 0.8 + 0.1
    >>> expert_proba = np.stack([right, 1 - right], axis=2)
    >>> y = np.zeros(64, dtype=int)
    >>> mixer = CNNMixer(channels=(8,), max_epochs=20, lr=1e-2, device="cpu", random_state=0)
    >>> weights = mixer.fit(expert_proba, y, clips).weights(expert_proba, clips)
    >>> bool(((weights[:, 0] > 0.5) == upper).mean() > 0.9)
    True
    """

    _module = K2C2
    _parameter_constraints = {
        **GateMixer._parameter_constraints,
        "channels": ["array-like"],
        "pool_sizes": [StrOptions({"auto"}), "array-like"],
    }

    def _validate_params(self) -> None:
        super()._validate_params()
        check_channels(self.channels)
        resolve_pool_sizes((96, 96), len(self.channels), self.pool_sizes)

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128, 192, 256),
        pool_sizes: str | Sequence[tuple[int, int]] = "auto",
        *,
        shrinkage: float = 0.0,
        max_epochs: int = 50,
        batch_size: int = 16,
        lr: float = 5e-4,
        lr_decay: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.channels = channels
        self.pool_sizes = pool_sizes
        self.shrinkage = shrinkage
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_decay = lr_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        return {
            "n_classes": n_experts,
            "input_shape": clip_shape,
            "channels": tuple(self.channels),
            "pool_sizes": self.pool_sizes,
        }


class RNNMixer(GateMixer):
    r"""Mixture weights by a recurrent network that reads the clip (the paper's MoER).

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x), \qquad
        g(x) = \mathrm{softmax}(\mathrm{RNN}(x))

    The network reads the frames of the clip in both directions: dropout .25, bidirectional
    GRU, dropout .25, bidirectional GRU of which the last states are kept, dropout .5, dense 32
    with batch normalisation and ELU, dense. It learns to give the true genre a large
    probability, :math:`-\log \sum_m g_m(x) h_{m y}(x)`, while the experts stay as they are.

    Parameters
    ----------
    hidden_size : int, default=64
        Units of each GRU, in each direction.
    shrinkage : float, default=0.0
        Pull towards equal weights, zero or above: the factor of the divergence of the weights
        from equal ones in the loss. Zero is the paper's loss; with a large factor the mixer
        becomes :class:`BalancedMixer`.
    max_epochs : int, default=50
        Passes over the clips.
    batch_size : int, default=16
        Clips per update.
    lr : float, default=5e-4
        Learning rate of Adam at the first update.
    lr_decay : float, default=1e-4
        Decay per update: the rate of update t is ``lr / (1 + lr_decay * t)``.
    device : str, default="auto"
        Where to train: "auto" takes CUDA, then MPS, then the CPU.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network, the order of the clips and the dropout.
    verbose : int, default=0
        Above zero, show a progress bar.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The fitted network.
    history_ : skorch.history.History
        Loss and time of each epoch.

    See Also
    --------
    CNNMixer : The convolutional gate.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019.

    Examples
    --------
    Two experts, of which one is right on clips with power in the upper bins, the other on
    those with power in the lower bins:

    >>> import numpy as np
    >>> from sklearn_genremoe import RNNMixer
    >>> rng = np.random.default_rng(0)
    >>> upper = rng.integers(2, size=64)
    >>> clips = rng.normal(size=(64, 8, 8))
    >>> clips[:, 4:] += 3 * upper[:, None, None]
    >>> right = np.stack([upper, 1 - upper], axis=1) * 0.8 + 0.1
    >>> expert_proba = np.stack([right, 1 - right], axis=2)
    >>> y = np.zeros(64, dtype=int)
    >>> mixer = RNNMixer(hidden_size=8, max_epochs=20, lr=1e-2, device="cpu", random_state=0)
    >>> weights = mixer.fit(expert_proba, y, clips).weights(expert_proba, clips)
    >>> bool(((weights[:, 0] > 0.5) == upper).mean() > 0.9)
    True
    """

    _module = RecurrentGate
    _parameter_constraints = {
        **GateMixer._parameter_constraints,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        shrinkage: float = 0.0,
        max_epochs: int = 50,
        batch_size: int = 16,
        lr: float = 5e-4,
        lr_decay: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.shrinkage = shrinkage
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_decay = lr_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        return {
            "n_outputs": n_experts,
            "n_bins": clip_shape[0],
            "hidden_size": self.hidden_size,
        }
