"""Mixers that see the clip: the CNN and the RNN gate of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from .._fields import Count, NonNegative, with_init
from ..networks import (
    K2C2,
    ClipDataset,
    LearningRate,
    NetEstimator,
    RecurrentGate,
    merge_duplicates,
    resolve_pool_sizes,
)
from ._mixers import BaseMixer

# An expert that excludes the right genre altogether still leaves the loss finite.
_FLOOR = 1e-7


class MixtureLoss(nn.Module):
    r"""Negative log of what the mixture gives the true genre, pulled towards equal weights.

    :math:`-\log \sum_m g_m p_m - \lambda \frac{1}{M} \sum_m \log (M g_m)`, with the probability
    :math:`p_m` that expert m gives to the true genre, the gate :math:`g` and the `shrinkage`
    :math:`\lambda`, the factor of the divergence of the gate from equal weights.
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


@with_init
class GateMixer(NetEstimator, BaseMixer):
    """A network that sees the clip and weights the experts; they stay as they are.

    Parameters
    ----------
    shrinkage : float, default=0.0
        Pull towards equal weights, zero or above: the factor of the divergence of the weights
        from equal ones in the loss. Zero is the paper's loss; with a large factor the mixer
        becomes :class:`BalancedMixer`.
    """

    _: KW_ONLY
    shrinkage: NonNegative = 0.0

    needs_fit = True
    needs_clips = True

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        """Return the arguments of the network, which maps clips to a logit per expert."""
        raise NotImplementedError

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        self.clip_shape_ = clips.shape[1:]
        rows, weights = merge_duplicates([clips, expert_proba], y, sample_weight)
        true_class_proba = np.maximum(expert_proba[rows, :, y[rows]], _FLOOR).astype(np.float32)
        net = self._new_net(self._module_arguments(expert_proba.shape[1], self.clip_shape_))
        dataset = ClipDataset(clips, true_class_proba, rows, weights)
        self.net_ = net.train(dataset.on(net.device), self.max_epochs)
        self.history_ = net.history

    def _net_settings(self, module: dict[str, Any]) -> dict[str, Any]:
        return {
            "callbacks": [LearningRate(self.lr, self.lr_decay)],
            "criterion": MixtureLoss,
            "criterion__shrinkage": self.shrinkage,
        }

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        if clips.shape[1:] != self.clip_shape_:
            raise ValueError(
                f"The clips have the shape {clips.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.clip_shape_} (bins, frames)."
            )
        return softmax(self._logits(clips), axis=1)


@with_init
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

    channels: Sequence[int] = (64, 128, 128, 192, 256)
    pool_sizes: Literal["auto"] | Sequence[tuple[int, int]] = "auto"

    _network = K2C2

    def _validate_params(self) -> None:
        super()._validate_params()
        resolve_pool_sizes((96, 96), self.channels, self.pool_sizes)

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        of_blocks = {"channels": tuple(self.channels), "pool_sizes": self.pool_sizes}
        return {"n_classes": n_experts, "input_shape": clip_shape, **of_blocks}


@with_init
class RNNMixer(GateMixer):
    r"""Mixture weights by a recurrent network that reads the clip (the paper's MoER).

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x), \qquad
        g(x) = \mathrm{softmax}(\mathrm{RNN}(x))

    The network reads the frames of the clip in both directions: dropout .25, bidirectional
    GRU, dropout .25, bidirectional GRU of which the last states are kept, dropout .5, dense 32
    with batch normalisation and ELU, dense. It learns like that of :class:`CNNMixer`.

    Parameters
    ----------
    hidden_size : int, default=64
        Units of each GRU, in each direction.

    See Also
    --------
    CNNMixer : The convolutional gate.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe import RNNMixer
    >>> rng = np.random.default_rng(0)
    >>> expert_proba, clips = rng.dirichlet(np.ones(3), size=(6, 2)), rng.normal(size=(6, 8, 10))
    >>> mixer = RNNMixer(hidden_size=2, max_epochs=1, device="cpu", random_state=0)
    >>> mixer.fit(expert_proba, [0, 1, 2, 0, 1, 2], clips).weights(expert_proba, clips).shape
    (6, 2)
    """

    hidden_size: Count = 64

    _network = RecurrentGate

    def _module_arguments(self, n_experts: int, clip_shape: tuple[int, int]) -> dict[str, Any]:
        return {"n_outputs": n_experts, "n_bins": clip_shape[0], "hidden_size": self.hidden_size}
