"""What the package says about clips it cannot use."""

import warnings
from collections.abc import Mapping

from .._clips import some_rows

_FATE = "whose rows are NaN; leave these rows out before fitting"


class BadClipError(ValueError):
    """A clip that cannot be used.

    Parameters
    ----------
    path : str, Path or file object
        The file, or a description such as ``"waveform 3"``.
    reason : str
        What was found, what is accepted, and what to do.

    Attributes
    ----------
    path, reason : str
        As given; of a file object its name or type.

    Examples
    --------
    >>> raise BadClipError("a.wav", "the file is empty")
    Traceback (most recent call last):
    ...
    sklearn_genremoe.audio._errors.BadClipError: a.wav: the file is empty
    """

    def __init__(self, path, reason: str):
        if hasattr(path, "read"):
            path = getattr(path, "name", None) or type(path).__name__
        super().__init__(str(path), reason)  # both, so that the error survives pickling
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        # What is no UTF-8 in a name could not be printed.
        path = self.path.encode("utf-8", "backslashreplace").decode()
        return f"{path}: {self.reason}"


class BadClipWarning(UserWarning):
    """Bad clips were met and replaced by NaN because ``on_error="warn"`` asked for it.

    Parameters
    ----------
    bad_clips : mapping of int to str
        Row numbers of the bad clips, and what is wrong with each.
    fate : str, default="whose rows are NaN; leave these rows out before fitting"
        What became of them.

    Attributes
    ----------
    bad_clips, fate : dict and str
        As given.

    Examples
    --------
    >>> print(BadClipWarning({3: "a.wav: the file is empty"}))
    1 bad clip(s), whose rows are NaN; leave these rows out before fitting:
    row 3: a.wav: the file is empty
    """

    def __init__(self, bad_clips: Mapping[int, str], fate: str = _FATE):
        super().__init__(bad_clips, fate)
        self.bad_clips = dict(bad_clips)
        self.fate = fate

    def __str__(self) -> str:
        lines = [f"row {row}: {reason}" for row, reason in self.bad_clips.items()]
        return "\n".join([f"{len(lines)} bad clip(s), {self.fate}:", *lines])


def warn_of_long_files(seconds: Mapping[str, float], end: float) -> None:
    """Warn, once, of files (seconds by path) that are far longer than what is read of them."""
    long = {path: length for path, length in seconds.items() if length > max(2 * end, end + 60)}
    if long:
        longest = sorted(long, key=long.__getitem__, reverse=True)
        warnings.warn(
            f"{len(long)} file(s) are much longer than the {end:g} s up to which they are read: "
            f"{some_rows([f'{path} ({long[path]:.0f} s)' for path in longest])}. To judge whole "
            "tracks, use WindowedClassifier; to read another part, set offset and duration.",
            stacklevel=6,
        )
