"""What X may be wherever a clip is expected."""

import contextlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ._files import user_path
from ._rows import Rows

#: What is larger can't be squared and summed up in single precision.
MAX_AMPLITUDE = 1e13

_FIX_LENGTH = "cut or fill them up with sklearn_genremoe.audio.fix_length"

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

    @property
    def items(self) -> Any:
        """The paths, or the waveforms."""
        return self.waveforms if self.paths is None else self.paths

    def __len__(self) -> int:
        return len(self.items)

    @property
    def width(self) -> int | None:
        """Samples per waveform; None for paths."""
        return None if self.waveforms is None else self.waveforms.shape[1]

    @property
    def given(self) -> np.ndarray:
        """The clips as an array: of paths, (n_clips,), or of waveforms, (n_clips, n_samples)."""
        return np.asarray(self.items, dtype=None if self.paths is None else object)

    def take(self, rows: NDArray[np.intp]) -> "Clips":
        """Return some of the clips."""
        if self.paths is None:
            return Clips(None, self.items[rows])
        return Clips([self.paths[row] for row in rows], None)


def kind_of_clips(X) -> str:
    """Tell what X holds: "paths", "waveforms" (2-D) or "spectrograms" (3-D and more).

    Raise a ValueError if it is a single path, no sequence, or a sequence of anything else.
    """
    if _is_path(X):
        path = repr(os.fsdecode(X))
        raise ValueError(f"X is the single path {path}, not several: put it into a list, [{path}]")
    if issparse(X):
        return "waveforms"  # which are refused as sparse
    ndim = getattr(X, "ndim", len(getattr(X, "shape", (1,))))
    if ndim == 2:
        first = np.asarray(X[:1])
        is_text = all if hasattr(X, "columns") else any  # a frame may have columns of both
        if first.dtype.kind in "OUT" and is_text(map(_is_path, first.flat)):
            raise ValueError("X holds text in 2 dimensions; expected paths in 1: X.ravel()")
    if ndim == 1:
        entries = entries_of(X)
        if not len(entries):
            raise ValueError("X holds no clips; expected at least one path or waveform")
        if any(map(_is_path, entries)):
            return "paths"
        ndim = 1 + _as_array(entries, 0).ndim
    return "waveforms" if ndim <= 2 else "spectrograms"


def entries_of(X) -> list | tuple | np.ndarray:
    """Return what a sequence holds: a list, an array, a lazy column of any library."""
    if isinstance(X, (list, tuple)):
        return X
    entries = np.asarray(X) if hasattr(X, "__array__") else X
    is_scalar = isinstance(X, (Mapping, bytes, bytearray)) or getattr(entries, "shape", None) == ()
    if is_scalar or not (hasattr(entries, "__getitem__") and hasattr(entries, "__len__")):
        found = f"X is of the type {_type_name(X)}"
        raise ValueError(f"{found}; expected a sequence of paths or an array")
    return entries if isinstance(entries, np.ndarray) else list(entries)


def _is_path(item) -> bool:
    return isinstance(item, (str, os.PathLike))


def _type_name(item) -> str:
    return f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")


def _as_array(entries, row: int) -> np.ndarray:
    """Return an entry of X as an array of numbers; raise if it is none."""
    with contextlib.suppress(ValueError):  # such as a pair of waveform and sample rate
        array = np.asarray(without_torch(entries[row]))
        if array.dtype.kind in "biufc":
            return array
    found = f"X[{row}] is of the type {_type_name(entries[row])}; expected paths (str or Path)"
    raise ValueError(f"{found}, or waveforms of one length, as audio.decode_audio reads them")


def only_clip(clip: Any, name: str) -> Any:
    """Return a path or a waveform as the only one of a sequence; raise if it is several."""
    if _is_path(clip):
        return [clip]
    with contextlib.suppress(ValueError):  # waveforms of different lengths
        waveform = np.asarray(without_torch(clip))
        if waveform.ndim == 1 and waveform.dtype.kind in "biuf":
            return waveform[np.newaxis]
    found = f"{name} is of the type {_type_name(clip)}, but neither a path nor a waveform of shape"
    raise ValueError(f"{found} (n_samples,): give one {name}, for example X[0].")


def check_clips(estimator, X, *, path_samples: int, reset: bool, kind: str | None = None) -> Clips:
    """Return clips validated for an estimator, with `n_features_in_` set or checked.

    `path_samples` is the number of samples that it reads from a file: the features of a path.
    """
    if kind is None:
        X = without_torch(X)
        kind = kind_of_clips(X)
    if kind == "spectrograms":
        found = f"X has {np.ndim(X)} dimensions; {type(estimator).__name__} expects paths"
        raise ValueError(f"{found}, in 1, or waveforms of shape (n_clips, n_samples)")
    if kind == "waveforms":
        return Clips(None, _check_waveforms(estimator, X, reset))
    paths = []
    for row, path in enumerate(entries_of(X)):
        name = os.fsdecode(path) if _is_path(path) else ""
        if not name:
            found = f"X[{row}] is {path!r:.80}"
            raise ValueError(f"{found}; expected a path: drop the rows without a file")
        paths.append(str(user_path(name)) if name[:1] == "~" else name)
    if reset:
        estimator.n_features_in_ = path_samples
    elif getattr(estimator, "n_features_in_", path_samples) != path_samples:
        expected = f"{type(estimator).__name__} is expecting {estimator.n_features_in_} features"
        found = f"X has {path_samples} features, but {expected} as input, duration * sample_rate"
        raise ValueError(f"{found}: set duration to the length of the clips of the fit")
    return Clips(paths, None)


def _check_waveforms(estimator, X, reset) -> np.ndarray:
    """Return waveforms as a float32 or float64 array at the scale of -1 to 1."""
    if len(getattr(X, "shape", ())) != 2:
        X = _stack(entries_of(X))
    try:
        how: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False}
        waveforms = validate_data(estimator, X, reset=reset, **how)
    except ValueError as error:
        hint = f" Waveforms need as many samples as those of the fit: {_FIX_LENGTH}, or pass paths."
        raise ValueError(f"{error}{hint * ('features as input' in str(error))}") from None
    if waveforms.dtype.kind != "f":
        return _scaled(waveforms)
    if waveforms.dtype not in (np.float32, np.float64):
        waveforms = waveforms.astype(np.float32 if waveforms.itemsize < 4 else np.float64)
    peak = check_finite(waveforms)
    if peak > MAX_AMPLITUDE:
        found = f"Input X contains values of up to {peak:.1e}, too large for single precision"
        raise ValueError(f"{found}; expected waveforms between -1 and 1: leave damaged clips out")
    if waveforms.shape[1] > _TABLE_WIDTH:
        warn_beyond_full_scale("X", waveforms, peak, stacklevel=6)
    return waveforms


def warn_beyond_full_scale(name, waveforms: np.ndarray, peak: float, stacklevel: int) -> None:
    """Warn of floats, `peak` the largest, that look like integers that nobody has scaled."""
    if peak > 8 or (peak > 4 and float(np.mean(np.abs(waveforms) > 4)) > 1e-3):
        found = f"{name} holds samples of up to {peak:.4g}, where full scale is 1"
        advice = "If they were integers, divide them by their full scale: X / 32768 for 16 bits"
        warnings.warn(f"{found}. {advice}.", stacklevel=stacklevel)


def _stack(entries) -> np.ndarray:
    """Return waveforms of one length and type as rows of an array."""
    rows = entries
    if not isinstance(entries, np.ndarray) or entries.dtype.kind == "O":
        arrays = [_as_array(entries, row) for row in range(len(entries))]
        lengths = {array.size for array in arrays}
        if len(lengths) > 1:
            found = (
                f"the waveforms have different lengths, {min(lengths)} to {max(lengths)} samples"
            )
            raise ValueError(f"{found}; expected one: {_FIX_LENGTH}")
        types = {array.dtype for array in arrays if array.ndim}
        if len(types) > 1 and any(dtype.kind != "f" for dtype in types):
            found = (
                f"the waveforms have the types {', '.join(sorted(map(str, types)))}, each of which"
            )
            raise ValueError(f"{found} has another full scale: make them floats between -1 and 1")
        rows = np.asarray(arrays)
    if rows.ndim == 1:
        found = (
            f"Expected 2D array, got 1D array instead: X[0] is of the type {_type_name(entries[0])}"
        )
        advice = "Reshape your data with X.reshape(1, -1), or put it into a list, [X]"
        raise ValueError(f"{found}; expected paths or waveforms. If X is one waveform: {advice}")
    return rows


def _scaled(pcm: np.ndarray) -> np.ndarray:
    """Divide integers by the full scale of their type; unsigned ones are around its middle."""
    # Python's integers and arrays of them are 64 bits wide, whatever the samples were.
    if pcm.dtype.kind not in "iu" or (pcm.itemsize == 8 and pcm.shape[1] > _TABLE_WIDTH):
        found = f"X has the dtype {pcm.dtype}, and no sound has; waveforms are floats from -1 to 1"
        advice = "say of how many, X.astype(np.int16), or X.astype(float)"
        raise ValueError(f"{found} or integers of up to 32 bits: {advice}")
    middle = np.float32(2.0 ** (8 * pcm.itemsize - 1))
    waveforms = pcm.astype(np.float32)
    if pcm.dtype.kind == "u":
        waveforms -= middle
    waveforms /= middle
    return waveforms


def without_torch(X: Any) -> Any:
    """Return a tensor as an array, wherever it lives, and anything else as it is."""
    torch = sys.modules.get("torch")  # who holds a tensor has loaded it; others need not
    if torch is None or not isinstance(X, torch.Tensor):
        return X
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()


def check_finite(X: np.ndarray) -> float:
    """Raise a ValueError that names the clips with NaN or infinity, else return the largest size.

    Reads piece by piece; of other numbers than floats nothing, and returns 0.
    """
    peak, bad = Rows(X).scan()
    if bad:
        found = f"Input X contains NaN or infinity in {len(bad)} of {len(X)} clips"
        advice = "Leave these clips out, or load or extract them anew"
        raise ValueError(f"{found} (rows {some_rows(bad)}). {advice}.")
    return peak


def raise_bad_rows(bad: Mapping[int, str]) -> NoReturn:
    """Raise for clips of a batch that can't be used, by row."""
    advice = "batch[rows] with the other rows, and the same rows of y; or set on_error='warn'"
    raise ValueError(
        f"The DomainBatch has clips without features: {bad}. Leave them out: {advice}."
    )


def some_rows(rows: Sequence[Any]) -> str:
    """Return row numbers or names for a message, not too many of them."""
    return ", ".join(str(row) for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
