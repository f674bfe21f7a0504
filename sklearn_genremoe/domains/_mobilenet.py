"""MobileNetV3 on log-mel spectrograms: the networks that EfficientAT trained on AudioSet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

#: Sample rate of the input in Hz.
SAMPLE_RATE = 32000

_N_FFT = 1024
_N_WINDOW = 800
_HOP = 320
_N_MELS = 128
_F_MAX = 15000.0

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


class LogMel(nn.Module):
    """The log-mel spectrogram that the networks were trained on.

    Pre-emphasis y[t] = x[t + 1] - 0.97 x[t]; power in frames of 1,024 samples every 320 (10 ms),
    seen through a symmetric Hann window of 800; 128 triangular bands from 0 to 15 kHz, equally
    wide on the scale mel = 1127 ln(1 + f / 700 Hz); (ln(power + 1e-5) + 4.5) / 5.
    """

    window: torch.Tensor
    bands: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(_N_WINDOW, periodic=False)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bands", _mel_bands(), persistent=False)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return (n, 128, n_frames) of waveforms of shape (n, n_samples) at 32 kHz."""
        x = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        spectrum = torch.stft(
            x, _N_FFT, _HOP, _N_WINDOW, self.window, pad_mode="reflect", return_complex=True
        )
        power = torch.view_as_real(spectrum).square_().sum(-1)
        return ((self.bands @ power).add_(1e-5).log_() + 4.5).div_(5.0)


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
        for kernel, expanded, out, squeeze, hard, stride in _BLOCKS:
            shape = (channels, _scaled(expanded, width), _scaled(out, width))
            layers.append(
                _Block(*shape, kernel, stride, squeeze, nn.Hardswish if hard else nn.ReLU)
            )
            channels = shape[-1]
        self.n_features = 6 * channels
        layers.append(_conv(channels, self.n_features, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        n_hidden = _scaled(_HEAD, width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(self.n_features, n_hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(n_hidden, n_classes),
        )

    def frames(self, logmel: torch.Tensor) -> torch.Tensor:
        """Return (n, n_features, 4, n_frames / 32) of (n, 128, n_frames)."""
        return self.features(logmel.unsqueeze(1))

    def forward(self, logmel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings (n, n_features) and logits (n, n_classes) of (n, 128, n_frames)."""
        frames = self.frames(logmel)
        return frames.mean((2, 3)), self.classifier(frames)

    @torch.no_grad()
    def fold(self) -> MobileNet:
        """Merge each batch normalisation into the convolution before it, for good."""
        for module in list(self.modules()):
            if isinstance(module, nn.Sequential) and len(module) > 1:
                conv, norm = module[0], module[1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[0] = nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
                    module[1] = nn.Identity()
        return self


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
        return y.add_(x) if self.residual else y


class _SqueezeExcite(nn.Module):
    """Weigh each channel by what the means of all channels say."""

    def __init__(self, n_channels) -> None:
        super().__init__()
        gate = nn.Module()  # where EfficientAT keeps it: one of several that may run side by side
        n_hidden = _multiple_of_8(n_channels // 4)
        gate.fc1 = nn.Linear(n_channels, n_hidden)
        gate.fc2 = nn.Linear(n_hidden, n_channels)
        self.conc_se_layers = nn.ModuleList([gate])

    def forward(self, x):
        gate = self.conc_se_layers[0]
        weights = torch.sigmoid(gate.fc2(F.relu(gate.fc1(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


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


def _mel_bands() -> torch.Tensor:
    """Return the triangles as (n_mels, 1 + n_fft // 2), in the mels of Kaldi."""

    def mel(hertz):
        return 1127.0 * torch.log1p(hertz / 700.0)

    bins = mel(torch.arange(_N_FFT // 2, dtype=torch.float64) * (SAMPLE_RATE / _N_FFT))
    corners = torch.linspace(0.0, 1.0, _N_MELS + 2, dtype=torch.float64)
    corners = corners * mel(torch.tensor(_F_MAX, dtype=torch.float64))
    steps = corners[1] - corners[0]
    triangles = (1 - (bins - corners[1:-1, None]).abs() / steps).clamp(min=0)
    return F.pad(triangles, (0, 1)).float()  # nothing of the Nyquist frequency
