"""Labelled clips from a folder of one's own."""

import os
import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ._manifest import group_column, read_manifest, require_values

#: What libsndfile decodes without further programs, by the usual file name endings.
AUDIO_EXTENSIONS = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".w64",
    ".caf",
)


def load_audio_folder(
    folder,
    *,
    manifest=None,
    genres=None,
    extensions=AUDIO_EXTENSIONS,
    group_by="auto",
    return_X_y=False,
):
    """Load the paths and genres of a folder of audio clips.

    Without a manifest, each subfolder is a genre and holds its clips, at any depth::

        folder/
            folk/      a.ogg  b.mp3  live/c.flac
            rock/      d.wav  e.wav

    With a manifest, a CSV table names the clips, their genres and whatever else is known.
    Nothing is decoded here: domains and experts read each clip when they need it.

    Parameters
    ----------
    folder : str or Path
        The folder with the clips.
    manifest : str or Path, default=None
        A CSV file with a header and the columns ``path`` (relative to `folder`) and
        ``genre``; looked for in `folder` first, then where the path itself says.
    genres : collection of str, default=None
        The genres to load. None means all of them.
    extensions : collection of str, default=AUDIO_EXTENSIONS
        File name endings, in any case, that make a file a clip. A manifest's clips are taken
        whatever their ending.
    group_by : str or None, default="auto"
        The manifest's column that tells which clips belong together, because they are cut from
        one recording or come from one artist: these must not be spread over training and test
        data. ``"auto"`` takes the first of ``track``, ``track_id``, ``artist`` and
        ``artist_id`` that exists.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of str of shape (n_clips,)
            Absolute paths, in the order of the manifest, or sorted by genre and path.
        target : ndarray of str of shape (n_clips,)
            The genre of each clip.
        target_names : list of str
            The genres in alphabetical order.
        groups : ndarray of str of shape (n_clips,) or None
            What `group_by` names, for :class:`~sklearn.model_selection.StratifiedGroupKFold`.
        metadata : dict of str to ndarray of shape (n_clips,)
            The manifest's other columns; empty without a manifest.
        ignored : list of str
            The files below `folder` that are not among the clips, such as covers and texts
            or genres that were not asked for. Hidden files are left out of this list.
        DESCR : str
            What was loaded, in words.
    (data, target) : tuple if `return_X_y` is True
        The clips and their genres.

    Raises
    ------
    FileNotFoundError
        If the folder, the manifest or a clip of the manifest does not exist.
    ValueError
        If there are fewer than two genres, a genre holds no clip, a genre that was asked for
        is missing, or the manifest is not as described above.

    Warns
    -----
    UserWarning
        If a genre has a single clip, which can't be in training and in test data.

    Examples
    --------
    >>> from pathlib import Path
    >>> import sklearn_genremoe.datasets as datasets
    >>> folder = Path(datasets.__file__).parent / "data" / "mini_genres"
    >>> clips = datasets.load_audio_folder(folder, genres=["folk", "rock"])
    >>> clips.target_names, len(clips.data), clips.groups
    (['folk', 'rock'], 24, None)
    >>> clips = datasets.load_audio_folder(folder, manifest="manifest.csv", group_by="artist")
    >>> print(clips.groups[0])
    Maxstack (Max McCracken)
    """
    folder = _existing_folder(folder)
    if isinstance(genres, str) or (genres is not None and not len(genres)):
        raise ValueError(f"genres={genres!r}; pass a list of names, or None for all genres.")
    if manifest is None:
        if group_by not in ("auto", None):
            raise ValueError(
                f"group_by={group_by!r} names a column of a manifest, but manifest=None; pass "
                "the CSV file with that column, or leave group_by out."
            )
        paths, target = _clips_of_genre_folders(folder, genres, extensions)
        metadata: dict[str, np.ndarray] = {}
        groups = None
    else:
        manifest = _existing_manifest(manifest, folder)
        metadata = read_manifest(manifest, folder)
        group_by = group_column(manifest, metadata, group_by)
        if group_by is not None:
            require_values(manifest, group_by, metadata[group_by])
        keep = _rows_of_genres(manifest, metadata["genre"], genres)
        metadata = {name: column[keep] for name, column in metadata.items()}
        groups = None if group_by is None else metadata[group_by]
        paths, target = metadata.pop("path"), metadata.pop("genre")

    counts = _count_genres(target, source=manifest or folder)
    if return_X_y:
        return paths, target
    used = {str(path) for path in paths} | {str(manifest)}
    ignored = [str(path) for path in _visible_files(folder) if str(path) not in used]
    return Bunch(
        data=paths,
        target=target,
        target_names=list(counts),
        groups=groups,
        metadata=metadata,
        ignored=ignored,
        DESCR=_describe(folder, counts, group_by if groups is not None else None, groups, ignored),
    )


def _existing_folder(folder) -> Path:
    path = Path(folder).expanduser().absolute()
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such folder. Pass a folder with one subfolder of clips per genre, or "
            "with a manifest."
        )
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; pass the folder that holds the clips.")
    return path


def _existing_manifest(manifest, folder: Path) -> Path:
    candidates = [folder / manifest, Path(manifest).expanduser().absolute()]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"manifest {str(manifest)!r} not found; looked for "
        f"{' and '.join(str(path) for path in dict.fromkeys(candidates))}."
    )


def _clips_of_genre_folders(
    folder: Path, genres: Collection[str] | None, extensions: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(extensions, str):
        raise ValueError(f"extensions={extensions!r} is one string; pass e.g. ({extensions!r},).")
    endings = tuple(extension.lower() for extension in extensions)
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and _visible(path))
    if not found:
        files = sum(path.is_file() for path in folder.iterdir())
        raise ValueError(
            f"{folder}: found {files} files but no subfolder. Put each genre's clips into a "
            "subfolder named after the genre, or pass a manifest that gives the genres."
        )
    wanted = found if genres is None else sorted(set(genres))
    missing = [genre for genre in wanted if genre not in found]
    if missing:
        raise ValueError(f"{folder}: no genre {missing} here; found {found}.")

    paths: list[str] = []
    target: list[str] = []
    without_clips = []
    for genre in wanted:
        clips = [
            str(path)
            for path in _visible_files(folder / genre)
            if path.name.lower().endswith(endings)
        ]
        if not clips:
            without_clips.append(genre)
        paths += clips
        target += [genre] * len(clips)
    if without_clips:
        raise ValueError(
            f"{folder}: no audio file in {len(without_clips)} of {len(wanted)} subfolders: "
            f"{without_clips}. Accepted endings are {', '.join(endings)}; pass extensions= for "
            "others, or genres= to load some of the subfolders only."
        )
    return np.array(paths), np.array(target)


def _rows_of_genres(
    manifest: Path, target: np.ndarray, genres: Collection[str] | None
) -> np.ndarray:
    if genres is None:
        return np.ones(len(target), dtype=bool)
    found = np.unique(target).tolist()
    missing = sorted(set(genres) - set(found))
    if missing:
        raise ValueError(f"{manifest}: no genre {missing} here; found {found}.")
    return np.isin(target, list(genres))


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _visible_files(folder: Path) -> list[Path]:
    """Return the files at any depth, sorted, without hidden ones and hidden folders."""

    def refuse(error: OSError) -> None:
        raise error  # os.walk would leave out an unreadable folder without a word

    files = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(root, name) for name in names if not name.startswith(".")]
    return sorted(files)


def _count_genres(target: np.ndarray, source: Path) -> dict[str, int]:
    """Return clips per genre, alphabetically, after refusing what can't be learned from."""
    counts = dict(sorted(Counter(str(genre) for genre in target).items()))
    if len(counts) < 2:
        raise ValueError(
            f"{source}: found one genre only, {next(iter(counts))!r} with {len(target)} clips; a "
            "classifier needs two or more. Pass the folder above, or one subfolder per genre."
        )
    single = [genre for genre, count in counts.items() if count == 1]
    if single:
        warnings.warn(
            f"{source}: a single clip of {single}; it can't be in training and in test data. "
            "Add clips, or choose genres=.",
            UserWarning,
            stacklevel=3,
        )
    return counts


def _describe(
    folder: Path,
    counts: dict[str, int],
    group_by: str | None,
    groups: np.ndarray | None,
    ignored: list[str],
) -> str:
    genres = ", ".join(f"{genre} ({count})" for genre, count in counts.items())
    lines = [
        f"{sum(counts.values())} clips of {len(counts)} genres from {folder}.",
        f"Clips per genre: {genres}.",
        "Groups: none known; clips of one track or artist may end up in training and test data."
        if groups is None
        else f"Groups: {len(set(groups))} by {group_by!r}.",
    ]
    if ignored:
        lines.append(f"Ignored: {len(ignored)} files that are not among the clips.")
    return "\n".join(lines) + "\n"
