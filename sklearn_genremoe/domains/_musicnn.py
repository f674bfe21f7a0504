"""musicnn on mel spectrograms: the network that was trained on the tags of a million songs."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ._analysis import mel_filterbank

#: Sample rate of the input in Hz.
SAMPLE_RATE = 16000
_N_FFT = 512
_HOP = 256
_N_MELS = 96
_EPS = 1e-3
_TRAINED_SECONDS = 3.0

# Shapes of the kernels (frames, bands, in, out) of the five branches and the three convolutions
# over time, of the dense layers (in, out), and of the batch normalisations: of the input, behind
# each convolution, of what is pooled, and behind the first dense layer.
_BRANCHES = ((7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51))
_OVER_TIME = ((7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64))
_DENSE = ((1506, 200), (200, 50))
_NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)

# Kernels whose weights sum to less are zero: decay took most of them to 1e-28.
_NO_WEIGHT = 1e-5


class Tagger:
    """The network with its front end, read from the published file of weights.

    That is a checkpoint of TensorFlow 1 without its index: float32 tensors in the order of their
    names, two slots of the optimiser behind each that was trained. ``n_features`` holds the number
    of features per window, by `layers`.
    """

    def __init__(self, content: bytes) -> None:
        self._numbers = torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32))
        # As text, 10 comes before 2.
        norms = {n: self._read_norm(_NORMS[n]) for n in sorted(range(len(_NORMS)), key=str)}
        self._read((2,), n_slots=0)  # the optimiser's
        layers = [self._read_layer(shape) for shape in (*_BRANCHES, *_OVER_TIME, *_DENSE)]
        self._norm_of_input, *of_convolutions = (norms[n] for n in range(9))
        self._norm_of_pools, self._norm_of_dense = norms[9], norms[10]
        *convolutions, self._dense, self._head = layers
        self._branches = [_Branch(*x, norm) for x, norm in zip(convolutions[:5], of_convolutions)]
        self._over_time = [
            (kernel[:, :, 0].permute(2, 1, 0).contiguous(), bias, norm[..., None])
            for (kernel, bias), norm in zip(convolutions[5:], of_convolutions[5:])
        ]
        live = [kernel.abs().sum((0, 1, 2)) > _NO_WEIGHT for kernel, _ in convolutions]
        live[-2] |= live[-3]  # these add up
        live[-1] |= live[-2]
        self._live = torch.cat(live).nonzero().flatten()
        self.n_features = {"last": 200, "stages": 200 + len(self._live), "tags": 50}
        bands = mel_filterbank(SAMPLE_RATE, _N_FFT, _N_MELS, 0.0, None)[0]
        self._bands = torch.from_numpy(bands)
        self._window = torch.hann_window(_N_FFT)

    def _read(self, shape: tuple[int, ...], n_slots: int = 2) -> torch.Tensor:
        """Return the next tensor, and pass over the slots behind it."""
        size = int(np.prod(shape))
        tensor = self._numbers[:size].reshape(shape)
        self._numbers = self._numbers[size * (1 + n_slots) :]
        return tensor

    def _read_layer(self, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a kernel and the bias that stands before it."""
        bias = self._read(shape[-1:])
        return self._read(shape), bias

    def _read_norm(self, size: int) -> torch.Tensor:
        """Return the factors and the terms of a batch normalisation, (2, 1, n)."""
        beta, gamma = self._read((size,)), self._read((size,))
        mean, variance = self._read((size,), n_slots=0), self._read((size,), n_slots=0)
        factor = gamma / (variance + _EPS).sqrt()
        return torch.stack([factor, beta - factor * mean])[:, None]

    @torch.inference_mode()
    def embed(self, waveform: NDArray[np.float32], seconds: float, layers: str = "last") -> tuple:
        """Return what is made of each whole window, and its share in the clip, which is equal.

        The waveform is at 16 kHz; less than 3 s are repeated. Windows are of so many `seconds`, or
        of the whole clip where it is shorter.
        """
        seconds = min(seconds, max(_TRAINED_SECONDS, len(waveform) / SAMPLE_RATE))
        n_frames = int(seconds * SAMPLE_RATE / _HOP)
        n_least = round(seconds * SAMPLE_RATE)
        if len(waveform) < n_least:
            waveform = np.resize(waveform, n_least)
        windows = self.mel(torch.from_numpy(waveform.copy())).split(n_frames)
        # One by one, which is as fast and takes the same memory for clips of any length.
        embeddings = [self(window[None], layers) for window in windows if len(window) == n_frames]
        return torch.cat(embeddings).numpy(), np.ones(len(embeddings))

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Return log10(1 + 10,000 power) in 96 bands every 16 ms, (n_frames, 96)."""
        spectrum = torch.stft(
            waveform, _N_FFT, _HOP, window=self._window, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return (self._bands @ power).mul_(1e4).add_(1).log10_().T

    def __call__(self, mel: torch.Tensor, layers: str = "last") -> torch.Tensor:
        """Return (n, n_features[layers]) of spectrograms of shape (n, n_frames, 96)."""
        most, means = self.pools(mel)
        kernel, bias = self._dense
        factor, term = self._norm_of_pools
        pools = torch.stack([most, means], dim=2).flatten(1) * factor + term
        hidden = (pools @ kernel + bias).relu_()
        factor, term = self._norm_of_dense
        last = hidden * factor + term
        if layers == "stages":
            return torch.cat([last, means[:, self._live]], dim=1)
        kernel, bias = self._head
        return last if layers == "last" else torch.sigmoid(last @ kernel + bias)

    def pools(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the maxima and the means over time of all channels, (n, 753) each."""
        factor, term = self._norm_of_input
        x = (mel * factor + term).unsqueeze(1).contiguous()
        maps = [torch.cat([branch(x) for branch in self._branches], dim=1)]
        for number, (kernel, bias, (factor, term)) in enumerate(self._over_time):
            y = F.conv1d(maps[-1], kernel, bias, padding="same").relu_() * factor + term
            maps.append(y + maps[-1] if number else y)
        everything = torch.cat(maps, dim=1)
        return everything.amax(2), everything.mean(2)


class _Branch:
    """A convolution, ReLU and normalisation, of which the maximum over the bands is kept."""

    def __init__(self, kernel: torch.Tensor, bias: torch.Tensor, norm: torch.Tensor) -> None:
        self._factor, self._term = norm[..., None]
        # Where the normalisation turns the sign, its maximum is where the convolution is least.
        sign = self._factor.sign().flatten()
        self._sign = sign[:, None]
        self._alive = torch.nonzero(kernel.abs().sum((0, 1, 2)) > _NO_WEIGHT).flatten()
        self._kernel = (kernel * sign).permute(3, 2, 0, 1)[self._alive].contiguous()
        self._bias = sign * bias
        n_frames = len(kernel)
        self._padding = (0, 0, (n_frames - 1) // 2, n_frames // 2)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, n_channels, n_frames) of (n, 1, n_frames, n_bands)."""
        most = self._bias[:, None].repeat(len(x), 1, x.shape[2])
        found = F.conv2d(F.pad(x, self._padding), self._kernel, self._bias[self._alive])
        most[:, self._alive] = found.amax(3)
        return (self._sign * most).relu_() * self._factor + self._term
