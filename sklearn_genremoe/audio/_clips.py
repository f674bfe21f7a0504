"""What X may be wherever a clip is expected."""

import os
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
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
        path = str(os.fsdecode(X))
        raise ValueError(
            f"X is the single path {path!r}; expected a sequence of paths: put it into a list, "
            f"[{path!r}]"
        )
    ndim = getattr(X, "ndim", None)
    if ndim is None and isinstance(X, (list, tuple)):
        if not X:
            raise ValueError("X holds no clips; expected at least one path or waveform")
        ndim = 1 if _is_path(X[0]) else 1 + np.ndim(X[0])
    if ndim == 3:
        return "spectrograms"
    if ndim == 1 and _is_path(next(iter(X), None)):
        return "paths"
    if ndim == 2 and not issparse(X) and _holds_paths(np.asarray(X[:1])):
        raise ValueError(
            "X holds paths in 2 dimensions; expected a 1-D sequence of paths: select the column "
            "with the paths, or flatten X with X.ravel()"
        )
    return "waveforms"


def _is_path(item) -> bool:
    return isinstance(item, (str, os.PathLike))


def _holds_paths(row: np.ndarray) -> bool:
    return row.dtype.kind in "UTO" and any(map(_is_path, row.flat))


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
        _require_one_length(X)
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
            "duration * sample_rate samples, those seen in fit had another number; set duration "
            "to their length in seconds"
        )
    return Clips(paths, None)


def _require_one_length(X) -> None:
    if isinstance(X, (list, tuple)):
        lengths = {len(row) for row in X if hasattr(row, "__len__")}
        if len(lengths) > 1:
            raise ValueError(
                f"the waveforms have different lengths, {min(lengths)} to {max(lengths)} samples; "
                "expected one: cut or fill them up with sklearn_genremoe.audio.fix_length"
            )
