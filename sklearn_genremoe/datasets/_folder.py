"""Labelled clips from a folder of one's own."""

import contextlib
import hashlib
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import soundfile

from .._clips import some_rows
from .._compat import Options
from .._fields import checked
from .._files import user_path
from ..audio import BadClipError
from ._bunch import counted, counts, described, nfc, printable
from ._manifest import GROUP_COLUMNS, read_manifest

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

_UNREADABLE = "the folder can't be read; get permission to list it, or leave it out by genres=."
_EXPECTED = "Pass a folder with one subfolder of clips per genre, or with a manifest."

#: Music as notes for synthesizers and trackers, which has to be rendered first.
SCORE_EXTENSIONS = (".mid", ".midi", ".mod", ".xm", ".s3m", ".it")


def _extensions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the endings of music that can be decoded with what is installed, and of other."""
    if find_spec("av"):
        return AUDIO_EXTENSIONS + FFMPEG_EXTENSIONS, SCORE_EXTENSIONS
    return AUDIO_EXTENSIONS, SCORE_EXTENSIONS + FFMPEG_EXTENSIONS


@checked
def load_audio_folder(
    folder,
    *,
    manifest: str | os.PathLike | Annotated[bool, Options(bool, {False})] | None = None,
    genres: Iterable | None = None,
    extensions: Sequence | None = None,
    group_by: str | None = "auto",
    duplicates: Literal["warn", "raise", "ignore"] = "warn",
    return_X_y=False,
):
    """Load the paths and genres of a folder of audio clips.

    Without a manifest, each subfolder is a genre and holds its clips, at any depth::

        folder/
            folk/      a.ogg  b.mp3  live/c.flac
            rock/      d.wav  e.wav

    With a manifest, a CSV table names the clips, their genres and whatever else is known; a
    ``manifest.csv`` in the folder is taken by itself. Links to folders are followed, each folder
    once per genre; hidden folders and ``__MACOSX`` are passed over. Nothing is decoded here.

    Parameters
    ----------
    folder : str or Path
        The folder with the clips.
    manifest : str, Path or False, default=None
        A table with a header and the columns ``path`` (relative to `folder`) and ``genre``,
        separated by commas, semicolons or tabs, in UTF-8, or in UTF-16 with a byte-order mark;
        looked for in `folder` first. None means ``manifest.csv`` if `folder` holds one; False means
        the subfolders.
    genres : iterable of str, default=None
        The genres to load. None means all of them.
    extensions : collection of str, default=None
        File name endings, in any case, that make a file a clip. None means all that can be
        decoded: wav, flac, ogg, mp3 and others, and with PyAV (``pip install av``) also m4a, wma,
        videos and more. A manifest's clips are taken whatever their ending.
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
            The visible files below `folder` that are not among the clips, such as covers and
            genres that were not asked for, and folders that can't be read.
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
        If there are fewer than two genres, a genre is missing or holds no clip, a folder can't be
        read, the manifest is not as described, no clip has a group, or duplicates are refused.

    Warns
    -----
    UserWarning
        Once, of all of this: a genre has a single clip; genres differ in case, space or hyphens
        only, or look like a missing value; music was left out, because it can't be decoded, lies
        beside the genre folders or isn't listed in ``manifest.csv``; clips have no group, or the
        same content.

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
    """
    folder = _existing_folder(folder)
    is_own = manifest is None and os.path.isfile(folder / "manifest.csv")
    manifest = _existing_manifest("manifest.csv" if is_own else manifest, folder)
    source = manifest or folder
    tree, unreadable = _scan(folder)
    endings, undecodable = _extensions() if extensions is None else (extensions, ())
    if not all(isinstance(ending, str) for ending in endings):
        raise ValueError(f"extensions={extensions!r}; pass a list of endings, such as ['.wav'].")
    endings = tuple(ending.lower() for ending in endings)
    if manifest is None:
        wanted = _wanted_genres(folder, genres, [name for name in tree if name])
        _require_clips(folder, tree, unreadable, wanted, endings, undecodable)
        clips = [(path, genre) for genre in wanted for path in _of_endings(tree[genre], endings)]
        table = dict(zip(("path", "genre"), np.array(clips, dtype=str).reshape(-1, 2).T))
        music = [path for genre in wanted for path in tree[genre]]
        stray, why = tree[""], "beside the genre folders; move what has a genre into its folder"
    else:
        try:
            table = read_manifest(manifest, folder)
        except (ValueError, FileNotFoundError) as error:
            hint = "Or pass manifest=False to take the genres from the subfolders."
            raise type(error)(f"{manifest}: {error} {hint}") from None
        wanted = _wanted_genres(manifest, genres, table["genre"].tolist())
        listed = set(map(os.path.realpath, table["path"]))
        rows = np.isin(table["genre"], wanted)
        table = {name: values[rows] for name, values in table.items()}
        music = table["path"].tolist()
        everything = chain(*tree.values()) if is_own else ()
        stray = [path for path in everything if os.path.realpath(path) not in listed]
        why = f"not listed in {manifest}; list what belongs there, or pass manifest=False"
    if len(wanted) < 2:
        found = f"{source}: found {counted(len(wanted), 'genre')}, {wanted}"
        raise ValueError(f"{found}; a classifier needs two or more. {_EXPECTED}")
    if group_by == "auto":
        group_by = next((name for name in GROUP_COLUMNS if name in table), None)
    groups, notes_on_groups = _find_groups(folder, manifest, table, group_by)
    paths, target = table.pop("path"), table.pop("genre")
    notes = _notes_on_genres(target) + notes_on_groups
    notes += _notes_on_undecodable(folder, _of_endings(music, undecodable))
    notes += _notes_on_files(folder, _of_endings(stray, endings + undecodable), why)
    alike = [] if duplicates == "ignore" else _find_duplicates(paths)
    if doubled := _note_on_duplicates(paths, target, groups, alike):
        notes += [doubled, "duplicates='ignore' silences this."]
        if duplicates == "raise":
            found = f"{folder}: {doubled} Or pass duplicates='warn' to load them."
            raise ValueError(printable(found))
    if notes:
        warnings.warn(printable(f"{source}: {' '.join(notes)}"), UserWarning, stacklevel=3)
    if return_X_y:
        return paths, target
    ignored = sorted(set(chain(*tree.values())) - {*paths.tolist(), str(manifest)}) + unreadable
    facts = {
        "Genres": f"from {manifest or 'the names of the subfolders'}",
        "Groups": "none known" if groups is None else f"{len(set(groups))} by {group_by!r}",
        "Other columns of the manifest": ", ".join(table) or "none",
        "Ignored": f"{counted(len(ignored), 'file')} not among the clips",
    }
    columns: dict[str, Any] = {"groups": groups, "metadata": table, "ignored": ignored}
    columns["duplicates"] = [paths[rows].tolist() for rows in alike]
    return described(folder, paths, target, facts, **columns)


def find_audio_files(*places) -> tuple[list[str], dict[str, str]]:
    """Return files as they are and the audio files in folders, and what is left out, with reasons.

    Walks as :func:`load_audio_folder` does. Left out are files of a format without a decoder and
    folders that can't be listed.
    """
    files: dict[str, None] = {}
    left_out: dict[str, str] = {}
    decodable, undecodable = _extensions()
    for place in map(user_path, places):
        tree, unreadable = _scan(place.absolute()) if os.path.isdir(place) else ({}, [])
        inside = list(chain(*tree.values()))
        if tree and not unreadable and not _of_endings(inside, decodable + undecodable):
            raise ValueError(f"{place} holds no audio files.")
        files |= dict.fromkeys(_of_endings(inside, decodable) if tree else [str(place)])
        left_out |= dict.fromkeys(unreadable, _UNREADABLE)
        for path in _of_endings(inside, undecodable):
            left_out[path] = f"no decoder for {Path(path).suffix.lower()}. {_advice([path])}"
    return list(files), left_out


def _existing_folder(folder) -> Path:
    path = user_path(folder).absolute()
    # Not Path.is_dir, which raises an OSError for names that are too long or may not be looked at.
    if os.path.isdir(path):
        return path
    exists = os.path.exists(path)
    found = "is a file" if exists else "no such folder"
    raise (NotADirectoryError if exists else FileNotFoundError)(f"{path}: {found}. {_EXPECTED}")


def _existing_manifest(manifest, folder: Path) -> Path | None:
    if manifest is None or manifest is False:
        return None
    for path in (folder / manifest, user_path(manifest).absolute()):
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"manifest {str(manifest)!r} not found; looked for it in {folder} too.")


def _scan(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return the visible files, by subfolder ("" for none), and the folders that can't be read."""
    errors: list[OSError] = []
    tree: dict[str, list[str]] = {}
    real = Path(os.path.realpath(folder))
    # Links are followed, so a folder may come up within itself, or twice.
    seen: dict[str, set[str]] = defaultdict(lambda: {str(real), *map(str, real.parents)})
    for place, below, files in os.walk(folder, onerror=errors.append, followlinks=True):
        top = Path(place).relative_to(folder).parts[:1]
        found = tree.setdefault(nfc("".join(top)), [])
        found += [os.path.join(place, name) for name in files if _visible(name)]
        names, below[:] = sorted(filter(_visible, below)), []
        for name in names:
            genre, target = nfc((*top, name)[0]), os.path.realpath(os.path.join(place, name))
            tree.setdefault(genre, [])
            if target not in seen[genre]:
                seen[genre].add(target)
                below.append(name)
    if not tree:
        raise BadClipError(str(folder), _UNREADABLE)
    for files in tree.values():
        files.sort(key=Path)
    return tree, [str(error.filename) for error in errors]


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _wanted_genres(source: Path, genres, found: list[str]) -> list[str]:
    """Return the genres to load, in order; raise if one of those asked for isn't there."""
    if genres is None:
        return sorted(set(found))
    names = [] if isinstance(genres, str) else list(genres)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"genres={genres!r}; pass a list of names, or None for all genres.")
    wanted = sorted(set(map(nfc, names)))
    if missing := sorted(set(wanted) - set(found)):
        raise ValueError(f"{source}: no genre {missing} here; found {sorted(set(found))}.")
    return wanted


def _require_clips(folder: Path, tree, unreadable, wanted, endings, undecodable) -> None:
    """Raise for a subfolder that can't be read, or holds no clips."""
    for path in unreadable:
        if nfc(Path(path).relative_to(folder).parts[0]) in wanted:
            raise BadClipError(path, _UNREADABLE)
    if without := [genre for genre in wanted if not _of_endings(tree[genre], endings)]:
        full = [genre for genre in wanted if genre not in without]
        lost = _of_endings(chain(*(tree[genre] for genre in without)), undecodable)
        found = f"{folder}: no audio file in {len(without)} of {len(wanted)} subfolders: {without}"
        advice = (
            f"Delete them, or pass genres={full}, or other extensions= than {', '.join(endings)}"
        )
        raise ValueError(f"{found}. {advice}. {' '.join(_notes_on_undecodable(folder, lost))}")


def _of_endings(paths: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    return [path for path in paths if path.lower().endswith(endings)]


def _notes_on_files(folder: Path, paths: list[str], why: str, *others: str) -> list[str]:
    """Count files by the first folder of their path and by ending: "folk/*.m4a (2)"."""
    names = [Path(os.path.relpath(path, folder)) for path in paths]
    tally = counts(str(Path(*n.parts[:-1][:1], "*")) + n.suffix.lower() for n in names)
    note = f"{counted(len(paths), 'audio file')} {why}: {', '.join(tally)}."
    return [note, *others] if paths else []


def _notes_on_undecodable(folder: Path, paths: list[str]) -> list[str]:
    return _notes_on_files(folder, paths, "can't be decoded", _advice(paths))


def _advice(paths: list[str]) -> str:
    install = ", or pip install av and load again" if _of_endings(paths, FFMPEG_EXTENSIONS) else ""
    return f"Convert such files, for example to flac{install}."


def _notes_on_genres(target: np.ndarray) -> list[str]:
    clips = Counter(target.tolist())
    alike = defaultdict(list)
    for genre in sorted(clips):
        alike[re.sub(r"[\W_]+", "", genre.casefold()) or genre].append(genre)
    single = sorted(genre for genre, count in clips.items() if count == 1)
    variants = str([genres for genres in alike.values() if len(genres) > 1])[1:-1]
    missing = [genre for genre in clips if genre.casefold() in ("nan", "none", "null", "n/a")]
    notes = {
        f"a single clip of {single}; add clips, or choose genres=.": single,
        f"genres that differ in case, space or hyphen only: {variants}. Give them one spelling if "
        "they are one.": variants,
        f"genres {missing}, which look like missing values; leave these clips out.": missing,
    }
    return [note for note, found in notes.items() if found]


def _find_groups(
    folder: Path, manifest: Path | None, table: dict[str, np.ndarray], by: str | None
) -> tuple[np.ndarray | None, list[str]]:
    """Return groups by a column, by tags or by paths, and what to say of clips without one."""
    if by is None:
        return None, []
    names = [Path(os.path.relpath(path, folder)).as_posix() for path in table["path"]]
    advice = "pass group_by=None, a full column, 'tags:artist' or a pattern as '{genre}/{artist}/*'"
    if by in table:
        groups, lack = table[by].tolist(), f"have no value in column {by!r}"
    elif by.startswith("tags:"):
        tag = by.removeprefix("tags:").strip()
        groups, lack = [nfc(_tag(path, tag)) for path in table["path"]], f"have no tag {tag!r}"
    elif "{" in by:
        matches = map(_path_pattern(by).fullmatch, names)
        groups, lack = [nfc(m[1]) if m else "" for m in matches], f"don't match group_by={by!r}"
    else:
        found = f"no column {by!r} to group by; found {list(table) if manifest else 'no manifest'}"
        raise ValueError(f"{manifest or folder}: {found}; {advice}")
    without = [name for name, group in zip(names, groups) if not group]
    found = f"{len(without)} of {len(names)} clips {lack}"
    if without and (by in table or len(without) == len(names)):
        raise ValueError(f"{manifest or folder}: {found}: {some_rows(without)}; {advice}")
    notes = [f"{found}, so each is a group of its own: {some_rows(without)}."] if without else []
    return np.array([group or name for group, name in zip(groups, names)]), notes


def _path_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression whose first group is the first field other than {genre}."""
    fields = [field for field in re.findall(r"\{\w+\}", pattern) if field != "{genre}"]
    if not fields:
        found = f"group_by={pattern!r} names no part of the path to group by"
        raise ValueError(found + "; expected a pattern such as '{genre}/{artist}/*'.")
    wild = {fields[0]: "([^/]+?)", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(\{\w+\}|\*\*|\*)", pattern)
    others = ("[^/]+?" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile("".join(wild.get(part, other) for part, other in zip(parts, others)))


def _tag(path: str, name: str) -> str:
    """Return a tag of a file, by FFmpeg where it is installed; empty if there is none."""
    tags: dict[str, str] = {}
    with contextlib.suppress(Exception):  # whatever is wrong is reported when it is decoded
        if find_spec("av"):
            import av

            with av.open(path) as file:
                for one in (*file.streams, file):
                    tags |= one.metadata
        else:
            with soundfile.SoundFile(path) as file:
                tags = file.copy_metadata()
    found = {key.casefold().replace("_", ""): value.strip() for key, value in tags.items()}
    return found.get(name.casefold().replace("_", ""), "")


def _find_duplicates(paths: np.ndarray) -> list[list[int]]:
    """Return sets of rows whose files hold the same bytes: of one size, and of one digest."""
    sets = [list(range(len(paths)))]
    for key in (os.path.getsize, _digest):
        found = defaultdict(list)
        for number, rows in enumerate(sets):
            for row in rows:
                with contextlib.suppress(OSError):  # reported when it is decoded
                    found[number, key(paths[row])].append(row)
        sets = [rows for (_, value), rows in found.items() if value and len(rows) > 1]
    return sorted(sets)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _note_on_duplicates(paths, target, groups, alike: list[list[int]]) -> str:
    """Say which clips have the same content; in one genre and group they do no harm."""
    shown = [
        " = ".join(f"{paths[row]} ({target[row]})" for row in rows)
        for rows in alike
        if groups is None or len(set(zip(target[rows], groups[rows]))) > 1
    ]
    how = "the same audio under different genres, or more than once in its genre"
    advice = "At most one genre is right; in one genre it flatters the score"
    found = f"{how}, {counted(len(shown), 'time')}: {some_rows(shown)}"
    return f"{found}. {advice}: keep one, or give all one group." if shown else ""
