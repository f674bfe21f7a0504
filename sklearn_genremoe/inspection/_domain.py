"""What the experts see of a clip."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_array

from .._clips import only_clip
from .._compat import import_pandas
from ..domains import (
    MFCC,
    BaseDomain,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from ._plotting import new_axes

# Colours span these percentiles: a few cells, such as the modulation domain's bin at 0 Hz, are so
# large that all the rest would look alike.
_PERCENTILES = (1.0, 99.5)

# Frequencies at which mel bands are marked, in Hz.
_MARKS = (500, 1000, 2000, 5000, 10_000, 20_000)

_ON_MEL_BANDS = (
    LogMelSpectrogram,
    HarmonicSpectrogram,
    PercussiveSpectrogram,
    ModulationSpectrogram,
)


class DomainAxes(NamedTuple):
    """How the cells of a domain are to be read.

    Attributes
    ----------
    x_label, y_label, value_label : str
        What the axes and the colours stand for.
    x_start, x_step : float
        Where the first column begins, and how wide a column is.
    y_marks : dict of str to float, default=None
        Labels along the second axis, and at which row; None numbers the rows.
    by_row : bool
        Whether the colours show each row at its own scale.
    """

    x_label: str = "frame"
    y_label: str = "bin"
    value_label: str = "value"
    x_start: float = 0.0
    x_step: float = 1.0
    y_marks: Mapping[str, float] | None = None
    by_row: bool = False


class DomainDisplay:
    """One clip in one or several feature domains.

    Make one with :meth:`from_estimator`, or from the arrays of a clip.

    Parameters
    ----------
    spectrograms : dict of str to ndarray of shape (n_bins, n_frames) or (n_features,)
        The clip in each domain, by name. Features without time, such as those of
        :class:`~sklearn_genremoe.AudioSetEmbedding`, are shown as one row.
    axes : dict of str to DomainAxes, default=None
        For the domains of which it is known, what rows, columns and values stand for. The others
        count bins and frames.

    Attributes
    ----------
    images_ : list of matplotlib.image.AxesImage
        The spectrograms, in the order of the domains. Set by :meth:`plot`.
    ax_ : ndarray of shape (n_domains,) of matplotlib.axes.Axes
        The axes of each domain. Set by :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        The figure of the axes. Set by :meth:`plot`.

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

    def __init__(
        self,
        spectrograms: Mapping[str, ArrayLike],
        *,
        axes: Mapping[str, DomainAxes] | None = None,
    ) -> None:
        self.spectrograms = spectrograms
        self.axes = axes

    @classmethod
    def from_estimator(cls, estimator: Any, clip: Any, *, ax: Any = None) -> "DomainDisplay":
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
        TypeError
            If the estimator computes no domains.
        ValueError
            If `clip` isn't one clip.
        BadClipError
            If the clip can't be read.
        """
        if not isinstance(estimator, (BaseDomain, DomainUnion)):
            raise TypeError(
                f"{type(estimator).__name__} is no feature domain; pass one, such as "
                "LogMelSpectrogram(), or a DomainUnion of several."
            )
        clips = only_clip(clip, "clip")
        if isinstance(estimator, BaseDomain):
            estimator = DomainUnion([(type(estimator).__name__, estimator)])
        domains = dict(estimator.domains or estimator.transform(clips).domains)
        raw = {name: _without_clip_scale(domain) for name, domain in domains.items()}
        batch = DomainUnion(list(raw.items())).transform(clips)
        arrays = {name: batch[name][0] for name in batch.names}
        n_samples = len(clips[0]) if isinstance(clips, np.ndarray) else None
        axes = {name: _axes_of(domains[name], arrays[name], n_samples) for name in domains}
        return cls(arrays, axes=axes).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> "DomainDisplay":
        """Plot the domains, one below the other.

        Parameters
        ----------
        ax : array-like of shape (n_domains,) of matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : DomainDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are more or fewer axes than domains.
        """
        n_domains = len(self.spectrograms)
        if ax is None:
            ax = new_axes("DomainDisplay", (7.0, 0.4 + 1.9 * n_domains), n_domains)
        axes = np.ravel(np.asarray(ax, dtype=object))
        if len(axes) != n_domains:
            raise ValueError(f"{len(axes)} axes for {n_domains} domains; pass one for each.")
        self.images_ = []
        for axis, (name, array) in zip(axes, self.spectrograms.items()):
            vector = np.ndim(array) == 1
            cells: np.ndarray = check_array(np.atleast_2d(array), dtype=np.float64, input_name=name)
            unknown = DomainAxes("feature" if vector else "frame")
            scale = (self.axes or {}).get(name, unknown)
            if scale.by_row:
                deviation = cells.std(axis=1, keepdims=True)
                cells = (cells - cells.mean(axis=1, keepdims=True)) / np.where(
                    deviation > 0, deviation, 1
                )
            low, high = np.percentile(cells, _PERCENTILES)
            end = scale.x_start + cells.shape[1] * scale.x_step
            image = axis.imshow(
                cells,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap="magma",
                vmin=low,
                vmax=high,
                extent=(scale.x_start, end, 0, len(cells)),
            )
            self.images_.append(image)
            axis.set_title(name, fontsize="medium", loc="left")
            axis.set_xlabel(scale.x_label)
            axis.set_ylabel("" if vector else scale.y_label)
            if vector:
                axis.set_yticks([])
            elif scale.y_marks is not None:
                axis.set_yticks(list(scale.y_marks.values()), list(scale.y_marks))
            axis.figure.colorbar(image, ax=axis, label=scale.value_label)
        self.ax_ = axes
        self.figure_ = axes[0].figure
        return self

    def frame(self) -> Any:
        """Return the cells of the domains.

        Returns
        -------
        frame : pandas.DataFrame with the columns domain, bin, frame and value
            One row per cell; features without time are the bins of a single frame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_pandas("DomainDisplay.frame")
        parts = []
        for name, array in self.spectrograms.items():
            cells = np.asarray(array)
            if cells.ndim == 1:
                cells = cells[:, np.newaxis]
            bins, frames = np.indices(cells.shape)
            parts.append(
                pandas.DataFrame(
                    {
                        "domain": name,
                        "bin": bins.ravel(),
                        "frame": frames.ravel(),
                        "value": cells.ravel(),
                    }
                )
            )
        return pandas.concat(parts, ignore_index=True)


def _without_clip_scale(domain: BaseDomain) -> BaseDomain:
    """Return a domain in its own unit, where it would scale each clip to deviation 1."""
    is_scaled = domain.get_params().get("normalize") == "clip"
    return clone(domain).set_params(normalize=None) if is_scaled else domain


def _axes_of(domain: BaseDomain, cells: np.ndarray, n_samples: int | None) -> DomainAxes:
    """Return how to read the cells of a waveform of `n_samples`, or of a file if they are None."""
    axes = DomainAxes("feature" if cells.ndim == 1 else "frame")
    hop_length = getattr(domain, "hop_length", None)
    if hop_length is None or cells.ndim != 2:
        return axes
    hop = hop_length / domain.sample_rate
    offset = domain.offset if n_samples is None else 0.0
    axes = axes._replace(x_label="time in s", x_start=offset, x_step=hop)
    if isinstance(domain, MFCC):
        n = len(cells) // 3
        marks = {"c0": 0.5, "Δ c0": n + 0.5, "ΔΔ c0": 2 * n + 0.5}
        label = "deviations from\nthe row's mean"
        return axes._replace(y_label="coefficient", y_marks=marks, value_label=label, by_row=True)
    if not isinstance(domain, _ON_MEL_BANDS):
        return axes
    axes = axes._replace(y_label="frequency in Hz", y_marks=_marks_of_mel_bands(domain))
    in_decibels = True
    if isinstance(domain, ModulationSpectrogram):
        length = max(domain.n_samples if n_samples is None else n_samples, domain.n_fft)
        n_frames = 1 + (length - domain.n_fft % 2) // hop_length
        step = 1 / (n_frames * hop)
        first = int(domain.drop_dc)
        axes = axes._replace(  # each column around its frequency
            x_label="modulation frequency in Hz",
            x_start=(first - 0.5) * step,
            x_step=step,
        )
        in_decibels = domain.scale == "log"
        axes = axes._replace(value_label="magnitude")
    if in_decibels:
        axes = axes._replace(value_label="dB")
    if domain.normalize == "bin":
        return axes._replace(value_label="deviations from\nthe band's mean")
    return axes


def _marks_of_mel_bands(domain: Any) -> dict[str, float]:
    """Return labels in Hz and at which row they are."""
    from librosa import mel_frequencies  # slow to import

    top = domain.sample_rate / 2 if domain.fmax is None else domain.fmax
    centres = mel_frequencies(domain.n_mels + 2, fmin=domain.fmin, fmax=top)[1:-1]
    rows = np.arange(domain.n_mels) + 0.5
    return {
        f"{mark:,}": float(np.interp(mark, centres, rows))
        for mark in _MARKS
        if centres[0] <= mark <= centres[-1]
    }
