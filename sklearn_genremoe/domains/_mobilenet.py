"""MobileNetV3 on log-mel spectrograms: the networks that EfficientAT trained on AudioSet."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
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
# The last blocks of the four later stages (of 40, 80, 112 and 160 channels), counted from 1.
_STAGE_ENDS = (6, 10, 12, 15)

_EXPECTED = (
    "Expected is a state dict that EfficientAT published for one of its networks mn01 to mn40, "
    "such as mn04_as_mAP_432.pt: fetch it again, or give another file."
)

# Audio that passes through the network at a time; more takes memory and is no faster.
_SECONDS_AT_A_TIME = 30


class Embedder:
    """A network with its front end, ready to embed.

    Parameters
    ----------
    network : MobileNet
        The network, of which this takes possession.

    Attributes
    ----------
    n_features : dict of str to int
        Features per window, by `layers`.
    """

    def __init__(self, network: MobileNet) -> None:
        self.n_features = network.n_features
        self._network = network.eval().requires_grad_(False).fold()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._front_end = LogMel()

    @torch.inference_mode()
    def embed(
        self, waveform: NDArray[np.float32], seconds: float, layers: str = "last"
    ) -> tuple[NDArray[np.float32], NDArray]:
        """Return the embedding of each window, the last of which may be shorter, and its share.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), dtype float32
            At 32 kHz; less than one frame of 1,024 samples is filled up with zeros.
        seconds : float
            Length of the windows. A rest of less than a second is left out.
        layers : {"last", "stages", "tags"}, default="last"
            The last feature map, this and those of four stages before it, or the probabilities of
            the classes.

        Returns
        -------
        embeddings : ndarray of shape (n_windows, n_features[layers]), dtype float32
            Means over time and frequency.
        share : ndarray of shape (n_windows,), dtype int
            Samples of each window.
        """
        x = torch.from_numpy(np.pad(waveform, (0, max(0, _N_FFT - len(waveform)))))
        n_window = min(round(seconds * SAMPLE_RATE), len(x))
        n_whole = len(x) // n_window
        whole, rest = x[: n_whole * n_window].reshape(n_whole, n_window), x[n_whole * n_window :]
        batches = list(whole.split(max(1, _SECONDS_AT_A_TIME * SAMPLE_RATE // n_window)))
        if len(rest) >= SAMPLE_RATE or n_whole == 0:
            batches.append(rest[None])
        logmels = (self._front_end(batch) for batch in batches if len(batch))
        embeddings = torch.cat([self._network.means(logmel, layers) for logmel in logmels])
        share = np.full(len(embeddings), n_window)
        share[n_whole:] = len(rest)
        return embeddings.numpy(), share


def read_embedder(content: bytes, path: str | Path) -> Embedder:
    """Return the network in a file of weights, or raise a ValueError that says what is wrong.

    Nothing in the file is executed: it is read as tensors, and each must be there.

    Parameters
    ----------
    content : bytes
        What is in the file.
    path : str or Path
        Its name, for messages.

    Returns
    -------
    embedder : Embedder
        The network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # whatever a foreign file makes torch raise
        raise ValueError(
            f"{path} can't be read as weights: it was cut short, is no file of torch, or holds "
            f"code, which was not run. {_EXPECTED}"
        ) from None
    if other := re.search(r"_(mels|hop)_?\d+", Path(path).name):
        raise ValueError(
            f"{path} holds a network of the same shape, but for spectrograms of other resolution "
            f"({other[0].strip('_')}), which would hear nonsense here: only those for 128 bands "
            f"and a hop of 10 ms are taken. {_EXPECTED}"
        )
    found = _shapes(state) if isinstance(state, dict) else {}
    match found.get("classifier.2.bias"), found.get("classifier.5.bias"):
        case (n_hidden,), (n_classes,):
            width = n_hidden / _HEAD
        case _:
            held = f"the entries {list(found)[:3]}" if found else f"a {type(state).__name__}"
            raise ValueError(f"{path} isn't such a network: it holds {held}. {_EXPECTED}")
    with torch.device("meta"):  # neither memory nor random numbers
        network = MobileNet(width, n_classes)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    differing = [
        f"{name}: found {found.get(name, 'none')}, expected {wanted.get(name, 'none')}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        raise ValueError(
            f"{path} doesn't fit the network of width {width:g}: "
            f"{'; '.join(differing[:3])} ({len(differing)} differ in all). {_EXPECTED}"
        )
    numbers = {n: tensor for n, tensor in state.items() if not n.endswith("num_batches_tracked")}
    if not all(tensor.isfinite().all() for tensor in numbers.values()):
        raise ValueError(f"{path} holds NaN or infinity. {_EXPECTED}")
    if any((tensor < 0).any() for n, tensor in numbers.items() if n.endswith("running_var")):
        raise ValueError(f"{path} is damaged: it holds negative variances. {_EXPECTED}")
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return Embedder(network)


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
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
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

    def means(self, logmel: torch.Tensor, layers: str = "last") -> torch.Tensor:
        """Return the features of (n, 128, n_frames), (n, n_features[layers])."""
        x = logmel.unsqueeze(1)
        of_stages = []
        for number, layer in enumerate(self.features):
            if layers == "stages" and number in _STAGE_ENDS and isinstance(layer, _Block):
                expanded = layer.expand(x)
                of_stages.append(expanded.mean((2, 3)))
                x = layer.project(expanded, x)
            else:
                x = layer(x)
        if layers == "tags":
            return self.classifier(x).sigmoid()
        return torch.cat([x.mean((2, 3)), *of_stages], dim=1)

    def forward(self, logmel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings (n, n_last) and logits (n, n_classes) of (n, 128, n_frames)."""
        frames = self.features(logmel.unsqueeze(1))
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
        return self.project(self.expand(x), x)

    def expand(self, x):
        *before, _ = self.block
        for layer in before:
            x = layer(x)
        return x

    def project(self, expanded, x):
        y = self.block[-1](expanded)
        return y.add_(x) if self.residual else y


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


def _shapes(state: dict[Any, Any]) -> dict[str, Any]:
    """Return the shapes of the entries of a state dict, and the type of what is no plain tensor."""
    return {
        str(name): tuple(value.shape) if _is_plain(value) else type(value).__name__
        for name, value in state.items()
    }


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.is_contiguous()  # not a few numbers that pretend to be many
        and not value.is_complex()
        and not value.is_quantized
    )
