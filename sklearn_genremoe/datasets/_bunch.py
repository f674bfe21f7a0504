"""What the loaders return."""

import unicodedata
from collections import Counter

from sklearn.utils import Bunch

_MOST_GENRES = 8


class ClipBunch(Bunch):
    """A Bunch of clips that shows a summary instead of every path."""

    def __repr__(self) -> str:
        counts = Counter(str(genre) for genre in self.target)
        genres = [f"{genre} ({count})" for genre, count in sorted(counts.items())]
        if len(genres) > _MOST_GENRES:
            genres[_MOST_GENRES:] = ["..."]
        return printable(
            f"<{len(self.target)} clips of {len(counts)} genres: {', '.join(genres)}; "
            f"attributes: {', '.join(self)}>"
        )


def printable(text: str) -> str:
    """Write bytes of file names that are not UTF-8 as escapes, for print refuses them."""
    return text.encode("utf-8", "backslashreplace").decode()


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nfc(text: str) -> str:
    """Return text in the form NFC: macOS and others write an accent as a character of its own."""
    return unicodedata.normalize("NFC", text)
