"""MobileNetV3 on log-mel spectrograms: the networks that EfficientAT trained on AudioSet."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.nn.utils.fusion import fuse_conv_bn_weights

#: Sample rate of the input in Hz.
SAMPLE_RATE = 32000

_N_FFT = 1024
_N_WINDOW = 800
_HOP = 320
_N_MELS = 128
_F_MAX = 15000.0

# Of the blocks, counted from 1: those that halve the resolution, the first one with Hardswish,
# and the last ones of the four later stages. Kernels and channels are those of the weights.
_N_BLOCKS = 15
_STRIDED = (2, 4, 7, 13)
_FIRST_HARD = 7
_STAGE_ENDS = (6, 10, 12, 15)

# Audio that passes through the network at a time; more takes memory and is no faster.
_SECONDS_AT_A_TIME = 30

Tensors = dict[str, torch.Tensor]
Layer = Callable[[torch.Tensor], torch.Tensor]


class Embedder:
    """A network of any width with its front end, made of a state dict, which it empties.

    ``n_features`` holds the number of features per window, by `layers`.
    """

    def __init__(self, state: Tensors) -> None:
        self._window = torch.hann_window(_N_WINDOW, periodic=False)
        self._bands = _mel_bands()
        self._stem = _convolution(state, "features.0", stride=2)
        self._blocks = [_block(state, number) for number in range(1, 1 + _N_BLOCKS)]
        self._last = _convolution(state, f"features.{1 + _N_BLOCKS}")
        self._dense = [[state.pop(f"classifier.{n}.{x}") for x in _OF_DENSE] for n in (2, 5)]
        if state:
            raise ValueError(f"it holds more than such a network: {list(state)[:3]}")
        # Each must fit the one before; what comes out tells how much that is.
        self.n_features = {}
        for layers in ("last", "stages", "tags"):
            [found], _ = self.embed(np.zeros(SAMPLE_RATE, np.float32), 1.0, layers)
            if not np.isfinite(found).all():
                raise ValueError("its weights hold NaN, infinity or negative variances")
            self.n_features[layers] = len(found)

    @torch.inference_mode()
    def embed(self, waveform: NDArray[np.float32], seconds: float, layers: str = "last") -> tuple:
        """Return what is made of each window, the last of which may be shorter, and its samples.

        The waveform is at 32 kHz; less than one frame is filled up with zeros, and a rest of less
        than a second behind the last window of so many `seconds` is left out.
        """
        x = torch.from_numpy(np.pad(waveform, (0, max(0, _N_FFT - len(waveform)))))
        n_window = min(round(seconds * SAMPLE_RATE), len(x))
        n_whole = len(x) // n_window
        whole, rest = x[: n_whole * n_window].reshape(n_whole, n_window), x[n_whole * n_window :]
        batches = list(whole.split(max(1, _SECONDS_AT_A_TIME * SAMPLE_RATE // n_window)))
        if len(rest) >= SAMPLE_RATE:
            batches.append(rest[None])
        embeddings = torch.cat([self._features(self.logmel(batch), layers) for batch in batches])
        share = np.full(len(embeddings), n_window)
        share[n_whole:] = len(rest)
        return embeddings.numpy(), share

    def logmel(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return (n, 128, n_frames), a frame each 10 ms, of waveforms of shape (n, n_samples)."""
        x = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        spectrum = torch.stft(
            x, _N_FFT, _HOP, _N_WINDOW, self._window, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return ((self._bands @ power).add_(1e-5).log_() + 4.5).div_(5.0)

    def _features(self, logmel: torch.Tensor, layers: str) -> torch.Tensor:
        """Return (n, n_features[layers]) of (n, 128, n_frames)."""
        x = F.hardswish(self._stem(logmel.unsqueeze(1)), inplace=True)
        x, of_stages = pass_blocks(x, self._blocks)
        means = F.hardswish(self._last(x), inplace=True).mean((2, 3))
        if layers == "tags":
            hidden, head = self._dense
            return F.linear(F.hardswish(F.linear(means, *hidden)), *head).sigmoid()
        return torch.cat([means, *of_stages], dim=1) if layers == "stages" else means


def pass_blocks(
    x: torch.Tensor, blocks: list, n_before: int = 0
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return what blocks behind so many others make of maps, and the means of stages that end."""
    of_stages = []
    for number, (expand, project) in enumerate(blocks, n_before + 1):
        y = x
        for layer in expand:
            y = layer(y)
        if number in _STAGE_ENDS:
            of_stages.append(y.mean((2, 3)))
        y = project(y)
        x = y.add_(x) if y.shape == x.shape else y
    return x, of_stages


def _block(state: Tensors, number: int) -> tuple[list[Layer], Layer]:
    """Return how a block expands, filters and perhaps weighs the channels, and how it projects."""
    activation = F.hardswish if number >= _FIRST_HARD else F.relu
    layers: list[Layer] = []
    for part in range(4):
        name = f"features.{number}.block.{part}"
        gate = f"{name}.conc_se_layers.0"
        if f"{gate}.fc1.weight" in state:
            tensors = [state.pop(f"{gate}.fc{n}.{kind}") for n in (1, 2) for kind in _OF_DENSE]
            layers.append(partial(_weigh_channels, tensors=tensors))
        elif part == 0 or any(key.startswith(f"{name}.") for key in state):
            stride = 2 if number in _STRIDED else 1
            layers += [_convolution(state, name, stride), partial(activation, inplace=True)]
    *expand, project, _ = layers
    return expand, project


_OF_DENSE = ("weight", "bias")
_OF_NORM = ("running_mean", "running_var", "weight", "bias")


def _convolution(state: Tensors, name: str, stride: int = 1) -> Layer:
    """Return a convolution with the batch normalisation behind it merged into its weights.

    Only one that looks at each channel by itself goes on by `stride`.
    """
    kernel = state.pop(f"{name}.0.weight")
    mean, variance, gamma, beta = (state.pop(f"{name}.1.{part}") for part in _OF_NORM)
    weight, bias = fuse_conv_bn_weights(kernel, None, mean, variance, 1e-3, gamma, beta)
    by_channel = kernel.shape[1] == 1
    how: dict[str, Any] = {
        "stride": stride if by_channel else 1,
        "padding": (kernel.shape[-1] - 1) // 2,
    }
    how["groups"] = len(kernel) if by_channel and name != "features.0" else 1
    how |= {"weight": weight.detach().to(memory_format=torch.channels_last), "bias": bias.detach()}
    return partial(F.conv2d, **how)


def _weigh_channels(x: torch.Tensor, tensors: list[torch.Tensor]) -> torch.Tensor:
    """Weigh each channel by what the means of all channels say (squeeze and excitation)."""
    hidden = F.relu(F.linear(x.mean((2, 3)), *tensors[:2]))
    return x * torch.sigmoid(F.linear(hidden, *tensors[2:]))[:, :, None, None]


def read_embedder(content: bytes, path: str | Path) -> Embedder:
    """Return the network in a file of weights, or raise a ValueError that says what is wrong.

    Nothing in the file is executed: it is read as tensors, and each must be there.
    """
    expected = "a state dict that EfficientAT published for mn01 to mn40, as mn04_as_mAP_432.pt"
    found = "can't be read as weights: it was cut short, is no file of torch, or holds code, which"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # whatever a foreign file makes torch raise
        raise ValueError(f"{path} {found} was not run; expected {expected}") from None
    try:
        if other := re.search(r"_(mels|hop)_?\d+", Path(path).name):
            raise ValueError(f"its spectrograms have another resolution ({other[0].strip('_')})")
        return Embedder(_checked_tensors(state))
    except KeyError as error:
        reason = f"it lacks {error}"
    except (RuntimeError, IndexError, AttributeError):
        reason = "its layers don't fit each other"
    except ValueError as error:
        reason = str(error)
    raise ValueError(f"{path} isn't such a network: {reason}; expected {expected}")


def _checked_tensors(state: Any) -> Tensors:
    """Return the tensors of a state dict in single precision."""
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}")
    for name, value in state.items():
        is_plain = isinstance(value, torch.Tensor) and value.layout is torch.strided
        if not (is_plain and value.is_contiguous()):  # not a few numbers that pretend to be many
            raise ValueError(f"its entry {name!r} is no plain tensor")
    return {n: x.float() for n, x in state.items() if not str(n).endswith("num_batches_tracked")}


def _mel_bands() -> torch.Tensor:
    """Return triangles of shape (n_mels, 1 + n_fft // 2), equally wide in the mels of Kaldi."""

    def mel(hertz):
        return 1127.0 * torch.log1p(hertz / 700.0)

    bins = mel(torch.arange(_N_FFT // 2, dtype=torch.float64) * (SAMPLE_RATE / _N_FFT))
    corners = torch.linspace(0.0, 1.0, _N_MELS + 2, dtype=torch.float64)
    corners = corners * mel(torch.tensor(_F_MAX, dtype=torch.float64))
    steps = corners[1] - corners[0]
    triangles = (1 - (bins - corners[1:-1, None]).abs() / steps).clamp(min=0)
    return F.pad(triangles, (0, 1)).float()  # nothing of the Nyquist frequency
