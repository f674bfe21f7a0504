"""What X may be wherever a clip is expected."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ._rows import CHUNK_BYTES

# Waveforms as short as this are no clips, but tables of some other numbers.
_FEW_SAMPLES = 32


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
    if isinstance(X, (str, os.PathLike)):
        path = os.fsdecode(X)
        raise ValueError(
            f"X is the single path {path!r}; expected a sequence of paths: put it into a list, "
            f"[{path!r}]"
        )
    if issparse(X):  # some of them look like mappings
        return "waveforms"
    is_sequence = hasattr(X, "__array__") or hasattr(X, "__getitem__")
    if not is_sequence or isinstance(X, (Mapping, bytes, bytearray)):
        raise ValueError(
            f"X is of the type {type(X).__name__}; expected a sequence of paths (str or Path) or "
            "an array: a list, an array or a pandas Series"
        )
    ndim = getattr(X, "ndim", None)
    entries, first = _entries(X), None
    if entries is not None:
        if not len(entries):
            raise ValueError("X holds no clips; expected at least one path or waveform")
        if any(map(_is_path, entries)):
            return "paths"
        for row, entry in enumerate(entries):
            _require_numbers(entry, row)
        first = np.asarray(without_torch(entries[0]))
        ndim = 1 + first.ndim
    elif ndim == 1 and X.dtype.kind in "UT":
        return "paths"
    if ndim is not None and ndim >= 3:
        return "spectrograms"
    if ndim == 2 and _holds_paths(np.asarray(X[:1]) if first is None else first):
        raise ValueError(
            "X holds paths in 2 dimensions; expected a 1-D sequence of paths: select the column "
            "with the paths, or flatten X with X.ravel()"
        )
    return "waveforms"


def _entries(X) -> list | tuple | None:
    """Return the objects that a sequence holds; None for an array of numbers or strings."""
    if isinstance(X, (list, tuple)):
        return X
    is_objects = getattr(X, "ndim", None) == 1 and getattr(X.dtype, "kind", "O") in "OS"
    return list(X) if is_objects else None


def _require_numbers(entry: Any, row: int) -> None:
    """Raise unless an entry of X may be a waveform."""
    if isinstance(entry, (bytes, bytearray)):
        found = "bytes; expected a path as str or Path (os.fsdecode makes one of bytes)"
    elif hasattr(entry, "read"):
        found = f"an open file, {type(entry).__name__}; expected its path"
    elif isinstance(entry, (list, tuple)) and len(entry) == 2 and any(map(np.ndim, entry)):
        found = (
            "a pair, probably of waveform and sample rate; expected the waveform alone, at the "
            "sample_rate of the estimator"
        )
    elif entry is None or isinstance(entry, (Mapping, set, frozenset)):
        found = f"of the type {type(entry).__name__}; expected a path or a waveform"
    else:
        return
    raise ValueError(
        f"X[{row}] is {found}: decode sounds with sklearn_genremoe.audio.decode_audio or "
        "soundfile.read, and pass an array of shape (n_clips, n_samples)"
    )


def _is_path(item) -> bool:
    return isinstance(item, (str, os.PathLike))


def _holds_paths(row: np.ndarray) -> bool:
    return row.dtype.kind in "UTO" and any(map(_is_path, row.flat))


def only_clip(clip: Any, name: str) -> Any:
    """Return a path or a waveform as the only one of a sequence; raise if it is several."""
    if isinstance(clip, (str, os.PathLike)):
        return [clip]
    try:
        waveform = np.asarray(without_torch(clip))
    except ValueError:  # waveforms of different lengths
        waveform = np.empty((0, 0))
    if waveform.ndim != 1 or waveform.dtype.kind in "OSTU":
        raise ValueError(
            f"{name} is a {type(clip).__name__}, but neither a path nor a waveform of shape "
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
    for row, path in enumerate(X):
        if not _is_path(path):
            raise ValueError(
                f"X[{row}] is {path!r}; expected a path (str or Path) like the other "
                "entries: drop the rows without a file"
            )
        paths.append(os.fsdecode(path))
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
    entries = _entries(X)
    if entries is not None:
        X = [without_torch(entry) for entry in entries]
        lengths = {np.size(entry) for entry in X}
        if len(lengths) > 1:
            raise ValueError(
                f"the waveforms have different lengths, {min(lengths)} to {max(lengths)} samples; "
                "expected one: cut or fill them up with sklearn_genremoe.audio.fix_length"
            )
        X = np.asarray(X)
    if getattr(X, "ndim", 2) == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X has shape {X.shape}, which may be one "
            "waveform; expected (n_clips, n_samples). Reshape your data with X.reshape(1, -1) or "
            "put the waveform into a list, [X]"
        )
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
    n_clips, n_samples = waveforms.shape
    if n_samples <= _FEW_SAMPLES and n_clips >= 16 * _FEW_SAMPLES:
        raise ValueError(
            f"X has shape {waveforms.shape}, {n_clips} clips of {n_samples} samples each; expected "
            "(n_clips, n_samples). If it is one clip with its channels side by side, mix it down "
            "and put it into a list: [X.mean(axis=1)]"
        )
    is_sound = n_samples > 8 * _FEW_SAMPLES
    if waveforms.dtype.kind != "f":
        return _scaled(waveforms, is_sound)
    if waveforms.dtype not in (np.float32, np.float64):
        waveforms = waveforms.astype(np.float32 if waveforms.itemsize < 4 else np.float64)
    peak = check_finite(waveforms)
    if peak > LARGEST:
        raise ValueError(
            f"Input X contains values of up to {peak:.1e}, too large for spectra in single "
            "precision; waveforms are floats between -1 and 1: leave damaged clips out, or divide "
            "by the full scale"
        )
    if peak > 4 and is_sound and (peak > 8 or np.mean(np.abs(waveforms) > 4) > 1e-3):
        warnings.warn(
            f"X holds samples of up to {peak:.4g}, where full scale is 1. Are they integers of 16 "
            "bits that became floats? Divide them by their full scale, X / 32768 (2147483648 for "
            "32 bits), or pass the integers.",
            stacklevel=5,
        )
    return waveforms


def _scaled(pcm: np.ndarray, is_sound: bool) -> np.ndarray:
    """Divide integers by the full scale of their type; unsigned ones are around its middle."""
    if pcm.dtype.kind not in "iu":
        raise ValueError(
            f"X has the dtype {pcm.dtype}; waveforms are floats between -1 and 1 or integers "
            "(int16, int32, uint8): X.astype(float) if these numbers are samples"
        )
    bits = 8 * pcm.itemsize
    middle = 2.0 ** (bits - 1) if pcm.dtype.kind == "u" else 0.0
    peak = max(abs(float(pcm.max()) - middle), abs(float(pcm.min()) - middle))
    if bits >= 32 and not middle and is_sound and peak <= 2**31:
        # Python's integers and arrays of them are 64 bits wide, whatever the samples were.
        likely = 16 if peak <= 2**15 else 32
        if likely < bits:
            taken = "taken as" if bits == 64 else f"taken as {bits} bits, nearly silent, but may be"
            warnings.warn(
                f"X holds {pcm.dtype} with values of up to {peak:.0f}, {taken} samples of {likely} "
                f"bits. Say which they are by their type: X.astype(np.int{likely}).",
                stacklevel=6,
            )
            bits = likely if bits == 64 else bits
    waveforms = pcm.astype(np.float32)
    waveforms -= np.float32(middle)
    waveforms *= np.float32(2.0 ** (1 - bits))
    return waveforms


def without_torch(X: Any) -> Any:
    """Return a tensor as an array, wherever it lives, and anything else as it is."""
    torch = sys.modules.get("torch")  # who holds a tensor has loaded it; others need not
    if torch is None or not isinstance(X, torch.Tensor):
        return X
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()


#: What is larger can't be squared and summed up in single precision.
LARGEST = 1e13


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


def some_rows(rows: list[int]) -> str:
    """Return row numbers for a message, not too many of them."""
    return ", ".join(str(row) for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
