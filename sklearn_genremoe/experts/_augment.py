"""Changes to training batches that keep small sets of clips from being learnt by heart."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_scalar


@dataclass(frozen=True)
class TimeMask:
    """Mask some stretches of time in each training clip, as SpecAugment does [1]_.

    In a masked frame each bin has its mean over the clip.

    Parameters
    ----------
    max_frames : int, default=16
        Longest stretch in frames; its length is drawn evenly from 0 up to this.
    n_masks : int, default=2
        Number of stretches. They may overlap.

    Raises
    ------
    ValueError
        If a number is negative.

    See Also
    --------
    FrequencyMask : The same along the other axis.

    References
    ----------
    .. [1] Park et al., "SpecAugment: A simple data augmentation method for automatic speech
       recognition", Interspeech 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_genremoe.experts import TimeMask
    >>> clips = torch.arange(12.0).reshape(1, 2, 6)
    >>> TimeMask(max_frames=3, n_masks=1)(clips, np.random.default_rng(3))
    tensor([[[ 2.5000,  2.5000,  2.5000,  3.0000,  4.0000,  5.0000],
             [ 8.5000,  8.5000,  8.5000,  9.0000, 10.0000, 11.0000]]])
    """

    max_frames: int = 16
    n_masks: int = 2

    def __post_init__(self) -> None:
        check_scalar(self.max_frames, "max_frames", Integral, min_val=0)
        check_scalar(self.n_masks, "n_masks", Integral, min_val=0)

    def __call__(self, clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return masked clips (n_clips, n_bins, n_frames)."""
        masked = _random_stretches(clips, 2, self.max_frames, self.n_masks, rng)
        return torch.where(masked, clips.mean(dim=2, keepdim=True), clips)


@dataclass(frozen=True)
class FrequencyMask:
    """Mask some ranges of bins in each training clip, as SpecAugment does [1]_.

    A masked bin has the mean of the clip throughout.

    Parameters
    ----------
    max_bins : int, default=16
        Widest range in bins; its width is drawn evenly from 0 up to this.
    n_masks : int, default=2
        Number of ranges. They may overlap.

    Raises
    ------
    ValueError
        If a number is negative.

    See Also
    --------
    TimeMask : The same along the other axis.

    References
    ----------
    .. [1] Park et al., "SpecAugment: A simple data augmentation method for automatic speech
       recognition", Interspeech 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_genremoe.experts import FrequencyMask
    >>> clips = torch.arange(8.0).reshape(1, 4, 2)
    >>> FrequencyMask(max_bins=2, n_masks=1)(clips, np.random.default_rng(3))
    tensor([[[3.5000, 3.5000],
             [3.5000, 3.5000],
             [4.0000, 5.0000],
             [6.0000, 7.0000]]])
    """

    max_bins: int = 16
    n_masks: int = 2

    def __post_init__(self) -> None:
        check_scalar(self.max_bins, "max_bins", Integral, min_val=0)
        check_scalar(self.n_masks, "n_masks", Integral, min_val=0)

    def __call__(self, clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return masked clips (n_clips, n_bins, n_frames)."""
        masked = _random_stretches(clips, 1, self.max_bins, self.n_masks, rng)
        return torch.where(masked, clips.mean(dim=(1, 2), keepdim=True), clips)


@dataclass(frozen=True)
class Mixup:
    r"""Blend the clips of a batch, and what they are trained towards, with one another [1]_.

    With a share :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)` per batch, clip :math:`x` of
    genre :math:`y` and another clip :math:`x'` of genre :math:`y'` become

    .. math:: \lambda x + (1 - \lambda) x', \qquad
        \text{loss} = -\lambda \log h_y - (1 - \lambda) \log h_{y'}.

    Parameters
    ----------
    alpha : float, default=0.3
        Shape of the distribution, above zero. Small values leave one of the clips nearly alone.
    probability : float, default=0.5
        Share of the batches that are blended, in [0, 1].

    Raises
    ------
    ValueError
        If a number is out of its range.

    See Also
    --------
    sklearn_genremoe.CNNClassifier : Takes it in `augment`.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.experts import Mixup
    >>> partner, share = Mixup(alpha=1.0, probability=1.0).blend(4, np.random.default_rng(0))
    >>> sorted(partner.tolist()), round(share, 2)
    ([0, 1, 2, 3], 0.87)
    """

    alpha: float = 0.3
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_scalar(self.alpha, "alpha", Real, min_val=0, include_boundaries="neither")
        check_scalar(self.probability, "probability", Real, min_val=0, max_val=1)

    def blend(self, n_clips: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], float]:
        """Draw whom each clip of a batch is blended with, and how much.

        Parameters
        ----------
        n_clips : int
            Clips in the batch.
        rng : numpy.random.Generator
            Draws.

        Returns
        -------
        partner : ndarray of int of shape (n_clips,)
            For each clip the position of the other one.
        share : float
            How much of a clip stays itself; 1.0 where the batch isn't blended.
        """
        if rng.random() >= self.probability:
            return np.arange(n_clips), 1.0
        share = float(rng.beta(self.alpha, self.alpha))
        return rng.permutation(n_clips), share


@dataclass(frozen=True)
class RandomCrop:
    """Cut a random stretch of time out of each training clip.

    Parameters
    ----------
    n_frames : int
        Its length.
    """

    n_frames: int

    @property
    def _cropped_frames(self) -> int:
        """The length that all clips have afterwards, the only one that may be another."""
        return self.n_frames

    def __call__(self, clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return clips (n_clips, [n_channels,] n_bins, n_frames) of that length."""
        starts = rng.integers(0, clips.shape[-1] - self.n_frames + 1, len(clips))
        return torch.stack(
            [clip[..., start : start + self.n_frames] for clip, start in zip(clips, starts)]
        )


def _random_stretches(
    clips: torch.Tensor, dim: int, longest: int, n_masks: int, rng: np.random.Generator
) -> torch.Tensor:
    """Return which cells along a dimension are masked in each clip, one long in the other."""
    n_clips, size = len(clips), clips.shape[dim]
    lengths = rng.integers(0, min(longest, size) + 1, (n_masks, n_clips, 1))
    starts = rng.integers(0, size - lengths + 1)
    cells = np.arange(size)
    masked = np.any((starts <= cells) & (cells < starts + lengths), axis=0)
    return torch.from_numpy(masked).to(clips.device).unsqueeze(3 - dim)
