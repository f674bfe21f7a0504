"""What the experts see of a clip."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from ..domains import BaseDomain, DomainBatch, ModulationSpectrogram
from ._plotting import import_pandas, new_axes

# Colours span these percentiles: a few cells, such as the modulation domain's bin at 0 Hz, are so
# large that all the rest would look alike.
_PERCENTILES = (1.0, 99.5)


class DomainDisplay:
    """One clip in one or several feature domains.

    Make one with :meth:`from_estimator`, or from the arrays of a clip.

    Parameters
    ----------
    spectrograms : dict of str to ndarray of shape (n_bins, n_frames) or (n_features,)
        The clip in each domain, by name. Features without time, such as those of
        :class:`~sklearn_genremoe.AudioSetEmbedding`, are shown as one row.
    frame_units : dict of str to (float, str), default=None
        For the domains of which it is known, what a step along the second axis is worth, and
        its name: ``(0.023, "time in s")``. The others count frames.

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
        frame_units: Mapping[str, tuple[float, str]] | None = None,
    ) -> None:
        self.spectrograms = spectrograms
        self.frame_units = frame_units

    @classmethod
    def from_estimator(cls, estimator: Any, clip: Any, *, ax: Any = None) -> "DomainDisplay":
        """Compute the domains of a clip and plot them.

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
        BadClipError
            If the clip can't be read.
        """
        spectrograms = estimator.transform([clip] if np.ndim(clip) == 0 else np.asarray([clip]))
        if isinstance(spectrograms, DomainBatch):
            domains = spectrograms.domains
            arrays = {name: spectrograms[name][0] for name in spectrograms.names}
        else:
            name = type(estimator).__name__
            domains, arrays = {name: estimator}, {name: spectrograms[0]}
        units = {
            name: _frame_unit(domain, arrays[name].shape[-1]) for name, domain in domains.items()
        }
        known = {name: unit for name, unit in units.items() if unit is not None}
        return cls(arrays, frame_units=known).plot(ax=ax)

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
            unit = (1.0, "feature" if vector else "frame")
            step, label = (self.frame_units or {}).get(name, unit)
            low, high = np.percentile(cells, _PERCENTILES)
            self.images_.append(
                axis.imshow(
                    cells,
                    origin="lower",
                    aspect="auto",
                    interpolation="nearest",
                    cmap="magma",
                    vmin=low,
                    vmax=high,
                    extent=(0, cells.shape[1] * step, 0, len(cells)),
                )
            )
            axis.set_title(name, fontsize="medium", loc="left")
            axis.set_xlabel(label)
            if vector:
                axis.set_yticks([])
            else:
                axis.set_ylabel("bin")
        self.ax_ = axes
        self.figure_ = axes[0].figure
        return self

    def frame(self) -> Any:
        """Return the plotted numbers.

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


def _frame_unit(domain: BaseDomain, n_frames: int) -> tuple[float, str] | None:
    """Return what a frame of a domain is worth, if the domain says how far it hops."""
    hop_length = getattr(domain, "hop_length", None)
    if hop_length is None:
        return None
    hop = hop_length / domain.sample_rate
    if isinstance(domain, ModulationSpectrogram):
        return 1 / (2 * n_frames * hop), "modulation frequency in Hz"
    return hop, "time in s"
