"""The Free Music Archive's clips of 30 s."""

import contextlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from .._clips import some_rows
from .._fields import checked
from .._files import data_folder, fetch_file
from ._bunch import counts, nfc, published

_BASE_URL = "https://os.unil.cloud.switch.ch/fma/"
_HASHES = {
    "fma_metadata.zip": "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
    "fma_small.zip": "sha1:ade154f733639d52e35e32f5593efe5be76c6d70",
    "fma_medium.zip": "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b",
    "fma_large.zip": "sha1:497109f4dd721066b5ce5e5f250ec604dc78939e",
}
_SUBSETS = ("small", "medium", "large")  # each contains those before it
_SPLITS = ("training", "validation", "test")

#: Clips that hold no audio or less than two seconds.
_SHORT = ("98565", "98567", "98569", "99134", "108925", "133297")

# The columns of tracks.csv that are kept, by the first two of its three header rows.
_COLUMNS = {
    "title": ("track", "title"),
    "artist": ("artist", "name"),
    "album": ("album", "title"),
    "licence": ("track", "license"),
    "subset": ("set", "subset"),
    "split": ("set", "split"),
    "genre": ("track", "genre_top"),
    "artist_id": ("artist", "id"),
}


@checked
def fetch_fma(
    subset: Literal["small", "medium", "large"] = "small",
    *,
    data_home=None,
    split: Literal["train", "training", "validation", "test"] | None = None,
    download_if_missing=True,
    return_X_y=False,
):
    """Fetch the clips of the Free Music Archive dataset, with their official split.

    Downloads archives on first use, checks their hashes, and removes them once they are unpacked.
    Folders ``fma_small`` and ``fma_metadata`` that are there already are used as they are.

    Parameters
    ----------
    subset : {"small", "medium", "large"}, default="small"
        ``"small"``: 8,000 clips of 8 balanced genres (7.2 GiB). ``"medium"``: 25,000 clips of 16
        unbalanced genres (22 GiB). ``"large"``: 106,574 clips (93 GiB), of which those without a
        top genre are left out.
    data_home : str or Path, default=None
        The folder for ``fma_small`` and ``fma_metadata``. None means ``$SKLEARN_GENREMOE_DATA``,
        or else the user's cache folder.
    split : {"training", "validation", "test"}, default=None
        The part to load; ``"train"`` is understood. None means all, told apart by the attribute
        `split`.
    download_if_missing : bool, default=True
        Whether to download what isn't in `data_home`.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of str of shape (n_clips,)
            Absolute paths, in the order of track numbers.
        target : ndarray of str of shape (n_clips,)
            The top genre of each clip.
        target_names : list of str
            The genres in alphabetical order.
        groups : ndarray of str of shape (n_clips,)
            The number of the artist, for :class:`~sklearn.model_selection.StratifiedGroupKFold`.
        split : ndarray of str of shape (n_clips,)
            "training", "validation" or "test"; no artist is in two of them.
        metadata : dict of str to ndarray of shape (n_clips,)
            The columns "track_id", "title", "artist", "album" and "licence".
        left_out : list of str
            The clips that are known to be empty or far too short, or are missing in the folder.
        DESCR : str
            What was loaded, its licence, and what to cite.
    (data, target) : tuple if `return_X_y` is True
        The clips and their genres.

    Raises
    ------
    ConnectionError
        If the server can't be reached, answers with an error, or breaks off.
    FileNotFoundError
        If the data are not there and must not be downloaded.
    OSError
        If what arrived is damaged, or the folder can't be written to.
    ValueError
        If `subset` or `split` is unknown, or ``tracks.csv`` isn't the published table.

    Warns
    -----
    UserWarning
        If clips are left out. Six of FMA-small are empty or last under two seconds.

    See Also
    --------
    fetch_published_experts : The paper's experts, trained on FMA-small.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import fetch_fma
    >>> clips = fetch_fma("small", split="training")  # doctest: +SKIP
    >>> clips.target_names[:4]  # doctest: +SKIP
    ['Electronic', 'Experimental', 'Folk', 'Hip-Hop']
    """
    split = "training" if split == "train" else split
    folder = data_folder(data_home)
    table = _fetch(folder, "fma_metadata/tracks.csv", download_if_missing)
    audio = _fetch(folder, f"fma_{subset}", download_if_missing)

    tracks = _read_tracks(table, _SUBSETS[: _SUBSETS.index(subset) + 1], split)
    names = [f"{int(track):06d}" for track in tracks["track_id"]]
    paths = np.array([str(audio / name[:3] / f"{name}.mp3") for name in names])
    reasons = {
        "known to be empty or to last under two seconds": np.isin(tracks["track_id"], _SHORT),
        "without a top genre": tracks["genre"] == "",
        f"missing in {audio}": ~np.array([*map(os.path.isfile, paths)]),
    }
    kept = np.ones(len(names), dtype=bool)
    report = []
    for reason, rows in reasons.items():
        if len(lost := tracks["track_id"][rows & kept]):
            report.append(f"{len(lost)} {reason} (tracks {some_rows(lost)})")
        kept &= ~rows
    if not kept.any():
        found = f"{audio}: none of the {len(kept)} clips is there. The layout must be the published"
        raise FileNotFoundError(f"{found} one; move the folder away to have it downloaded.")
    tracks = {name: column[kept] for name, column in tracks.items()}
    data, target, parts = paths[kept], tracks.pop("genre"), tracks.pop("split")
    facts, groups = {"Split": ", ".join(counts(parts))}, tracks.pop("artist_id")
    of_clips = {"groups": groups, "split": parts, "metadata": tracks}
    of_clips["left_out"] = paths[~kept].tolist()
    clips = published(f"FMA-{subset}", data, target, facts, report, "fma.rst", **of_clips)
    return (data, target) if return_X_y else clips


def _fetch(folder: Path, name: str, download_if_missing: bool) -> Path:
    """Return a folder or a file of the dataset, unpacked from its archive on first use."""
    wanted = folder / name
    # An empty folder is what somebody made to put the data into.
    if os.path.isfile(wanted) or (os.path.isdir(wanted) and any(wanted.iterdir())):
        return wanted
    archive = name.partition("/")[0] + ".zip"
    url, known_hash = _BASE_URL + archive, _HASHES[archive]
    path = fetch_file(url, archive, known_hash, folder, download_if_missing=download_if_missing)
    try:
        # A hidden name, so that what a killed process leaves is no folder of clips.
        with (
            zipfile.ZipFile(path) as file,
            tempfile.TemporaryDirectory(prefix=".fma-", dir=folder) as place,
        ):
            entries = [one for one in file.namelist() if f"{one}/".startswith(f"{name}/")]
            if not entries:
                raise zipfile.BadZipFile(f"no {name} in it")
            file.extractall(place, entries)  # which leaves none outside of the place
            wanted.parent.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):  # an empty folder, or none
                wanted.rmdir()
            os.replace(Path(place, name), wanted)
    except (OSError, zipfile.BadZipFile) as error:
        found = f"{path} could not be unpacked in {folder}: {getattr(error, 'strerror', error)}"
        advice = "The archive is kept: make room or get permission to write there, and call again."
        raise OSError(f"{found}. {advice}") from error
    path.unlink(missing_ok=True)
    return wanted


def _read_tracks(table: Path, subsets: tuple[str, ...], split: str | None) -> dict[str, np.ndarray]:
    """Read the rows of a subset, by track number, from the table with three header rows."""
    how: dict[str, Any] = {"header": None, "dtype": str, "keep_default_na": False}
    try:
        header = list(zip(*pd.read_csv(table, nrows=2, **how).to_numpy()))
        places = {name: header.index(pair) for name, pair in _COLUMNS.items()} | {"track_id": 0}
        tracks = pd.read_csv(table, skiprows=3, usecols=list(places.values()), **how)
        tracks = pd.DataFrame({name: tracks[place] for name, place in places.items()})
        if tracks.isna().any(axis=None):
            raise ValueError("a row ends early")
        tracks.index = tracks["track_id"].astype(int)
    except ValueError as error:
        found = f"{table} isn't the published table, or was cut short ({error})"
        raise ValueError(f"{found}; remove it, and call again to download it anew.") from error
    splits = _SPLITS if split is None else (split,)
    kept = tracks.pop("subset").isin(subsets) & tracks["split"].isin(splits)
    if not kept.any():
        raise ValueError(f"{table} lists no track of {subsets[-1]!r}; remove it and call again.")
    tracks = tracks[kept].sort_index()
    return {name: np.array([nfc(x.strip()) for x in tracks[name]]) for name in tracks}
