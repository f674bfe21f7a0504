"""What X may be wherever a clip is expected."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ._sklearn_compat import _check_sample_weight

# The search for NaN looks at about this many bytes at a time.
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Clips:
    """Clips that were validated where they came in: either paths or waveforms, the other None.

    They are handed down as they are, and nobody asks again what they hold.
    """

    paths: list[str] | None
    waveforms: np.ndarray | None

    def __len__(self) -> int:
        return len(self.paths if self.paths is not None else self.waveforms)  # type: ignore

    @property
    def width(self) -> int | None:
        """Samples per waveform; None for paths."""
        return None if self.waveforms is None else self.waveforms.shape[1]

    def item(self, i: int):
        """Return clip i: a path, or a waveform of shape (n_samples,)."""
        return self.paths[i] if self.paths is not None else self.waveforms[i]  # type: ignore

    def take(self, rows: NDArray[np.intp]) -> "Clips":
        """Return some of the clips."""
        if self.paths is not None:
            return Clips([self.paths[row] for row in rows], None)
        return Clips(None, self.waveforms[rows])  # type: ignore[index]


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
        What X holds; "spectrograms" stands for more than three dimensions too. Anything else
        counts as "waveforms", so that the validation of waveforms says what is wrong with it.

    Raises
    ------
    ValueError
        X is a single path, no sequence, or holds paths in more than one dimension.

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
    if issparse(X):  # some of them look like mappings
        return "waveforms"
    is_sequence = hasattr(X, "__array__") or hasattr(X, "__getitem__")
    if not is_sequence or isinstance(X, Mapping):
        raise ValueError(
            f"X is of the type {type(X).__name__}; expected a sequence of paths (str or Path) or "
            "an array: a list, an array or a pandas Series"
        )
    ndim = getattr(X, "ndim", None)
    if ndim is None and isinstance(X, (list, tuple)):
        if not X:
            raise ValueError("X holds no clips; expected at least one path or waveform")
        ndim = 1 if _is_path(X[0]) else 1 + np.ndim(X[0])
    if ndim is not None and ndim >= 3:
        return "spectrograms"
    if (
        ndim == 1
        and getattr(getattr(X, "dtype", None), "kind", "O") in "OUT"
        and any(map(_is_path, X))
    ):
        return "paths"
    if ndim == 2 and _holds_paths(np.asarray(X[:1])):
        raise ValueError(
            "X holds paths in 2 dimensions; expected a 1-D sequence of paths: select the column "
            "with the paths, or flatten X with X.ravel()"
        )
    return "waveforms"


def _is_path(item) -> bool:
    return isinstance(item, (str, os.PathLike))


def _holds_paths(row: np.ndarray) -> bool:
    return row.dtype.kind in "UTO" and any(map(_is_path, row.flat))


def check_clips(estimator, X, *, path_samples: int, reset: bool, kind: str | None = None) -> Clips:
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
    kind : str, default=None
        What `kind_of_clips` has said about X; None asks.

    Returns
    -------
    clips : Clips
        The paths as str, or the waveforms as a float32 or float64 array.
    """
    if kind is None:
        X = without_torch(X)
        kind = kind_of_clips(X)
    if kind == "spectrograms":
        raise ValueError(
            f"X has {np.ndim(X)} dimensions; {type(estimator).__name__} expects paths (a 1-D "
            "sequence of str or Path) or waveforms of shape (n_clips, n_samples)"
        )
    if kind == "waveforms":
        _require_one_length(X)
        waveforms = validate_data(
            estimator, X, dtype=(np.float32, np.float64), reset=reset, ensure_all_finite=False
        )
        check_finite(waveforms)
        return Clips(None, waveforms)
    paths = []
    for row, path in enumerate(X):
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(
                f"X[{row}] is {path!r}; expected a path (str or Path) like the other "
                "entries: drop the rows without a file"
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


def without_torch(X: Any) -> Any:
    """Return a tensor as an array, wherever it lives, and anything else as it is."""
    torch = sys.modules.get("torch")  # who holds a tensor has loaded it; others need not
    if torch is None or not isinstance(X, torch.Tensor):
        return X
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()


def check_finite(X: np.ndarray, release: Callable[[np.ndarray], None] | None = None) -> None:
    """Raise a ValueError that names the clips with NaN or infinity.

    Parameters
    ----------
    X : ndarray of shape (n_clips, ...)
        Waveforms or spectrograms, possibly memory-mapped.
    release : callable, default=None
        Called with X after each piece of it that was read.
    """
    if X.dtype.kind != "f":
        return
    step = max(1, _CHUNK_BYTES // max(1, X[:1].nbytes))
    bad: list[int] = []
    kinds = set()
    for start in range(0, len(X), step):
        chunk = X[start : start + step]
        rows = np.flatnonzero(~np.isfinite(chunk).all(axis=tuple(range(1, X.ndim))))
        kinds |= {"NaN" if np.isnan(chunk[row]).any() else "infinity" for row in rows}
        bad += (start + rows).tolist()
        if release is not None:
            release(X)
    if bad:
        raise ValueError(
            f"Input X contains {' and '.join(sorted(kinds))} in {len(bad)} of {len(X)} clips "
            f"(rows {some_rows(bad)}). Leave these clips out, or load or extract them anew."
        )


def some_rows(rows: list[int]) -> str:
    """Return row numbers for a message, not too many of them."""
    return ", ".join(str(row) for row in rows[:10]) + (", ..." if len(rows) > 10 else "")


def _require_one_length(X) -> None:
    if isinstance(X, (list, tuple)):
        lengths = {len(row) for row in X if hasattr(row, "__len__")}
        if len(lengths) > 1:
            raise ValueError(
                f"the waveforms have different lengths, {min(lengths)} to {max(lengths)} samples; "
                "expected one: cut or fill them up with sklearn_genremoe.audio.fix_length"
            )


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Put the attributes of an estimator back if a fit is refused: the model of before stays."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def unfitted_on_error(estimator: Any) -> Iterator[None]:
    """Take back all that fitting has set if it fails or is interrupted on its way."""
    forget_fit(estimator)
    try:
        yield
    except BaseException:
        forget_fit(estimator)
        raise


def forget_fit(estimator: Any) -> None:
    """Delete all that fitting sets, but for what validation has found out about `X`."""
    kept = ("n_features_in_", "feature_names_in_")
    for name in [name for name in vars(estimator) if name.endswith("_") and name not in kept]:
        delattr(estimator, name)


def check_targets(X: Any, y: Any) -> NDArray[Any]:
    """Return labels, one for each clip, as a 1-D array; raise if some are missing or no labels."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    _require_no_missing(y, "y", "find out their genres")
    if y.dtype == object:
        kinds = sorted({type(label).__name__ for label in y if not isinstance(label, str)})
        if kinds:
            raise ValueError(
                f"Unknown label type: y is an array of objects of the types {', '.join(kinds)}"
                f"{' beside str' if any(isinstance(label, str) for label in y) else ''}; expected "
                "labels of one type: for example y.astype(str), or y.astype(int)."
            )
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y


def check_classes(y: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct labels, sorted; raise if there is only one."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"All clips are of one class, {classes[0]!s}; a classifier needs clips of at least two "
            "classes."
        )
    return classes


def check_weight(X: Any, sample_weight: Any) -> NDArray[np.float64]:
    """Return one weight per clip, not negative and not all zero; None stands for ones."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
    return weight


def check_labels(X: Any, y: Any, sample_weight: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return labels and weights, one for each clip."""
    y = check_targets(X, y)
    return y, check_weight(X, sample_weight)


def check_groups(groups: Any, n_clips: int) -> NDArray[Any]:
    """Return groups as a 1-D array; raise unless there is one for each clip."""
    groups = column_or_1d(groups)
    if len(groups) != n_clips:
        raise ValueError(
            f"groups has {len(groups)} entries for {n_clips} clips; expected one for each clip, "
            "for example its track, album or artist."
        )
    _require_no_missing(groups, "groups", "give each a group of its own")
    if groups.dtype == object and len({type(group) for group in groups}) > 1:
        groups = groups.astype(str)  # numbers beside names have no order
    return groups


def _require_no_missing(values: NDArray[Any], name: str, otherwise: str) -> None:
    missing = [row for row, value in enumerate(values) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"Input {name} contains None or NaN for {len(missing)} of {len(values)} clips (rows "
            f"{some_rows(missing)}). Leave these clips out, or {otherwise}."
        )


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA
        return True
