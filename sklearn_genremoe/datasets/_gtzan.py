"""The GTZAN collection, from a folder of one's own."""

import os
import re
import warnings
from pathlib import Path

import numpy as np

from .._files import data_folder, user_path
from ..audio import BadClipError, decode_audio
from ._bunch import ClipBunch

_GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
_CLIP = re.compile(rf"(({'|'.join(_GENRES)})\.\d{{5}})\.(au|wav)", re.IGNORECASE)
_PARTS = ("train", "valid", "test")

#: A clip that is unreadable in common copies.
_DAMAGED = "jazz.00054"

_WHERE = (
    "GTZAN carries no licence and its official address is gone, so it can't be downloaded here. "
    "Put a copy of your own there, as .au or .wav, e.g. genres/blues/blues.00000.au, "
    "genres_original/blues/blues.00000.wav or all files side by side"
)
_LISTS = "https://github.com/jordipons/sklearn-audio-transfer-learning, folder data/index/GTZAN"

_DESCR = """\
GTZAN: clips of ten genres
==========================

:Clips: {n_clips} of the 1,000, of 30 s each
:Genres: {genres}
:Split: {split}
:Left out: {left_out}
:Licence: none; the recordings belong to their owners

Widely used, and faulty: it repeats recordings and artists, which flatters random splits, and some
labels are wrong. The fault-filtered split leaves the faults out and keeps artists apart.

Please cite G. Tzanetakis, P. Cook, "Musical Genre Classification of Audio Signals", IEEE
Transactions on Speech and Audio Processing 10 (5), 2002; for the faults B. L. Sturm, "The GTZAN
dataset: Its contents, its faults, their effects on evaluation, and its future use", 2013,
https://arxiv.org/abs/1306.1461; for the fault-filtered split C. Kereliuk, B. L. Sturm, J. Larsen,
"Deep Learning and Music Adversaries", IEEE Transactions on Multimedia 17 (11), 2015.
"""


def fetch_gtzan(data_home=None, *, split=None, split_files=None, return_X_y=False):
    """Load the GTZAN collection from a folder, with its fault-filtered split.

    GTZAN carries no licence and its official address is gone: nothing is downloaded. Put a copy
    of your own into `data_home`.

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
        "test", or the folder that holds ``train_filtered.txt``, ``valid_filtered.txt`` and
        ``test_filtered.txt``. None means `data_home`. They are found at
        https://github.com/jordipons/sklearn-audio-transfer-learning in ``data/index/GTZAN``.
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
        If the folder, clips or the lists of the split are missing; the message says where
        files go.
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
    if split not in (None, "fault-filtered"):
        raise ValueError(f"split={split!r}; accepted are None and 'fault-filtered'.")
    if split is None and split_files is not None:
        raise ValueError("split_files= belongs to split='fault-filtered'; pass that too.")
    folder = data_folder() / "gtzan" if data_home is None else data_folder(data_home)
    found = _find_clips(folder)
    parts = None if split is None else _read_split(folder, split_files)

    names = sorted(found if parts is None else parts)
    report, left_out = [], []
    missing = [name for name in names if name not in found]
    if missing:
        report.append(f"{len(missing)} that the split lists are missing ({_some(missing)})")
        left_out += missing
    if _DAMAGED in names and _DAMAGED in found:
        try:
            decode_audio(found[_DAMAGED], duration=1.0)
        except BadClipError as error:
            report.append(f"{_DAMAGED} can't be used ({error.reason})")
            left_out.append(_DAMAGED)
    names = [name for name in names if name not in left_out]
    if not names:
        raise FileNotFoundError(f"{folder}: none of the clips of the split is there. {_WHERE}.")
    if report:
        warnings.warn(
            f"GTZAN in {folder}: clips are left out, {', '.join(report)}.",
            UserWarning,
            stacklevel=2,
        )
    data = np.array([found[name] for name in names])
    target = np.array([name.partition(".")[0] for name in names])
    if return_X_y:
        return data, target
    of_parts = None if parts is None else np.array([parts[name] for name in names])
    genres, counts = np.unique(target, return_counts=True)
    return ClipBunch(
        data=data,
        target=target,
        target_names=genres.tolist(),
        groups=None,
        split=of_parts,
        metadata={"name": np.array(names)},
        left_out=left_out,
        DESCR=_DESCR.format(
            n_clips=len(data),
            genres=", ".join(f"{genre} ({count})" for genre, count in zip(genres, counts)),
            split="none"
            if of_parts is None
            else "fault-filtered: "
            + ", ".join(f"{part} ({np.sum(of_parts == part)})" for part in _PARTS),
            left_out=", ".join(report) or "none",
        ),
    )


def _find_clips(folder: Path) -> dict[str, str]:
    """Return the paths of the clips by their names, whatever the layout."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{folder}: no such folder. {_WHERE}.")
    paths = sorted(
        os.path.join(place, name) for place, _, names in os.walk(folder) for name in names
    )
    # The .au files last, which take the place of others: GTZAN was published so.
    paths.sort(key=lambda path: path.lower().endswith(".au"))
    clips = ((_CLIP.fullmatch(os.path.basename(path)), path) for path in paths)
    found = {clip[1].lower(): path for clip, path in clips if clip}
    if not found:
        raise FileNotFoundError(f"{folder}: no clip of GTZAN in this folder. {_WHERE}.")
    return found


def _read_split(folder: Path, split_files) -> dict[str, str]:
    """Return the part of each clip that the lists name."""
    parts: dict[str, str] = {}
    for part, path in _split_paths(folder, split_files).items():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: the list of clips can't be read ({error}).") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            clip = _CLIP.fullmatch(line.strip().replace("\\", "/").rpartition("/")[2])
            if clip is None:
                raise ValueError(
                    f"{path}: line {number} is {line.strip()[:80]!r}; expected a clip such as "
                    "blues/blues.00029.wav. Take the lists from " + _LISTS + "."
                )
            name = clip[1].lower()
            if name in parts:
                raise ValueError(
                    f"{path}: line {number} lists {name} again, after {parts[name]!r}; a clip "
                    "belongs to one part."
                )
            parts[name] = part
    return parts


def _split_paths(folder: Path, split_files) -> dict[str, Path]:
    if split_files is None or isinstance(split_files, str | os.PathLike):
        place = folder if split_files is None else user_path(split_files)
        paths = [place / f"{part}_filtered.txt" for part in _PARTS]
    else:
        paths = [user_path(path) for path in split_files]
    by_part = {
        part: path for path in paths for part in _PARTS if path.name.lower().startswith(part)
    }
    missing = [str(path) for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"split='fault-filtered' needs its lists of clips; not found: {', '.join(missing)}. "
            f"Take train_filtered.txt, valid_filtered.txt and test_filtered.txt from {_LISTS}, "
            f"and put them into {folder} or pass their paths as split_files."
        )
    if len(paths) != 3 or len(by_part) != 3:
        raise ValueError(
            f"split_files={[str(path) for path in paths]}; pass three files, whose names begin "
            "with 'train', 'valid' and 'test'."
        )
    return {part: by_part[part] for part in _PARTS}


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + ", ..." * (len(names) > 6)
