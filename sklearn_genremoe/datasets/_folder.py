"""Labelled clips from a folder of one's own."""

import contextlib
import hashlib
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile

from .._files import user_path
from ..audio import BadClipError
from ._bunch import ClipBunch, counted, nfc, printable
from ._manifest import group_column, read_manifest, require_values

# What libsndfile decodes, and what takes FFmpeg's libraries, which PyAV brings along.
_SNDFILE = (
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .mpga .aif .aiff .aifc .au .snd "
    ".caf .voc .paf .avr .svx .8svx .sph"
)
_FFMPEG = (
    ".m4a .m4b .mp4 .m4v .mov .aac .adts .wma .wmv .asf .webm .weba .mka .mkv .avi .flv .mpg .mpeg "
    ".ogv .wv .ape .mpc .mpp .tta .tak .shn .amr .3gp .3ga .ac3 .eac3 .dts .dsf .dff .ra .rm .spx"
)
AUDIO_EXTENSIONS, FFMPEG_EXTENSIONS = tuple(_SNDFILE.split()), tuple(_FFMPEG.split())

#: Music as notes for synthesizers and trackers, which has to be rendered first.
SCORE_EXTENSIONS = (".mid", ".midi", ".mod", ".xm", ".s3m", ".it")

_MOST_SHOWN = 5


def decodable_extensions() -> tuple[str, ...]:
    """Return the endings of the files that can be decoded with what is installed."""
    return AUDIO_EXTENSIONS + (FFMPEG_EXTENSIONS if find_spec("av") else ())


def undecodable_extensions() -> tuple[str, ...]:
    """Return the endings of music that can't be decoded with what is installed."""
    return SCORE_EXTENSIONS + (() if find_spec("av") else FFMPEG_EXTENSIONS)


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
        decoded: wav, flac, ogg, opus, mp3, mp2, aiff, au and others, and with PyAV
        (``pip install av``) also m4a, aac, wma, webm, wv, ape, videos and more. A manifest's clips
        are taken whatever their ending.
    group_by : str or None, default="auto"
        What tells which clips belong together, because they are cut from one recording or come
        from one artist: these must not be spread over training and test data.

        - A column of the manifest. ``"auto"`` takes the first of ``track``, ``track_id``,
          ``artist`` and ``artist_id`` that exists.
        - ``"tags:artist"`` or another tag in the files.
        - A pattern of paths below `folder` such as ``"{genre}/{artist}/*"``: the group is the
          first part in braces other than ``{genre}``. ``*`` stands for anything within a name,
          ``**`` for any folders as well.

        A clip without such a tag, or whose path is another, is a group of its own.
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
            The genre of each clip, in the Unicode form NFC like all text of the manifest.
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
        is missing, a folder can't be read, the manifest is not as described above, no clip has
        a group, or there are duplicates and they are to be refused.

    Warns
    -----
    UserWarning
        Once, of all of this: a genre has a single clip, which can't be in training and in test
        data; genres differ in case, space or hyphens only, or look like a missing value; music
        was left out, because it can't be decoded, lies beside the genre folders or isn't listed
        in the folder's ``manifest.csv``; clips have no group, or the same content.

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
    _check_arguments(manifest, extensions, group_by, duplicates)
    found_manifest = manifest is None and os.path.isfile(folder / "manifest.csv")
    manifest = _existing_manifest("manifest.csv" if found_manifest else manifest, folder)
    source = manifest or folder
    tree, unreadable = _scan(folder)
    undecodable = undecodable_extensions() if extensions is None else ()
    endings = tuple(ending.lower() for ending in extensions or decodable_extensions())
    by_path = isinstance(group_by, str) and ("{" in group_by or group_by.startswith("tags:"))
    metadata: dict[str, np.ndarray] = {}
    groups = None
    if manifest is None:
        if group_by not in ("auto", None) and not by_path:
            raise ValueError(
                f"group_by={group_by!r} names a column of a manifest, but manifest=None and "
                f"{folder} holds no manifest.csv, or manifest=False; pass the CSV file with that "
                "column, a pattern such as '{genre}/{artist}/*', or 'tags:artist', or leave "
                "group_by out."
            )
        paths, target = _clips_of_genre_folders(
            folder, tree, unreadable, genres, endings, undecodable
        )
        music = [path for genre in dict.fromkeys(target) for path in tree[genre]]
        without_genre = _of_endings(tree[""], endings + undecodable)
        why = "beside the genre folders, without a genre; move what has one into its folder"
    else:
        metadata = _read_manifest(manifest, folder, found_manifest)
        column = None if by_path else group_column(manifest, metadata, group_by)
        if column is not None:
            instead = ", or pass group_by=None for no groups, or another column"
            require_values(manifest, column, metadata[column], instead=instead)
        wanted = _require_genres(manifest, genres, np.unique(metadata["genre"]).tolist())
        keep = np.isin(metadata["genre"], wanted)
        listed = {os.path.realpath(path) for path in metadata["path"]}
        metadata = {name: values[keep] for name, values in metadata.items()}
        groups = None if column is None else metadata[column]
        paths, target = metadata.pop("path"), metadata.pop("genre")
        everything = (path for files in tree.values() for path in files if found_manifest)
        unlisted = [path for path in everything if os.path.realpath(path) not in listed]
        music, without_genre = [*paths, *unlisted], _of_endings(unlisted, endings)
        why = (
            f"not listed in {manifest}; add what belongs there, or pass manifest=False to take "
            "the genres from the subfolders"
        )
        group_by = group_by if by_path else column

    counts = _count_genres(target, source)
    notes = _notes_on_genres(counts)
    if by_path:
        groups, note = _groups_of_files(folder, paths, group_by)
        notes += note
    if lost := _of_endings(music, undecodable):
        notes.append(_cannot_decode(folder, lost))
    if without_genre:
        found = counted(len(without_genre), "audio file")
        notes.append(f"{found} {why}: {_tally(folder, without_genre)}.")
    alike = [] if duplicates == "ignore" else _find_duplicates(paths)
    doubled = _notes_on_duplicates(paths, target, groups, alike)
    if doubled and duplicates == "raise":
        message = f"{folder}: {' '.join(doubled)} Or pass duplicates='warn' to load them all."
        raise ValueError(printable(message))
    if doubled:
        notes += [*doubled, "duplicates='ignore' silences this."]
    if notes:
        warnings.warn(printable(f"{source}: {' '.join(notes)}"), UserWarning, stacklevel=2)
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
    """Return the audio files below a folder, and what music is left out, with reasons.

    Walks as :func:`load_audio_folder` does. Left out are files of a format without a decoder and
    folders that can't be listed.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    paths : list of str
        The files that can be decoded, by their endings, in order.
    left_out : dict of str to str
        Paths of the others and of folders, and why.
    """
    folder = _existing_folder(folder)
    tree, unreadable = _scan(folder)
    paths, left_out = [], {path: _unreadable_folder(path).reason for path in unreadable}
    for path in (path for files in tree.values() for path in files):
        if _of_endings([path], decodable_extensions()):
            paths.append(path)
        elif _of_endings([path], undecodable_extensions()):
            left_out[path] = f"no decoder for {Path(path).suffix.lower()}. {_advice([path])}"
    return paths, left_out


def _genre_names(genres) -> list[str] | None:
    if isinstance(genres, Iterable) and not isinstance(genres, str):
        genres = list(genres)
    is_list = isinstance(genres, list) and genres and all(isinstance(one, str) for one in genres)
    if genres is not None and not is_list:
        raise ValueError(f"genres={genres!r}; pass a list of names, or None for all genres.")
    return genres and sorted({nfc(genre) for genre in genres})


def _check_arguments(manifest, extensions, group_by, duplicates) -> None:
    if not (manifest is None or manifest is False or isinstance(manifest, str | os.PathLike)):
        raise ValueError(
            f"manifest={manifest!r}; pass the path of a CSV file, None for the folder's own "
            "manifest.csv, or False for none."
        )
    if isinstance(extensions, str):
        raise ValueError(f"extensions={extensions!r} is one string; pass e.g. ({extensions!r},).")
    if extensions is not None and not len(extensions):
        raise ValueError("extensions is empty; pass e.g. ('.wav',), or None for all.")
    if not isinstance(group_by, str | None):
        raise ValueError(
            f"group_by={group_by!r}; expected the name of one column, a pattern of paths such as "
            "'{genre}/{artist}/*', 'tags:artist', 'auto' or None."
        )
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
        found = tree.setdefault(nfc(name), [])
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
            found += [os.path.join(place, one) for one in files if _visible(one)]
        found.sort(key=Path)
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
    folder: Path, tree, unreadable, genres, endings, undecodable
) -> tuple[np.ndarray, np.ndarray]:
    found = [name for name in tree if name]
    if not found:
        raise ValueError(
            f"{folder}: found {len(tree[''])} files but no subfolder. Put each genre's clips into "
            "a subfolder named after the genre, or pass a manifest that gives the genres."
        )
    wanted = _require_genres(folder, genres, found)
    for path in unreadable:
        if nfc(Path(path).relative_to(folder).parts[0]) in wanted:
            raise _unreadable_folder(path)

    clips = {genre: _of_endings(tree[genre], endings) for genre in wanted}
    without = [genre for genre in wanted if not clips[genre]]
    if without:
        message = (
            f"{folder}: no audio file in {len(without)} of {len(wanted)} subfolders: {without}. "
        )
        if empty := [genre for genre in without if not tree[genre]]:
            full = [genre for genre in wanted if clips[genre]]
            message += f"{empty} hold no files at all: delete them, or pass genres={full}. "
        message += (
            f"Accepted endings are {', '.join(endings)}; pass extensions= for others, or genres= "
            "to load some of the subfolders only."
        )
        if lost := [path for genre in without for path in _of_endings(tree[genre], undecodable)]:
            message += f" {_cannot_decode(folder, lost)}"
        raise ValueError(message)
    target = [genre for genre in wanted for _ in clips[genre]]
    return np.array([path for genre in wanted for path in clips[genre]]), np.array(target)


def _of_endings(paths: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    return [str(path) for path in paths if str(path).lower().endswith(endings)]


def _cannot_decode(folder: Path, paths: list[str]) -> str:
    found = counted(len(paths), "music file")
    return f"{found} can't be decoded: {_tally(folder, paths)}. {_advice(paths)}"


def _advice(paths: list[str]) -> str:
    install = ", or pip install av and load again" if _of_endings(paths, FFMPEG_EXTENSIONS) else ""
    them = "it" if len(paths) == 1 else "them"
    return f"Convert {them}, for example to flac{install}."


def _tally(folder: Path, paths: list[str]) -> str:
    """Count files by the first folder of their path and by ending."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        parts = Path(os.path.relpath(path, folder)).parts
        place = parts[0] if len(parts) > 1 else "in no subfolder"
        counts[place][Path(path).suffix.lower()] += 1
    return ", ".join(
        f"{place} ({', '.join(f'{count} {ending}' for ending, count in sorted(some.items()))})"
        for place, some in counts.items()
    )


def _require_genres(source: Path, genres: list[str] | None, found: list[str]) -> list[str]:
    """Return the genres to load, in order; raise if one of those asked for isn't there."""
    missing = sorted(set(genres or ()) - set(found))
    if missing:
        raise ValueError(f"{source}: no genre {missing} here; found {sorted(found)}.")
    return genres or sorted(found)


def _count_genres(target: np.ndarray, source: Path) -> dict[str, int]:
    """Return clips per genre, alphabetically."""
    counts = dict(sorted(Counter(str(genre) for genre in target).items()))
    if len(counts) < 2:
        raise ValueError(
            f"{source}: found one genre only, {next(iter(counts))!r} with {len(target)} clips; a "
            "classifier needs two or more. Pass the folder above, or one subfolder per genre."
        )
    return counts


def _notes_on_genres(counts: dict[str, int]) -> list[str]:
    notes = []
    if single := [genre for genre, count in counts.items() if count == 1]:
        notes.append(
            f"a single clip of {single}; it can't be in training and in test data. "
            "Add clips, or choose genres=."
        )
    alike = defaultdict(list)
    for genre in counts:
        alike[re.sub(r"[\W_]+", "", genre.casefold()) or genre].append(genre)
    if variants := [genres for genres in alike.values() if len(genres) > 1]:
        notes.append(
            "genres that differ in case, space or hyphen only: "
            f"{'; '.join(', '.join(map(repr, genres)) for genres in variants)}. Give them one "
            "spelling if they are one."
        )
    if missing := [genre for genre in counts if genre.casefold() in ("nan", "none", "null", "n/a")]:
        notes.append(
            f"a genre {', '.join(map(repr, missing))}, which looks like a missing value; leave "
            "these clips out if it is."
        )
    return notes


def _groups_of_files(folder: Path, paths: np.ndarray, by: str) -> tuple[np.ndarray, list[str]]:
    """Return groups by tags or by a pattern of paths, and what to say of clips without one."""
    names = [Path(os.path.relpath(path, folder)).as_posix() for path in paths]
    if by.startswith("tags:"):
        tag = by.removeprefix("tags:").strip()
        values = [_tag(path, tag) for path in paths]
        lack, help = f"have no tag {tag!r}", "name another tag, or see that PyAV is installed"
    else:
        expression = _path_pattern(by)
        matches = [expression.fullmatch(name) for name in names]
        values = [match[1] if match else "" for match in matches]
        lack, help = f"don't match group_by={by!r}", "paths are such as " + names[0]
    groups = [nfc(value) for value in values]
    without = [name for name, group in zip(names, groups) if not group]
    if len(without) == len(names):
        raise ValueError(f"{folder}: all {len(names)} clips {lack}; {help}.")
    if not without:
        return np.array(groups), []
    shown = ", ".join(without[:_MOST_SHOWN]) + ", ..." * (len(without) > _MOST_SHOWN)
    note = f"{len(without)} of {len(names)} clips {lack}, so each is a group of its own: {shown}."
    return np.array([group or name for group, name in zip(groups, names)]), [note]


def _path_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression whose first group is the first field other than {genre}."""
    fields = [name for name in re.findall(r"\{(\w+)\}", pattern) if name != "genre"]
    if not fields:
        raise ValueError(
            f"group_by={pattern!r} names no part of the path to group by; expected a pattern such "
            "as '{genre}/{artist}/*'."
        )
    expression, field = "", f"{{{fields[0]}}}"
    for part in re.split(r"(\{\w+\}|\*\*|\*)", pattern):
        if part == field:
            expression, field = expression + "([^/]+?)", ""
        elif part.startswith("{"):
            expression += "[^/]+?"
        else:
            expression += {"*": "[^/]*", "**": ".*"}.get(part, re.escape(part))
    return re.compile(expression)


def _tag(path: str, name: str) -> str:
    """Return a tag of a file, by FFmpeg where it is installed; empty if there is none."""
    with contextlib.suppress(ImportError):
        import av

        with contextlib.suppress(av.FFmpegError, OSError), av.open(str(path)) as container:
            for tags in (container.metadata, *(stream.metadata for stream in container.streams)):
                for key, value in tags.items():
                    if key.casefold().replace("_", "") == name.casefold().replace("_", ""):
                        return value.strip()
        return ""
    with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(path) as file:
        return file.copy_metadata().get(name.casefold(), "").strip()
    return ""


def _find_duplicates(paths: np.ndarray) -> list[list[int]]:
    """Return sets of rows whose files hold the same bytes: of one size, and of one digest."""
    by_size = _rows_by(paths, range(len(paths)), os.path.getsize)
    return sorted(
        rows for same in by_size.values() for rows in _rows_by(paths, same, _digest).values()
    )


def _rows_by(paths: np.ndarray, rows: Iterable[int], key) -> dict[object, list[int]]:
    """Return sets of two or more rows whose files have the same key; those without one are left."""
    found = defaultdict(list)
    for row in rows:
        with contextlib.suppress(OSError):  # what can't be read is reported when it is decoded
            if os.path.isfile(paths[row]) and (value := key(paths[row])):
                found[value].append(row)
    return {value: same for value, same in found.items() if len(same) > 1}


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _notes_on_duplicates(paths, target, groups, duplicates: list[list[int]]) -> list[str]:
    """Say which clips have the same content; in one genre and group they do no harm."""
    contradictions = [rows for rows in duplicates if len(set(target[rows])) > 1]
    repetitions = [
        rows
        for rows in duplicates
        if len(set(target[rows])) == 1 and (groups is None or len(set(groups[rows])) > 1)
    ]
    notes = []
    for found, where, advice in (
        (
            contradictions,
            "under different genres",
            "At most one of the genres is right: remove the others.",
        ),
        (
            repetitions,
            "more than once in its genre",
            "In training and in test data it flatters the score: keep one, or give all of them one "
            "group by a manifest.",
        ),
    ):
        if found:
            shown = [
                " = ".join(f"{paths[row]} ({target[row]})" for row in rows)
                for rows in found[:_MOST_SHOWN]
            ]
            if len(found) > _MOST_SHOWN:
                shown.append(f"and {len(found) - _MOST_SHOWN} more in `duplicates`")
            notes.append(
                f"the same audio {where}, {counted(len(found), 'time')}: {', '.join(shown)}. "
                f"{advice}"
            )
    return notes


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
