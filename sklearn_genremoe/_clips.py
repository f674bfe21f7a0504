"""What X may be wherever a clip is expected."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ._files import user_path
from ._rows import CHUNK_BYTES

#: What is larger can't be squared and summed up in single precision.
MAX_AMPLITUDE = 1e13

# Rows as short as this are no sound, but a table of other numbers, as in scikit-learn's checks.
_TABLE_WIDTH = 32


@dataclass(frozen=True)
class Clips:
    """Clips that were validated where they came in: either paths or waveforms, the other None.

    They are handed down as they are, and nobody asks again what they hold. In place of a path there
    may be an excerpt of a file, of `seconds` like all of them.
    """

    paths: list[Any] | None
    waveforms: np.ndarray | None
    seconds: float | None = None

    def __len__(self) -> int:
        return len(self.paths if self.paths is not None else self.waveforms)  # type: ignore

    @property
    def width(self) -> int | None:
        """Samples per waveform; None for paths."""
        return None if self.waveforms is None else self.waveforms.shape[1]

    @property
    def given(self) -> np.ndarray:
        """The clips as an array: of paths, (n_clips,), or of waveforms, (n_clips, n_samples)."""
        if self.waveforms is not None:
            return self.waveforms
        paths = np.empty(len(self), dtype=object)
        paths[:] = self.paths
        return paths

    def item(self, i: int):
        """Return clip i: a path, or a waveform of shape (n_samples,)."""
        return self.paths[i] if self.paths is not None else self.waveforms[i]  # type: ignore

    def take(self, rows: NDArray[np.intp]) -> "Clips":
        """Return some of the clips."""
        if self.paths is not None:
            return Clips([self.paths[row] for row in rows], None)
        return Clips(None, self.waveforms[rows])  # type: ignore[index]


def kind_of_clips(X) -> str:
    """Tell what X holds: "paths", "waveforms" (2-D) or "spectrograms" (3-D and more).

    Raise a ValueError if it is a single path, no sequence, or a sequence of anything else.
    """
    if isinstance(X, (str, os.PathLike)):
        path = os.fsdecode(X)
        raise ValueError(
            f"X is the single path {path!r}; expected a sequence of paths: put it into a list, "
            f"[{path!r}]"
        )
    if issparse(X):
        return "waveforms"  # which are refused as sparse
    ndim = getattr(X, "ndim", len(getattr(X, "shape", (1,))))
    if ndim > 2:
        return "spectrograms"
    if ndim == 2:
        first = np.asarray(X[:1])
        is_text = all if hasattr(X, "columns") else any  # a frame may have columns of both
        if first.dtype.kind in "OUT" and is_text(map(_is_path, first.flat)):
            raise ValueError(
                "X holds text in 2 dimensions; expected paths in 1 dimension (select their column, "
                "or flatten X with X.ravel()), or numbers only"
            )
        return "waveforms"
    entries = entries_of(X)
    if not len(entries):
        raise ValueError("X holds no clips; expected at least one path or waveform")
    if any(map(_is_path, entries)):
        return "paths"
    for row, entry in enumerate(entries):
        if not isinstance(entry, (Number, list, tuple)) and not hasattr(entry, "__array__"):
            raise _no_clip(row, entry)
    try:
        first = np.asarray(without_torch(entries[0]))
    except ValueError:  # such as a pair of waveform and sample rate
        raise _no_clip(0, entries[0]) from None
    if first.dtype.kind not in "biufc":
        raise _no_clip(0, entries[0])
    return "waveforms" if first.ndim <= 1 else "spectrograms"


def entries_of(X) -> list | tuple | np.ndarray:
    """Return what a sequence holds: a list, an array, a lazy column of any library."""
    if isinstance(X, (list, tuple)):
        return X
    if hasattr(X, "__array__") and not hasattr(X, "__getitem__"):
        X = np.asarray(X)
    is_sequence = hasattr(X, "__getitem__") and hasattr(X, "__len__")
    is_scalar = isinstance(X, (Mapping, bytes, bytearray)) or getattr(X, "shape", None) == ()
    if not is_sequence or is_scalar:
        raise ValueError(
            f"X is of the type {_type_name(X)}; expected a sequence of paths (str or Path) or "
            "an array: a list, an array or a Series"
        )
    return np.asarray(X) if hasattr(X, "__array__") else list(X)


def _is_path(item) -> bool:
    return isinstance(item, (str, os.PathLike))


def _type_name(item) -> str:
    return f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")


def _no_clip(row: int, entry: Any) -> ValueError:
    return ValueError(
        f"X[{row}] is of the type {_type_name(entry)}; expected paths (str or Path), or waveforms "
        "as an array of shape (n_clips, n_samples): sklearn_genremoe.audio.decode_audio reads one "
        "from a file"
    )


def only_clip(clip: Any, name: str) -> Any:
    """Return a path or a waveform as the only one of a sequence; raise if it is several."""
    if _is_path(clip):
        return [clip]
    try:
        waveform = np.asarray(without_torch(clip))
    except ValueError:  # waveforms of different lengths
        waveform = np.empty((0, 0))
    if waveform.ndim != 1 or waveform.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} is of the type {_type_name(clip)}, but neither a path nor a waveform of shape "
            f"(n_samples,): give one {name}, for example X[0]."
        )
    return waveform[np.newaxis]


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
        return Clips(None, _check_waveforms(estimator, X, reset))
    paths = []
    for row, path in enumerate(entries_of(X)):
        if not _is_path(path):
            raise ValueError(
                f"X[{row}] is {path!r:.80}; expected a path (str or Path) like the other "
                "entries: drop the rows without a file"
            )
        name = os.fsdecode(path)
        paths.append(str(user_path(name)) if name[:1] == "~" else name)
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


def _check_waveforms(estimator, X, reset) -> np.ndarray:
    """Return waveforms as a float32 or float64 array at the scale of -1 to 1."""
    if len(getattr(X, "shape", ())) != 2:
        X = _stack(entries_of(X))
    try:
        waveforms = validate_data(
            estimator, X, dtype="numeric", reset=reset, ensure_all_finite=False
        )
    except ValueError as error:
        if "features as input" not in str(error):
            raise
        raise ValueError(
            f"{error} Waveforms need as many samples as those of the fit: cut or fill them up with "
            "sklearn_genremoe.audio.fix_length, or pass paths."
        ) from None
    if waveforms.dtype.kind != "f":
        return _scaled(waveforms)
    if waveforms.dtype not in (np.float32, np.float64):
        waveforms = waveforms.astype(np.float32 if waveforms.itemsize < 4 else np.float64)
    peak = check_finite(waveforms)
    if peak > MAX_AMPLITUDE:
        raise ValueError(
            f"Input X contains values of up to {peak:.1e}, too large for spectra in single "
            "precision; waveforms are floats between -1 and 1: leave damaged clips out, or divide "
            "by the full scale"
        )
    if waveforms.shape[1] > _TABLE_WIDTH and is_beyond_full_scale(waveforms, peak):
        warnings.warn(
            f"X holds samples of up to {peak:.4g}, where full scale is 1. Are they integers of 16 "
            "bits that became floats? Divide them by their full scale, X / 32768 (2147483648 for "
            "32 bits), or pass the integers.",
            stacklevel=5,
        )
    return waveforms


def is_beyond_full_scale(waveforms: np.ndarray, peak: float) -> bool:
    """Tell whether floats, `peak` the largest, look like integers that nobody has scaled."""
    return peak > 4 and (peak > 8 or float(np.mean(np.abs(waveforms) > 4)) > 1e-3)


def _stack(entries) -> np.ndarray:
    """Return waveforms of one length and type as rows of an array."""
    if isinstance(entries, np.ndarray) and entries.dtype.kind != "O":
        rows = entries
    else:
        arrays = [np.asarray(without_torch(entry)) for entry in entries]
        lengths = {array.size for array in arrays}
        if len(lengths) > 1:
            raise ValueError(
                f"the waveforms have different lengths, {min(lengths)} to {max(lengths)} samples; "
                "expected one: cut or fill them up with sklearn_genremoe.audio.fix_length"
            )
        types = {array.dtype for array in arrays if array.ndim}
        if len(types) > 1 and any(dtype.kind != "f" for dtype in types):
            raise ValueError(
                f"the waveforms have the types {', '.join(sorted(map(str, types)))}, each of which "
                "has another full scale; expected one: make them floats between -1 and 1"
            )
        rows = np.asarray(arrays)
    if rows.ndim == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X holds {len(rows)} numbers, X[0] is of the "
            f"type {_type_name(entries[0])}; expected paths or waveforms (n_clips, n_samples). If "
            "X is one waveform: Reshape your data with X.reshape(1, -1), or put it into a list, [X]"
        )
    return rows


def _scaled(pcm: np.ndarray) -> np.ndarray:
    """Divide integers by the full scale of their type; unsigned ones are around its middle."""
    if pcm.dtype.kind not in "iu":
        raise ValueError(
            f"X has the dtype {pcm.dtype}; waveforms are floats between -1 and 1 or integers "
            "(int16, int32, uint8): X.astype(float) if these numbers are samples"
        )
    if pcm.itemsize == 8 and pcm.shape[1] > _TABLE_WIDTH:
        # Python's integers and arrays of them are 64 bits wide, whatever the samples were.
        raise ValueError(
            f"X has the dtype {pcm.dtype}, and no sound has samples of 64 bits. Say of how many "
            "bits they are by their type: X.astype(np.int16), or np.int32"
        )
    middle = 2.0 ** (8 * pcm.itemsize - 1)
    waveforms = pcm.astype(np.float32)
    if pcm.dtype.kind == "u":
        waveforms -= np.float32(middle)
    waveforms /= np.float32(middle)
    return waveforms


def without_torch(X: Any) -> Any:
    """Return a tensor as an array, wherever it lives, and anything else as it is."""
    torch = sys.modules.get("torch")  # who holds a tensor has loaded it; others need not
    if torch is None or not isinstance(X, torch.Tensor):
        return X
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()


def check_finite(X: np.ndarray, release: Callable[[np.ndarray], None] | None = None) -> float:
    """Raise a ValueError that names the clips with NaN or infinity, else return the largest size.

    Parameters
    ----------
    X : ndarray of shape (n_clips, ...)
        Waveforms or spectrograms, possibly memory-mapped.
    release : callable, default=None
        Called with X after each piece of it that was read.

    Returns
    -------
    peak : float
        The largest absolute value; 0 for an array of other numbers than floats.
    """
    peak = 0.0
    if X.dtype.kind != "f":
        return peak
    step = max(1, CHUNK_BYTES // max(1, X[:1].nbytes))
    bad: list[int] = []
    kinds = set()
    for start in range(0, len(X), step):
        chunk = X[start : start + step]
        highest = max(float(chunk.max()), -float(chunk.min())) if chunk.size else 0.0
        peak = max(peak, highest)
        if not np.isfinite(highest):
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
    return peak


def raise_bad_rows(bad: Mapping[int, str]) -> NoReturn:
    """Raise for clips of a batch that can't be used, by row."""
    raise ValueError(
        f"The DomainBatch has clips without features: {bad}. Leave them out: batch[rows] "
        "with the other rows, and the same rows of y; or set on_error='warn'."
    )


def some_rows(rows: Sequence[Any]) -> str:
    """Return row numbers or names for a message, not too many of them."""
    return ", ".join(str(row) for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
