"""The recurrent gate network of the paper's MoER."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ._network import BatchNorm, Dropout


class RecurrentGate(nn.Module):
    """Two bidirectional GRU layers over the frames of a clip, then two dense layers.

    Dropout .25, bidirectional GRU over all frames, dropout .25, bidirectional GRU whose last
    states are kept, dropout .5, dense 32, batch normalisation, ELU, dense with one output per
    expert. Kernels start Glorot-uniform, recurrent ones orthogonal, biases at zero.
    """

    N_DENSE = 32

    def __init__(self, n_outputs: int, n_bins: int, hidden_size: int = 64) -> None:
        super().__init__()
        self.input_dropout = Dropout(0.25)
        self.first = nn.GRU(n_bins, hidden_size, bidirectional=True)
        self.between_dropout = Dropout(0.25)
        self.second = nn.GRU(2 * hidden_size, hidden_size, bidirectional=True)
        self.last_dropout = Dropout(0.5)
        self.dense = nn.Linear(2 * hidden_size, self.N_DENSE)
        self.norm = BatchNorm(self.N_DENSE)
        self.head = nn.Linear(self.N_DENSE, n_outputs)
        for name, parameter in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "weight" in name and parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)  # over the three gates at once, as in Keras
            elif "bias" in name:
                nn.init.zeros_(parameter)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_outputs) for spectrograms (n, bins, frames)."""
        # In half precision, gradients that fade over the frames would turn zero.
        with torch.autocast(X.device.type, enabled=False):
            x, _ = self.first(self.input_dropout(X.permute(2, 0, 1)))
            _, last = self.second(self.between_dropout(x))
            x = self.last_dropout(last.transpose(0, 1).flatten(1))
            return self.head(F.elu(self.norm(self.dense(x))))
