"""What the loaders return, and how they say it."""

import unicodedata
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._clips import some_rows


class ClipBunch(Bunch):
    """A Bunch of clips that shows a summary instead of every path."""

    def __repr__(self) -> str:
        genres = counts(self.target)
        found = f"{len(self.target)} clips of {len(genres)} genres: {some_rows(genres)}"
        return printable(f"<{found}; attributes: {', '.join(self)}>")


def described(source, data, target, facts: dict[str, str], text: str = "", **columns) -> ClipBunch:
    """Return clips with a description: how many, facts by name, the text of a file in data."""
    facts = {"Clips": ", ".join(counts(target)), **facts}
    lines = [f"{len(target)} clips from {source}", "", *(f":{k}: {v}" for k, v in facts.items())]
    if text:
        lines += ["", (Path(__file__).parent / "data" / text).read_text(encoding="utf-8").strip()]
    names, words = np.unique(target).tolist(), printable("\n".join(lines) + "\n")
    return ClipBunch(data=data, target=target, target_names=names, **columns, DESCR=words)


def published(source, data, target, facts, losses: list[str], text: str, **columns) -> ClipBunch:
    """Return clips of a published collection with a description, and warn of those left out."""
    if losses:
        warning = f"{source}: clips are left out, {', '.join(losses)}."
        warnings.warn(warning, UserWarning, stacklevel=4)
    facts["Left out"] = ", ".join(losses) or "none"
    return described(source, data, target, facts, text, **columns)


def counts(values) -> list[str]:
    """Return how often each of some values is there, in order: ["folk (3)", "rock (2)"]."""
    return [f"{value} ({count})" for value, count in sorted(Counter(map(str, values)).items())]


def printable(text: str) -> str:
    """Write bytes of file names that are not UTF-8 as escapes, for print refuses them."""
    return text.encode("utf-8", "backslashreplace").decode()


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nfc(text: str) -> str:
    """Return text in the form NFC: macOS and others write an accent as a character of its own."""
    return unicodedata.normalize("NFC", text)
