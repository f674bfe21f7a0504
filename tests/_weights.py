"""Weights of networks, for tests that need one but not what it knows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sklearn_genremoe import MusicTagEmbedding
from sklearn_genremoe.domains._embeddings import Published

#: Features of the network of width 0.1.
N_FEATURES = 96
N_FEATURES_OF_STAGES = 296


def small_state(seed: int = 0, width: float = 0.1) -> dict[str, torch.Tensor]:
    """Return the state dict of a network with seeded weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MobileNet(width)
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


# The network as its authors have it, layer by layer.

# MobileNetV3-large: kernel, expanded channels, channels, squeeze-excite, Hardswish, stride.
_BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_HEAD = 1280
# The last blocks of the four later stages (of 40, 80, 112 and 160 channels), counted from 1.
_STAGE_ENDS = (6, 10, 12, 15)


class MobileNet(nn.Module):
    """MobileNetV3-large with one input channel, in the layers and names of EfficientAT.

    Parameters
    ----------
    width : float, default=1.0
        Factor of all channel numbers.
    n_classes : int, default=527
        Outputs of the head.
    """

    def __init__(self, width: float = 1.0, n_classes: int = 527) -> None:
        super().__init__()
        channels = _scaled(16, width)
        layers: list[nn.Module] = [_conv(1, channels, 3, stride=2, activation=nn.Hardswish)]
        n_in_stages = 0
        for number, (kernel, expanded, out, squeeze, hard, stride) in enumerate(_BLOCKS, 1):
            shape = (channels, _scaled(expanded, width), _scaled(out, width))
            layers.append(
                _Block(*shape, kernel, stride, squeeze, nn.Hardswish if hard else nn.ReLU)
            )
            channels = shape[-1]
            n_in_stages += shape[1] if number in _STAGE_ENDS else 0
        n_last = 6 * channels
        self.n_features = {"last": n_last, "stages": n_last + n_in_stages, "tags": n_classes}
        layers.append(_conv(channels, n_last, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        n_hidden = _scaled(_HEAD, width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(n_last, n_hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(n_hidden, n_classes),
        )

    def forward(self, logmel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings (n, n_last) and logits (n, n_classes) of (n, 128, n_frames)."""
        frames = self.features(logmel.unsqueeze(1))
        return frames.mean((2, 3)), self.classifier(frames)


class _Block(nn.Module):
    """Expand, filter each channel, perhaps weigh the channels, and project."""

    def __init__(self, n_in, n_expanded, n_out, kernel, stride, squeeze, activation) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if n_expanded != n_in:
            layers.append(_conv(n_in, n_expanded, 1, activation=activation))
        layers.append(
            _conv(n_expanded, n_expanded, kernel, stride, groups=n_expanded, activation=activation)
        )
        if squeeze:
            layers.append(_SqueezeExcite(n_expanded))
        layers.append(_conv(n_expanded, n_out, 1))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x):
        y = self.block(x)
        return y + x if self.residual else y


class _SqueezeExcite(nn.Module):
    """Weigh each channel by what the means of all channels say."""

    def __init__(self, n_channels) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_Gate(n_channels)])  # EfficientAT may have several

    def forward(self, x):
        weights = self.conc_se_layers[0](x.mean((2, 3)))
        return x * weights[:, :, None, None]


class _Gate(nn.Module):
    """The weights of the channels."""

    def __init__(self, n_channels) -> None:
        super().__init__()
        n_hidden = _multiple_of_8(n_channels // 4)
        self.fc1 = nn.Linear(n_channels, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_channels)

    def forward(self, means):
        return torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


def _conv(n_in, n_out, kernel, stride=1, groups=1, activation=None) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    layers = [conv, nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers, *([activation(inplace=True)] if activation else []))


def _scaled(channels: int, width: float) -> int:
    return _multiple_of_8(channels * width)


def _multiple_of_8(value: float) -> int:
    """Return the nearest multiple of 8, the next one where that loses over a tenth."""
    nearest = max(8, int(value + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * value else nearest + 8
