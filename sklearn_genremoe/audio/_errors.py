"""What the package says about clips it cannot use."""

from collections.abc import Mapping
from pathlib import Path


class BadClipError(ValueError):
    """A clip that cannot be used.

    Parameters
    ----------
    path : str or Path
        The file, or a description such as ``"waveform 3"``.
    reason : str
        What was found, what is accepted, and what to do.

    Attributes
    ----------
    path : str
        The clip as given.
    reason : str
        The reason as given.

    Examples
    --------
    >>> raise BadClipError("a.wav", "the file is empty")
    Traceback (most recent call last):
    ...
    sklearn_genremoe.audio._errors.BadClipError: a.wav: the file is empty
    """

    def __init__(self, path: str | Path, reason: str):
        super().__init__(str(path), reason)  # both, so that the error survives pickling
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


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
    bad_clips : dict of int to str
        The bad clips as given.
    fate : str
        Their fate as given.

    Examples
    --------
    >>> print(BadClipWarning({3: "a.wav: the file is empty"}))
    1 bad clip(s), whose rows are NaN; leave these rows out before fitting:
    row 3: a.wav: the file is empty
    """

    def __init__(
        self,
        bad_clips: Mapping[int, str],
        fate: str = "whose rows are NaN; leave these rows out before fitting",
    ):
        super().__init__(bad_clips, fate)
        self.bad_clips = dict(bad_clips)
        self.fate = fate

    def __str__(self) -> str:
        lines = [f"row {row}: {reason}" for row, reason in self.bad_clips.items()]
        return "\n".join([f"{len(lines)} bad clip(s), {self.fate}:", *lines])
