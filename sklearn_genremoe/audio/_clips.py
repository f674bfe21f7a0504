"""What X may be wherever a clip is expected."""

import os
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data


class Clips(NamedTuple):
    """Clips after validation: either `paths` or `waveforms` is set, the other is None."""

    paths: list[str] | None
    waveforms: np.ndarray | None

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return len(self.paths if self.paths is not None else self.waveforms)  # type: ignore

    @property
    def width(self) -> int | None:
        """Samples per waveform; None for paths."""
        return None if self.waveforms is None else self.waveforms.shape[1]

    def item(self, i: int):
        """Return clip i: a path, or a waveform of shape (n_samples,)."""
        return self.paths[i] if self.paths is not None else self.waveforms[i]  # type: ignore


def kind_of_clips(X) -> str:
    """Tell what X holds.

    Parameters
    ----------
    X : array-like
        A 1-D sequence of str or Path, or numbers in 2-D (n_clips, n_samples) or 3-D
        (n_clips, n_bins, n_frames).

    Returns
    -------
    kind : {"paths", "waveforms", "spectrograms"}
        What X holds. Anything else counts as "waveforms", so that the validation of
        waveforms says what is wrong with it.

    Raises
    ------
    ValueError
        X is a single path, or holds paths in more than one dimension or beside other things.

    Examples
    --------
    >>> kind_of_clips(["a.ogg", "b.ogg"])
    'paths'
    >>> kind_of_clips([[0.0, 0.1], [0.2, 0.0]])
    'waveforms'
    """
    if isinstance(X, (str, bytes, os.PathLike)):
        raise ValueError(
            f"X is the single path {os.fsdecode(X)!r}; expected a sequence of paths: "
            f"put it into a list, [{os.fsdecode(X)!r}]"
        )
    ndim = getattr(X, "ndim", None)
    if ndim == 3:
        return "spectrograms"
    if ndim is None and not isinstance(X, (list, tuple)):
        return "waveforms"
    if ndim not in (None, 1):
        kind = getattr(getattr(X, "dtype", None), "kind", "")
        if kind in {"U", "T"}:
            raise ValueError(
                f"X holds paths in {ndim} dimensions; expected a 1-D sequence of paths: "
                "select the column with the paths, or flatten X with X.ravel()"
            )
        return "waveforms"
    first = X[0] if ndim is None and len(X) else next(iter(X), None)
    if isinstance(first, (str, os.PathLike)):
        return "paths"
    return "spectrograms" if ndim is None and np.ndim(_innermost(first)) == 2 else "waveforms"


def check_clips(estimator, X, *, path_samples: int, reset: bool) -> Clips:
    """Validate paths or waveforms for an estimator, setting or checking `n_features_in_`.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator on whose behalf X is checked.
    X : array-like
        Paths or waveforms.
    path_samples : int
        Samples per clip that the estimator reads from a file: the number of features of a path.
    reset : bool
        Whether to set `n_features_in_` (in fit) or to check it (elsewhere, if it was set).

    Returns
    -------
    clips : Clips
        The paths as str, or the waveforms as a float32 or float64 array.
    """
    kind = kind_of_clips(X)
    if kind == "spectrograms":
        raise ValueError(
            f"X has 3 dimensions; {type(estimator).__name__} expects paths (a 1-D sequence of "
            "str or Path) or waveforms of shape (n_clips, n_samples)"
        )
    if kind == "waveforms":
        waveforms = validate_data(estimator, X, dtype=(np.float32, np.float64), reset=reset)
        return Clips(None, waveforms)
    paths = []
    for row, path in enumerate(X):
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(
                f"X[{row}] is {path!r}; expected a path (str or Path) like the first entry: "
                "drop the rows without a file"
            )
        paths.append(os.fspath(path))
    if reset:
        estimator.n_features_in_ = path_samples
    elif getattr(estimator, "n_features_in_", path_samples) != path_samples:
        raise ValueError(
            f"X has {path_samples} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input: clips read from files have "
            "duration * sample_rate samples, those seen in fit had another number"
        )
    return Clips(paths, None)


def _innermost(row):
    try:
        return np.asarray(row)
    except ValueError:  # ragged: the validation of waveforms says so
        return row
