"""The recurrent gate network of the paper's MoER."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ._gru import BidirectionalGRU
from ._layers import BatchNorm, Dropout


class RecurrentGate(nn.Module):
    """Two bidirectional GRU layers over the frames of a clip, then two dense layers.

    Dropout .25, bidirectional GRU over all frames, dropout .25, bidirectional GRU whose last
    states are kept, dropout .5, dense 32, batch normalisation, ELU, dense with one output per
    expert. Kernels start Glorot-uniform, recurrent ones orthogonal, biases at zero.

    In evaluation without gradients on the CPU, the answer for a clip depends neither on its
    neighbours nor on the number of clips.

    Parameters
    ----------
    n_outputs : int
        Number of experts.
    n_bins : int
        Bins of the spectrograms.
    hidden_size : int, default=64
        Units of each GRU, in each direction.

    Examples
    --------
    >>> import torch
    >>> gate = RecurrentGate(4, 96)
    >>> sum(tensor.numel() for tensor in gate.state_dict().values())
    141092
    >>> gate(torch.zeros(2, 96, 30)).shape
    torch.Size([2, 4])
    """

    N_DENSE = 32

    def __init__(self, n_outputs: int, n_bins: int, hidden_size: int = 64) -> None:
        super().__init__()
        self.input_dropout = Dropout(0.25)
        self.first = BidirectionalGRU(n_bins, hidden_size)
        self.between_dropout = Dropout(0.25)
        self.second = BidirectionalGRU(2 * hidden_size, hidden_size)
        self.last_dropout = Dropout(0.5)
        self.dense = nn.Linear(2 * hidden_size, self.N_DENSE)
        self.norm = BatchNorm(self.N_DENSE)
        self.head = nn.Linear(self.N_DENSE, n_outputs)
        for layer in (self.first, self.second):
            _initialise_gru(layer)
        for linear in (self.dense, self.head):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_outputs) for spectrograms (n, bins, frames)."""
        x, _ = self.first(self.input_dropout(X.permute(2, 0, 1)))
        _, last = self.second(self.between_dropout(x))
        if last.device.type == "cpu" and not (self.training or torch.is_grad_enabled()):
            # Clip by clip: a product of other shape or alignment may add up in another order.
            return torch.cat([self._weigh(row.clone()) for row in last.split(1)])
        return self._weigh(self.last_dropout(last))

    def _weigh(self, last: torch.Tensor) -> torch.Tensor:
        return self.head(F.elu(self.norm(self.dense(last))))


def _initialise_gru(layer: nn.GRU) -> None:
    for name, parameter in layer.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)  # over the three gates at once, as in Keras
        elif "weight_hh" in name:
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
