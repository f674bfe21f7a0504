"""Labelled clips from a folder of one's own."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from .._files import user_path
from ..audio import BadClipError
from ._bunch import ClipBunch, counted, printable
from ._duplicates import find_duplicates, report_duplicates
from ._formats import FFMPEG_EXTENSIONS, decodable_extensions, undecodable_extensions
from ._manifest import group_column, read_manifest, require_values


def load_audio_folder(
    folder,
    *,
    manifest=None,
    genres=None,
    extensions=None,
    group_by="auto",
    duplicates="warn",
    return_X_y=False,
):
    """Load the paths and genres of a folder of audio clips.

    Without a manifest, each subfolder is a genre and holds its clips, at any depth::

        folder/
            folk/      a.ogg  b.mp3  live/c.flac
            rock/      d.wav  e.wav

    With a manifest, a CSV table names the clips, their genres and whatever else is known; a
    ``manifest.csv`` in the folder is taken by itself. Links to folders are followed, each folder
    once per genre. Hidden folders are passed over, and those named ``__MACOSX``, which archives
    from a Mac hold. Nothing is decoded here: domains and experts read each clip when they need it.

    Parameters
    ----------
    folder : str or Path
        The folder with the clips.
    manifest : str, Path or False, default=None
        A table with a header and the columns ``path`` (relative to `folder`) and ``genre``,
        separated by commas, semicolons or tabs, in UTF-8, or in UTF-16 with a byte-order mark;
        looked for in `folder` first, then where the path itself says. None means
        ``manifest.csv`` if `folder` holds one; False means the subfolders, whatever else is
        there.
    genres : iterable of str, default=None
        The genres to load. None means all of them.
    extensions : collection of str, default=None
        File name endings, in any case, that make a file a clip. None means all that can be
        decoded: wav, flac, ogg, opus, mp3, mp2, aiff, au and others, and with the extra
        ``[ffmpeg]`` also m4a, aac, wma, webm, wv, ape and more. A manifest's clips are taken
        whatever their ending.
    group_by : str or None, default="auto"
        The manifest's column that tells which clips belong together, because they are cut from
        one recording or come from one artist: these must not be spread over training and test
        data. ``"auto"`` takes the first of ``track``, ``track_id``, ``artist`` and
        ``artist_id`` that exists.
    duplicates : {"warn", "raise", "ignore"}, default="warn"
        What to do about clips with the same content, byte for byte: under two genres one of
        them is wrong; twice in a genre they flatter the score, unless they share a group.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
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
            or genres that were not asked for, and folders that can't be read. Hidden files are
            left out of this list.
        duplicates : list of list of str
            Sets of clips with the same content; empty if `duplicates` is ``"ignore"``.
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
        is missing, a folder can't be read, the manifest is not as described above, or there
        are duplicates and they are to be refused.

    Warns
    -----
    UserWarning
        If a genre has a single clip, which can't be in training and in test data; if music was
        left out, because it can't be decoded, lies beside the genre folders or isn't listed
        in the folder's ``manifest.csv``; if clips have the same content.

    Examples
    --------
    >>> from pathlib import Path
    >>> import sklearn_genremoe.datasets as datasets
    >>> folder = Path(datasets.__file__).parent / "data" / "mini_genres"
    >>> clips = datasets.load_audio_folder(folder, group_by="artist")
    >>> clips
    <48 clips of 4 genres: ambient (12), electronic (12), folk (12), rock (12); attributes: data, \
target, target_names, groups, metadata, ignored, duplicates, DESCR>
    >>> print(clips.groups[0])
    Maxstack (Max McCracken)
    >>> clips = datasets.load_audio_folder(folder, manifest=False, genres=["folk", "rock"])
    >>> clips.target_names, len(clips.data), clips.groups
    (['folk', 'rock'], 24, None)
    """
    folder = _existing_folder(folder)
    genres = _genre_names(genres)
    _check_arguments(manifest, extensions, duplicates)
    found_manifest = manifest is None and os.path.isfile(folder / "manifest.csv")
    manifest = _existing_manifest("manifest.csv" if found_manifest else manifest, folder)
    tree, unreadable = _scan(folder)
    undecodable = undecodable_extensions() if extensions is None else ()
    endings = tuple(ending.lower() for ending in extensions or decodable_extensions())
    metadata: dict[str, np.ndarray] = {}
    groups = None
    if manifest is None:
        if group_by not in ("auto", None):
            raise ValueError(
                f"group_by={group_by!r} names a column of a manifest, but manifest=None and "
                f"{folder} holds no manifest.csv, or manifest=False; pass the CSV file with that "
                "column, or leave group_by out."
            )
        paths, target = _clips_of_genre_folders(
            folder, tree, unreadable, genres, endings, undecodable
        )
    else:
        metadata = _read_manifest(manifest, folder, found_manifest)
        group_by = group_column(manifest, metadata, group_by)
        if group_by is not None:
            instead = ", or pass group_by=None for no groups, or another column"
            require_values(manifest, group_by, metadata[group_by], instead=instead)
        keep = _rows_of_genres(manifest, metadata["genre"], genres)
        listed = {os.path.realpath(path) for path in metadata["path"]}
        metadata = {name: column[keep] for name, column in metadata.items()}
        groups = None if group_by is None else metadata[group_by]
        paths, target = metadata.pop("path"), metadata.pop("genre")

    counts = _count_genres(target, source=manifest or folder)
    if manifest is None:
        music = [path for genre in counts for path in tree[genre]]
        beside = _of_endings(tree[""], endings + undecodable)
        _warn_of_losses(folder, _of_endings(music, undecodable), beside)
    else:
        everything = [path for files in tree.values() for path in files]
        unlisted = (
            [path for path in everything if os.path.realpath(path) not in listed]
            if found_manifest
            else []
        )
        _warn_of_losses(
            folder,
            _of_endings([*paths, *unlisted], undecodable),
            _of_endings(unlisted, endings),
            f"not listed in {manifest}; add what belongs there, or pass manifest=False to take "
            "the genres from the subfolders",
        )
    alike = [] if duplicates == "ignore" else find_duplicates(paths)
    report_duplicates(paths, target, groups, alike, folder, duplicates)
    if return_X_y:
        return paths, target
    used = {str(path) for path in paths} | {str(manifest)}
    ignored = sorted(path for files in tree.values() for path in files if path not in used)
    ignored += unreadable
    return ClipBunch(
        data=paths,
        target=target,
        target_names=list(counts),
        groups=groups,
        metadata=metadata,
        ignored=ignored,
        duplicates=[paths[rows].tolist() for rows in alike],
        DESCR=_describe(folder, manifest, counts, group_by, groups, metadata, ignored),
    )


def find_audio_files(folder) -> tuple[list[str], dict[str, str]]:
    """Return the audio files below a folder, in order, and what music is left out, with reasons.

    Walks as :func:`load_audio_folder` does: links to folders are followed, hidden files passed
    over. Left out are files of a format without a decoder and folders that can't be listed.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    paths : list of str
        The files that can be decoded, by their endings.
    left_out : dict of str to str
        Paths of the others and of folders, and why: "no decoder for .ape is installed; ...".
    """
    folder = _existing_folder(folder)
    tree, unreadable = _scan(folder)
    paths, left_out = [], {path: _unreadable_folder(path).reason for path in unreadable}
    for path in (path for files in tree.values() for path in files):
        if path.lower().endswith(decodable_extensions()):
            paths.append(path)
        elif path.lower().endswith(undecodable_extensions()):
            left_out[path] = _cannot_decode(folder, [path])
    return paths, left_out


def _genre_names(genres) -> list[str] | None:
    if isinstance(genres, Iterable) and not isinstance(genres, str):
        genres = list(genres)
    if genres is not None and not (isinstance(genres, list) and genres):
        raise ValueError(f"genres={genres!r}; pass a list of names, or None for all genres.")
    return genres


def _check_arguments(manifest, extensions, duplicates) -> None:
    if not (manifest is None or manifest is False or isinstance(manifest, str | os.PathLike)):
        raise ValueError(
            f"manifest={manifest!r}; pass the path of a CSV file, None for the folder's own "
            "manifest.csv, or False for none."
        )
    if extensions is not None and not len(extensions):
        raise ValueError("extensions is empty; pass e.g. ('.wav',), or None for all.")
    if isinstance(extensions, str):
        raise ValueError(f"extensions={extensions!r} is one string; pass e.g. ({extensions!r},).")
    if duplicates not in ("warn", "raise", "ignore"):
        raise ValueError(f"duplicates={duplicates!r}; accepted are 'warn', 'raise' and 'ignore'.")


def _existing_folder(folder) -> Path:
    path = user_path(folder).absolute()
    # Not Path.exists, which raises an OSError for names that are too long or may not be looked at.
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path}: no such folder. Pass a folder with one subfolder of clips per genre, or "
            "with a manifest."
        )
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{path} is a file; pass the folder that holds the clips.")
    return path


def _existing_manifest(manifest, folder: Path) -> Path | None:
    if manifest is None or manifest is False:
        return None
    candidates = [folder / manifest, user_path(manifest).absolute()]
    for path in candidates:
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(
        f"manifest {str(manifest)!r} not found; looked for "
        f"{' and '.join(str(path) for path in dict.fromkeys(candidates))}."
    )


def _read_manifest(manifest: Path, folder: Path, found: bool) -> dict[str, np.ndarray]:
    """Read a manifest; one that nobody named can also be left alone."""
    try:
        return read_manifest(manifest, folder)
    except (ValueError, FileNotFoundError) as error:
        if not found:
            raise
        raise type(error)(
            f"{error} Or pass manifest=False to take the genres from the subfolders."
        ) from None


def _scan(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return the visible files, by subfolder ("" for none), and the folders that can't be read."""
    errors: list[OSError] = []
    _, names, files = next(os.walk(folder, onerror=errors.append), ("", [], []))
    if errors:
        raise _unreadable_folder(str(folder))
    tree = {"": sorted(str(folder / name) for name in files if _visible(name))}
    above = _with_parents(folder)
    for name in sorted(filter(_visible, names)):
        # Links are followed, so a folder may come up within itself, or twice.
        seen = above | _with_parents(folder / name)
        tree[name] = []
        if os.path.realpath(folder / name) in above:
            continue
        for place, below, files in os.walk(folder / name, onerror=errors.append, followlinks=True):
            candidates = sorted(filter(_visible, below))
            below.clear()
            for one in candidates:
                real = os.path.realpath(os.path.join(place, one))
                if real not in seen:
                    seen.add(real)
                    below.append(one)
            tree[name] += [os.path.join(place, one) for one in files if _visible(one)]
        tree[name].sort(key=Path)
    return tree, [str(error.filename) for error in errors]


def _with_parents(folder: Path) -> set[str]:
    real = Path(os.path.realpath(folder))
    return {str(path) for path in (real, *real.parents)}


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _unreadable_folder(path: str) -> BadClipError:
    return BadClipError(
        path,
        "the folder can't be read; get permission to list it (chmod u+rx), or leave it out by "
        "genres=.",
    )


def _clips_of_genre_folders(
    folder: Path,
    tree: dict[str, list[str]],
    unreadable: list[str],
    genres: Collection[str] | None,
    endings: tuple[str, ...],
    undecodable: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    found = [name for name in tree if name]
    if not found:
        raise ValueError(
            f"{folder}: found {len(tree[''])} files but no subfolder. Put each genre's clips into "
            "a subfolder named after the genre, or pass a manifest that gives the genres."
        )
    wanted = found if genres is None else sorted(set(genres))
    missing = [genre for genre in wanted if genre not in found]
    if missing:
        raise ValueError(f"{folder}: no genre {missing} here; found {found}.")
    for path in unreadable:
        if Path(path).relative_to(folder).parts[0] in wanted:
            raise _unreadable_folder(path)

    clips = {genre: _of_endings(tree[genre], endings) for genre in wanted}
    without = [genre for genre in wanted if not clips[genre]]
    if without:
        empty = [genre for genre in without if not tree[genre]]
        full = [genre for genre in wanted if clips[genre]]
        lost = [path for genre in without for path in _of_endings(tree[genre], undecodable)]
        raise ValueError(
            f"{folder}: no audio file in {len(without)} of {len(wanted)} subfolders: "
            f"{without}. "
            + (
                f"{empty} hold no files at all: delete them, or pass genres={full}. "
                if empty
                else ""
            )
            + f"Accepted endings are {', '.join(endings)}; pass extensions= for "
            "others, or genres= to load some of the subfolders only."
            + (f" {_cannot_decode(folder, lost)}" if lost else "")
        )
    paths = [path for genre in wanted for path in clips[genre]]
    target = [genre for genre in wanted for _ in clips[genre]]
    return np.array(paths), np.array(target)


def _of_endings(paths: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    return [str(path) for path in paths if str(path).lower().endswith(endings)]


def _warn_of_losses(
    folder: Path,
    undecodable: list[str],
    without_genre: list[str],
    why: str = "beside the genre folders, without a genre; move what has one into its folder",
) -> None:
    """Warn once of all the music that isn't among the clips, or is, but can't be decoded."""
    messages = []
    if undecodable:
        messages.append(_cannot_decode(folder, undecodable))
    if without_genre:
        found = counted(len(without_genre), "audio file")
        messages.append(f"{found} {why}: {_tally(folder, without_genre)}.")
    if messages:
        warnings.warn(printable(f"{folder}: {' '.join(messages)}"), UserWarning, stacklevel=3)


def _cannot_decode(folder: Path, paths: list[str]) -> str:
    helped = _of_endings(paths, FFMPEG_EXTENSIONS)
    install = ", or pip install 'sklearn-genremoe[ffmpeg]' and load again" if helped else ""
    return (
        f"{counted(len(paths), 'music file')} can't be decoded: {_tally(folder, paths)}. Convert "
        f"{'it' if len(paths) == 1 else 'them'}, for example to flac{install}."
    )


def _tally(folder: Path, paths: list[str]) -> str:
    """Count files by the first folder of their path and by ending."""
    counts: dict[str, Counter[str]] = {}
    for path in paths:
        parts = Path(os.path.relpath(path, folder)).parts
        place = parts[0] if len(parts) > 1 else "in no subfolder"
        counts.setdefault(place, Counter())[Path(path).suffix.lower()] += 1
    return ", ".join(
        f"{place} ({', '.join(f'{count} {ending}' for ending, count in sorted(some.items()))})"
        for place, some in counts.items()
    )


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
    manifest: Path | None,
    counts: dict[str, int],
    group_by: str | None,
    groups: np.ndarray | None,
    metadata: dict[str, np.ndarray],
    ignored: list[str],
) -> str:
    genres = ", ".join(f"{genre} ({count})" for genre, count in counts.items())
    lines = [
        f"{sum(counts.values())} clips of {len(counts)} genres from {folder}.",
        f"Clips per genre: {genres}.",
        "Genres: the names of the subfolders."
        if manifest is None
        else f"Genres and groups: from {manifest}; manifest=False takes the subfolders instead.",
        "Groups: none known; clips of one track or artist may end up in training and test data."
        + (f" Other columns of the manifest: {', '.join(metadata)}." if metadata else "")
        if groups is None
        else f"Groups: {len(set(groups))} by {group_by!r}.",
    ]
    if ignored:
        lines.append(f"Ignored: {counted(len(ignored), 'file')} not among the clips.")
    return printable("\n".join(lines) + "\n")
