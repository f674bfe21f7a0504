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
# over time, of the dense layers (in, out), and of the batch normalisations.
_KERNELS = (
    (7, 38, 1, 204),
    (7, 67, 1, 204),
    (128, 1, 1, 51),
    (64, 1, 1, 51),
    (32, 1, 1, 51),
    (7, 561, 1, 64),
    (7, 64, 1, 64),
    (7, 64, 1, 64),
)
_N_BRANCHES = 5
_DENSE = ((1506, 200), (200, 50))
_NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)

# Kernels whose weights sum to less are zero: decay took most of them to 1e-28.
_NO_WEIGHT = 1e-5


class Tagger:
    """The network with its front end, ready to embed.

    Parameters
    ----------
    tensors : dict of str to Tensor
        The tensors in their published names and layouts.

    Attributes
    ----------
    n_features : dict of str to int
        Features per window, by `layers`.
    """

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self._tensors = tensors
        norms = [self._norm(number) for number in range(len(_NORMS))]
        convolutions = [self._layer("conv2d", number) for number in range(len(_KERNELS))]
        self._norm_of_input, *of_convolutions = norms[: 1 + len(_KERNELS)]
        self._norm_of_pools, self._norm_of_dense = norms[1 + len(_KERNELS) :]
        self._branches = [
            _Branch(kernel, bias, norm)
            for (kernel, bias), norm in zip(convolutions[:_N_BRANCHES], of_convolutions)
        ]
        self._over_time = [
            (kernel[:, :, 0].permute(2, 1, 0).contiguous(), bias, norm[..., None])
            for (kernel, bias), norm in zip(
                convolutions[_N_BRANCHES:], of_convolutions[_N_BRANCHES:]
            )
        ]
        live = [kernel.abs().sum((0, 1, 2)) > _NO_WEIGHT for kernel, _ in convolutions]
        live[-2] |= live[-3]  # these add up
        live[-1] |= live[-2]
        self._live = torch.cat(live).nonzero().flatten()
        self.n_features = {"last": 200, "stages": 200 + len(self._live), "tags": 50}
        self._dense, self._head = (self._layer("dense", number) for number in range(2))
        bands = mel_filterbank(SAMPLE_RATE, _N_FFT, _N_MELS, 0.0, None)[0]
        self._bands = torch.from_numpy(bands)
        self._window = torch.hann_window(_N_FFT)

    def _layer(self, kind: str, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = _numbered(kind, number)
        return self._tensors[f"{name}/kernel"], self._tensors[f"{name}/bias"]

    def _norm(self, number: int) -> torch.Tensor:
        """Return the factors and the terms of a batch normalisation, (2, 1, n)."""
        name = _numbered("batch_normalization", number)
        gamma, beta, mean, variance = (
            self._tensors[f"{name}/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / (variance + _EPS).sqrt()
        return torch.stack([factor, beta - factor * mean])[:, None]

    @torch.inference_mode()
    def embed(
        self, waveform: NDArray[np.float32], seconds: float, layers: str = "last"
    ) -> tuple[NDArray[np.float32], NDArray]:
        """Return the embedding of each whole window, and its share in the clip, which is equal.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), dtype float32
            At 16 kHz. Less than 3 s are repeated; what is left behind the last window is left out.
        seconds : float
            Length of the windows, shorter where a clip is.
        layers : {"last", "stages", "tags"}, default="last"
            The last layer before the tags, this and means of those before it, or the tags'
            probabilities.

        Returns
        -------
        embeddings : ndarray of shape (n_windows, n_features[layers]), dtype float32
            The features.
        share : ndarray of shape (n_windows,)
            Ones.
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


def read_tagger(content: bytes) -> Tagger:
    """Return the network in the published file of weights.

    The file is a checkpoint of TensorFlow 1 without its index: float32 tensors in the order of
    their names, two slots of the optimiser behind each that was trained.

    Parameters
    ----------
    content : bytes
        What is in the file, all of it.

    Returns
    -------
    tagger : Tagger
        The network.
    """
    numbers = torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32))
    shapes = _shapes()
    tensors = {}
    start = 0
    for name in sorted(shapes):
        n_numbers = int(np.prod(shapes[name]))
        tensors[name] = numbers[start : start + n_numbers].reshape(shapes[name])
        start += n_numbers * (1 if "/moving_" in name else 3)
    return Tagger(tensors)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors by their names, and of what else lies between them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for kind, kernels in (("conv2d", _KERNELS), ("dense", _DENSE)):
        for number, kernel in enumerate(kernels):
            name = _numbered(kind, number)
            shapes |= {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}
    for number, size in enumerate(_NORMS):
        name = _numbered("batch_normalization", number)
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"{name}/{part}"] = (size,)
    # Two numbers of the optimiser, here as one of those that no slots follow.
    return shapes | {"beta_powers/moving_": (2,)}


def _numbered(name: str, number: int) -> str:
    """Return the name of a layer as TensorFlow counts them."""
    return f"{name}_{number}" if number else name
