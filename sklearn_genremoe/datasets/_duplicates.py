"""Finding clips with the same content."""

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable

import numpy as np

from ._bunch import counted, printable

_SAMPLE = 2**16  # bytes
_MOST_SHOWN = 5


def find_duplicates(paths: np.ndarray) -> list[list[int]]:
    """Return sets of rows whose files hold the same bytes.

    Cheap where nothing is double: sizes are compared first, then one block from the middle (clips
    of one length in wav have one size), and only what is still alike is read in full.
    """
    alike = [list(range(len(paths)))]
    for key in (_size, _middle, _digest):
        alike = [part for rows in alike for part in _split(rows, paths, key)]
    return sorted(alike)


def report_duplicates(
    paths: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray | None,
    duplicates: list[list[int]],
    source,
    action: str,
) -> None:
    """Warn of clips with the same content, or refuse them; those of one group do no harm."""
    contradictions = [rows for rows in duplicates if len(set(target[rows])) > 1]
    repetitions = [
        rows
        for rows in duplicates
        if len(set(target[rows])) == 1 and (groups is None or len(set(groups[rows])) > 1)
    ]
    messages = []
    if contradictions:
        messages.append(
            f"the same audio under different genres, {counted(len(contradictions), 'time')}: "
            f"{_listed(contradictions, paths, target)}. At most one of the genres is right: "
            "remove the others."
        )
    if repetitions:
        messages.append(
            f"the same audio more than once in its genre, {counted(len(repetitions), 'time')}: "
            f"{_listed(repetitions, paths, target)}. In training and in test data it flatters "
            "the score: keep one, or give all of them one group by a manifest."
        )
    if not messages:
        return
    message = printable(f"{source}: found {' Found '.join(messages)}")
    if action == "raise":
        raise ValueError(f"{message} Or pass duplicates='warn' to load them all the same.")
    warnings.warn(f"{message} duplicates='ignore' silences this.", UserWarning, stacklevel=3)


def _split(rows: list[int], paths: np.ndarray, key: Callable[[str], Hashable]) -> list[list[int]]:
    """Split rows by a key of their files into sets of two and more, leaving out those without."""
    parts = defaultdict(list)
    for row in rows:
        try:
            value = key(paths[row])
        except OSError:  # what can't be read is reported when it is decoded
            continue
        if value is not None:
            parts[value].append(row)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: str) -> int | None:
    """Return the size of a regular file; empty files are bad clips, no duplicates."""
    return (os.path.isfile(path) and os.path.getsize(path)) or None


def _middle(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _SAMPLE) // 2)
        return hashlib.blake2b(file.read(_SAMPLE)).digest()


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _listed(duplicates: list[list[int]], paths: np.ndarray, target: np.ndarray) -> str:
    shown = [
        " = ".join(f"{paths[row]} ({target[row]})" for row in rows)
        for rows in duplicates[:_MOST_SHOWN]
    ]
    if len(duplicates) > _MOST_SHOWN:
        shown.append(f"and {len(duplicates) - _MOST_SHOWN} more in `duplicates`")
    return ", ".join(shown)
