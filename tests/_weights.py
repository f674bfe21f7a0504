"""Weights of networks, for tests that need one but not what it knows."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sklearn_genremoe import MusicTagEmbedding
from sklearn_genremoe.domains._base_embedding import Published
from sklearn_genremoe.domains._mobilenet import MobileNet

#: Features of the network of width 0.1.
N_FEATURES = 96
N_FEATURES_OF_STAGES = 296


def small_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the state dict of a network of width 0.1 with seeded weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MobileNet(0.1)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):  # wide enough to keep the scale of the signal
                nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
    return network.state_dict()


def write_small_weights(path: Path, seed: int = 0) -> Path:
    """Write the network of width 0.1 as EfficientAT's weights are published."""
    torch.save(small_state(seed), path)
    return path


def write_music_weights(path: Path, seed: int = 0) -> Path:
    """Write weights for MusicTagEmbedding, which takes them as if they were published."""
    numbers = np.random.default_rng(seed).uniform(0, 0.05, 2366399)
    # Nine in ten kernels of the branches are zero, like the published ones, and as fast.
    numbers[20294:505457][np.arange(485163) % 51 >= 5] = 0
    path.write_bytes(numbers.astype("<f4").tobytes())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    MusicTagEmbedding._published[f"seed {seed}"] = Published("", "", sha256)
    return path
