"""What the experts see of a clip."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.preprocessing import scale
from sklearn.utils.validation import check_array

from .._clips import only_clip
from ..domains import MFCC, BaseDomain, DomainUnion, ModulationSpectrogram
from ._plotting import BaseDisplay

# Colours span these percentiles: a few cells, such as the modulation domain's bin at 0 Hz, are so
# large that all the rest would look alike.
_PERCENTILES = (1.0, 99.5)

_IMAGE: Any = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}

# Frequencies at which mel bands are marked, in Hz.
_MARKS = (500, 1000, 2000, 5000, 10_000, 20_000)


class DomainAxes(NamedTuple):
    """How the cells of a domain are to be read."""

    x_label: str = "frame"
    y_label: str = "bin"
    value_label: str = "value"
    # Where the first column begins, and how wide a column is.
    x_start: float = 0.0
    x_step: float = 1.0
    # Labels along the second axis and at which row they are; None numbers the rows.
    y_marks: Mapping[str, float] | None = None
    # Whether the colours show each row at its own scale.
    by_row: bool = False


@dataclass(eq=False, repr=False)
class DomainDisplay(BaseDisplay):
    """One clip in one or several feature domains.

    Make one with :meth:`from_estimator`, or from the arrays of a clip.

    Parameters
    ----------
    spectrograms : dict of str to ndarray of shape (n_bins, n_frames) or (n_features,)
        The clip in each domain, by name. Features without time are shown as one row.
    axes : dict of str to DomainAxes, default=None
        What rows, columns and values stand for; other domains count bins and frames.

    Attributes
    ----------
    images_ : list of matplotlib.image.AxesImage
        The spectrograms, in the order of the domains. Set by :meth:`plot`.
    ax_, figure_ : ndarray of shape (n_domains,) of matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes of each domain, and their figure. Set by :meth:`plot`.

    See Also
    --------
    sklearn_genremoe.DomainUnion : Computes the domains of many clips.

    Examples
    --------
    >>> from sklearn_genremoe import DomainUnion
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> from sklearn_genremoe.inspection import DomainDisplay
    >>> path = load_mini_genres().data[0]
    >>> display = DomainDisplay.from_estimator(DomainUnion(), path)
    >>> [axes.get_title(loc="left") for axes in display.ax_]
    ['original', 'harmonic', 'percussive', 'modulation']
    """

    spectrograms: Mapping[str, ArrayLike]
    _: KW_ONLY
    axes: Mapping[str, DomainAxes] | None = None

    _several_axes = True

    @classmethod
    def from_estimator(cls, estimator: Any, clip: Any, *, ax: Any = None) -> Self:
        """Compute the domains of a clip and plot them, in decibels where they are spectrograms.

        Parameters
        ----------
        estimator : DomainUnion or BaseDomain
            What to compute.
        clip : str, Path or array-like of shape (n_samples,)
            A path, or a waveform.
        ax : array-like of shape (n_domains,) of matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : DomainDisplay
            The display, plotted.

        Raises
        ------
        TypeError, ValueError
            If the estimator computes no domains, `clip` isn't one clip, or can't be read, or there
            isn't one axes for each domain.
        """
        name = type(estimator).__name__
        if not isinstance(estimator, (BaseDomain, DomainUnion)):
            raise TypeError(f"{name} is no feature domain; pass one, such as MFCC().")
        clips = only_clip(clip, "clip")
        if isinstance(estimator, BaseDomain):
            estimator = DomainUnion([(name, estimator)])
        domains = dict(estimator.domains or estimator.transform(clips).domains)
        raw = {name: clone(domain) for name, domain in domains.items()}
        for domain in raw.values():
            if getattr(domain, "normalize", None) == "clip":
                domain.set_params(normalize=None)  # its own unit, not deviation 1
        batch = DomainUnion(list(raw.items())).transform(clips)
        arrays = {name: batch[name][0] for name in batch.names}
        n_samples = len(clips[0]) if isinstance(clips, np.ndarray) else None
        axes = {
            name: _axes_of(domain, arrays[name], n_samples)
            for name, domain in domains.items()
            if arrays[name].ndim == 2 and hasattr(domain, "hop_length")
        }
        return cls(arrays, axes=axes).plot(ax=ax)

    def frame(self) -> Any:
        """Return the cells of the domains.

        Returns
        -------
        frame : pandas.DataFrame with the columns domain, bin, frame and value
            One row per cell; features without time are the bins of a single frame.
        """
        parts = {
            name: pd.DataFrame(np.atleast_2d(np.transpose(cells))).unstack()
            for name, cells in self.spectrograms.items()
        }
        frame = pd.concat(parts, names=["domain", "bin", "frame"])
        return frame.rename("value").reset_index()

    def _size(self) -> tuple[float, float, int]:
        n_domains = len(self.spectrograms)
        return 7.0, 0.4 + 1.9 * n_domains, n_domains

    def _draw(self, axes: np.ndarray) -> None:
        n_domains = len(self.spectrograms)
        if len(axes) != n_domains:
            raise ValueError(f"{len(axes)} axes for {n_domains} domains; pass one for each.")
        self.images_ = []
        for ax, (name, array) in zip(axes, self.spectrograms.items()):
            cells = check_array(np.atleast_2d(array), dtype=np.float64, input_name=name)
            row = DomainAxes("feature", y_label="", y_marks={})
            unknown = row if np.ndim(array) == 1 else DomainAxes()
            how = (self.axes or {}).get(name, unknown)
            if how.by_row:
                cells = scale(cells, axis=1)
            low, high = np.percentile(cells, _PERCENTILES)
            end = how.x_start + cells.shape[1] * how.x_step
            extent = how.x_start, end, 0, len(cells)
            image = ax.imshow(cells, extent=extent, vmin=low, vmax=high, **_IMAGE)
            self.images_.append(image)
            ax.set_title(name, fontsize="medium", loc="left")
            ax.set(xlabel=how.x_label, ylabel=how.y_label)
            if how.y_marks is not None:
                ax.set_yticks(list(how.y_marks.values()), list(how.y_marks))
            ax.figure.colorbar(image, ax=ax, label=how.value_label)


def _axes_of(domain: Any, cells: np.ndarray, n_samples: int | None) -> DomainAxes:
    """Return how to read the cells of a waveform of `n_samples`, or of a file if they are None."""
    hop = domain.hop_length / domain.sample_rate
    offset = domain.offset if n_samples is None else 0.0
    axes = DomainAxes("time in s", x_start=offset, x_step=hop)
    if isinstance(domain, MFCC):
        n = len(cells) // 3
        marks = {"c0": 0.5, "Δ c0": n + 0.5, "ΔΔ c0": 2 * n + 0.5}
        label = "deviations from\nthe row's mean"
        return axes._replace(y_label="coefficient", y_marks=marks, value_label=label, by_row=True)
    if len(cells) != getattr(domain, "n_mels", None):
        return axes
    unit = "magnitude" if getattr(domain, "scale", "log") == "linear" else "dB"
    if isinstance(domain, ModulationSpectrogram):
        length = max(domain.n_samples if n_samples is None else n_samples, domain.n_fft)
        step = 1 / (hop * (1 + (length - domain.n_fft % 2) // domain.hop_length))
        start = (int(domain.drop_dc) - 0.5) * step  # each column around its frequency
        axes = axes._replace(x_label="modulation frequency in Hz", x_start=start, x_step=step)
    if domain.normalize == "bin":
        unit = "deviations from\nthe band's mean"
    from librosa import mel_frequencies  # slow to import

    top = domain.sample_rate / 2 if domain.fmax is None else domain.fmax
    centres = mel_frequencies(domain.n_mels + 2, fmin=domain.fmin, fmax=top)[1:-1]
    rows = np.arange(domain.n_mels) + 0.5
    shown = [mark for mark in _MARKS if centres[0] <= mark <= centres[-1]]
    marks = {f"{mark:,}": float(np.interp(mark, centres, rows)) for mark in shown}
    return axes._replace(y_label="frequency in Hz", y_marks=marks, value_label=unit)
