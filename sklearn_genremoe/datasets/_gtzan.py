"""The GTZAN collection, from a folder of one's own."""

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np

from .._clips import some_rows
from .._fields import checked
from .._files import data_folder, user_path
from ..audio import BadClipError, decode_audio
from ._bunch import counts, published

_GENRES = "blues|classical|country|disco|hiphop|jazz|metal|pop|reggae|rock"
_CLIP = re.compile(rf"((?:{_GENRES})\.\d{{5}})\.(?:au|wav)", re.IGNORECASE)
_PARTS = ("test", "train", "valid")
_Split = Literal["fault-filtered"] | None

#: A clip that is unreadable in common copies.
_DAMAGED = "jazz.00054"

_WHERE = "GTZAN carries no licence and can't be downloaded; put a copy there, as .au or .wav."
_URL = "https://github.com/jordipons/sklearn-audio-transfer-learning"
_LISTS = f"Take train_filtered.txt and the two others from data/index/GTZAN of {_URL}"


@checked
def fetch_gtzan(data_home=None, *, split: _Split = None, split_files=None, return_X_y=False):
    """Load the GTZAN collection from a folder of your own, with its fault-filtered split.

    GTZAN carries no licence and its official address is gone: nothing is downloaded.

    Parameters
    ----------
    data_home : str or Path, default=None
        The folder that holds the clips at any depth, as ``blues.00000.au`` or ``.wav`` and so
        on. None means the folder ``gtzan`` in ``$SKLEARN_GENREMOE_DATA``, or else in the user's
        cache folder.
    split : {None, "fault-filtered"}, default=None
        None means all clips. ``"fault-filtered"``: the 930 clips of the split that leaves out
        the known faults and keeps artists apart (443 for training, 197 for validation, 290 for
        test).
    split_files : str, Path or list of str or Path, default=None
        The lists of the fault-filtered split, one clip per line such as
        ``blues/blues.00029.wav``: three files whose names begin with "train", "valid" and
        "test", or a folder with ``train_filtered.txt`` and so on; None means `data_home`. They are
        in https://github.com/jordipons/sklearn-audio-transfer-learning, ``data/index/GTZAN``.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of str of shape (n_clips,)
            Absolute paths, in the order of the clips' names.
        target : ndarray of str of shape (n_clips,)
            The genre of each clip.
        target_names : list of str
            The genres in alphabetical order.
        groups : None
            The collection doesn't name its artists.
        split : ndarray of str of shape (n_clips,) or None
            "train", "valid" or "test", with ``split="fault-filtered"``.
        metadata : dict of str to ndarray of shape (n_clips,)
            The column "name", such as "blues.00000".
        left_out : list of str
            The clips that are not loaded because they can't be decoded or are missing.
        DESCR : str
            What was loaded, its licence, and what to cite.
    (data, target) : tuple if `return_X_y` is True
        The clips and their genres.

    Raises
    ------
    FileNotFoundError
        If the folder, clips or the lists of the split are missing.
    ValueError
        If `split` is unknown, or a list names anything but clips, or a clip twice.

    Warns
    -----
    UserWarning
        If clips are left out, such as ``jazz.00054``, which is unreadable in common copies.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import fetch_gtzan
    >>> clips = fetch_gtzan("gtzan", split="fault-filtered")  # doctest: +SKIP
    >>> train = clips.split == "train"  # doctest: +SKIP
    >>> clf.fit(clips.data[train], clips.target[train])  # doctest: +SKIP
    """
    if split is None and split_files is not None:
        raise ValueError("split_files= belongs to split='fault-filtered'; pass that too.")
    folder = data_folder() / "gtzan" if data_home is None else data_folder(data_home)
    found = _find_clips(folder)
    parts = dict.fromkeys(found) if split is None else _read_split(folder, split_files)

    lost = sorted(set(parts) - set(found))
    left_out = [f"{len(lost)} that the split lists are missing ({some_rows(lost)})"] if lost else []
    if _DAMAGED in parts and _DAMAGED in found:
        try:
            decode_audio(found[_DAMAGED], duration=1.0)
        except BadClipError as error:
            left_out.append(f"{_DAMAGED} can't be used ({error.reason})")
            lost.append(_DAMAGED)
    names = np.array(sorted(set(parts) - set(lost)))
    if not len(names):
        raise FileNotFoundError(f"{folder}: none of the clips of the split is there. {_WHERE}")
    data = np.array([found[name] for name in names])
    target = np.array([name.partition(".")[0] for name in names])
    of_clips = None if split is None else np.array([parts[name] for name in names])
    facts = {"Split": f"{split}: {', '.join(counts(of_clips))}" if split else "none"}
    how = {"groups": None, "split": of_clips, "metadata": {"name": names}, "left_out": lost}
    clips = published(f"GTZAN in {folder}", data, target, facts, left_out, "gtzan.rst", **how)
    return (data, target) if return_X_y else clips


def _find_clips(folder: Path) -> dict[str, str]:
    """Return the paths of the clips by their names, whatever the layout."""
    # The .au files last, which take the place of others: GTZAN was published so.
    paths = sorted(folder.rglob("*"), key=lambda path: (path.suffix.lower() == ".au", path))
    found = {clip[1].lower(): str(p) for p in paths if (clip := _CLIP.fullmatch(p.name))}
    if not found:
        what = "no clip of GTZAN in this folder" if os.path.isdir(folder) else "no such folder"
        raise FileNotFoundError(f"{folder}: {what}. {_WHERE}")
    return found


def _read_split(folder: Path, split_files) -> dict[str, str]:
    """Return the part of each clip that the lists name."""
    if split_files is None or isinstance(split_files, str | os.PathLike):
        place = folder if split_files is None else user_path(split_files)
        split_files = [place / f"{part}_filtered.txt" for part in _PARTS]
    paths = [user_path(path) for path in split_files]
    by_part = {p: path for p in _PARTS for path in paths if path.name.lower().startswith(p)}
    if len(paths) != 3 or len(by_part) != 3:
        found = f"split_files={[str(path) for path in paths]}"
        raise ValueError(f"{found}; pass three files, whose names begin with {_PARTS}.")
    parts: dict[str, str] = {}
    for part, path in by_part.items():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            found = f"split='fault-filtered' needs its lists of clips; {path} can't be read"
            raise kind(f"{found}. {_LISTS}, and put them into {folder}.") from error
        for number, line in enumerate(lines, start=1):
            clip = _CLIP.fullmatch(line.replace("\\", "/").rpartition("/")[2].strip())
            name = clip[1].lower() if clip else ""
            if line.strip() and (not name or name in parts):
                found = f"{path}: line {number} is {line!r:.80}"
                expected = "a clip such as blues/blues.00029.wav, and each once in the three lists"
                raise ValueError(f"{found}; expected {expected}. {_LISTS}.")
            parts |= {name: part} if name else {}
    return parts
