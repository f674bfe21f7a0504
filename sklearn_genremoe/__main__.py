"""Train on a folder and classify files from the command line: ``python -m sklearn_genremoe``."""

import _thread
import argparse
import csv
import io
import os
import re
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from . import (
    MixtureOfExpertsClassifier,
    default_experts,
    load_model,
    pretrained_experts,
    save_model,
    show_versions,
)
from ._files import write_atomically
from .audio import BadClipError, BadClipWarning
from .datasets import decodable_extensions, load_audio_folder

# Files that are classified between two steps of the progress bar, and per job.
_CHUNK = 8

# How each line of the table of predictions begins.
_TABLE = ("path", "genre")

# Folds in which the mixer gets to see what experts predict, where there are clips enough.
_MIXER_FOLDS = 5
# What the library calls its arguments, and what they are called here.
_OPTIONS = {
    r"load_model\(file, weights=.*?\)|weights='/path/to/.*?'": "--weights FILE",
    r"one of these names or the path of a file with weights \(.*?\)": "the file by --weights FILE",
    r"weights=('.*?')": r"--weights \1",
    r"; manifest=False takes the subfolders instead": "",
    r",? [Oo]r pass manifest=False to take the genres from the subfolders\.?": "",
    r"but manifest=None and (.*?) holds no manifest.csv, or manifest=False; pass the CSV file with "
    r"that column": r"but \1 holds no manifest.csv; add one with that column",
    r", or choose genres=": ", or take the genre out of the folder",
    r"take another part of it by offset, or ": "",
    r"group_by=None": "--groups none",
    r"group_by": "--groups",
}
ALL_FINE, SOME_BAD, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str, default=None
        The arguments; None means those of the process.

    Returns
    -------
    code : int
        0 if all is well, 1 if some files could not be used, 2 if nothing was done for what was
        given can't be used, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings(), _interrupts_are_kept():
        warnings.showwarning = _show
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", BadClipWarning)  # listed by their paths
        try:
            return options.command(options)
        except KeyboardInterrupt:
            print("interrupted; nothing was written", file=sys.stderr)
            return INTERRUPTED
        except (ValueError, OSError, ImportError) as error:
            print(f"error: {_in_options(error)}", file=sys.stderr)
            return REFUSED


@contextmanager
def _interrupts_are_kept() -> Iterator[None]:
    """Interrupt anew if Ctrl-C comes while an object is cleared away, where Python ignores it."""

    def again(unraisable) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(0.1, _thread.interrupt_main).start()
        else:
            before(unraisable)

    before, sys.unraisablehook = sys.unraisablehook, again
    try:
        yield
    finally:
        sys.unraisablehook = before


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_genremoe", description="Genres of music: train, and classify files."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="classify files with a saved model")
    predict.add_argument("model", type=Path, help="a file that train or save_model wrote")
    predict.add_argument("files", type=Path, nargs="+", help="audio files, or folders of them")
    predict.add_argument(
        "--out", type=Path, default=None, help="the table (CSV); else it's printed"
    )
    predict.add_argument(
        "--trusted",
        type=lambda text: text.split(","),
        action="extend",
        default=[],
        metavar="TYPE,...",
        help="what else the model may name",
    )
    predict.set_defaults(command=_predict)

    train = commands.add_parser("train", help="train a mixture on a folder, and save it")
    train.add_argument("folder", type=Path, help="a subfolder per genre, or with a manifest.csv")
    train.add_argument("--out", type=Path, required=True, help="where to save the model, *.skops")
    train.add_argument(
        "--groups",
        default="auto",
        metavar="COLUMN",
        help="what must stay together, as artist; none for no groups",
    )
    train.add_argument("--cv", type=int, default=5, help="folds for the score; 0 for no score")
    train.add_argument("--duration", type=float, default=30.0, help="seconds of each file")
    train.add_argument("--max-epochs", type=int, default=None, help="of each network")
    train.add_argument("--pretrained", action="store_true", help="add the expert from AudioSet")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(command=_train)

    for command in (predict, train):
        command.add_argument("--n-jobs", type=int, default=None, help="parallel jobs, -1 for all")
        command.add_argument(
            "--weights",
            default=None,
            metavar="FILE",
            help="where the network from AudioSet is, unless it's to be downloaded"
            if command is train
            else "where the network from AudioSet is now, if the model was saved with a file",
        )
    versions = commands.add_parser("versions", help="say what a report of a problem should say")
    versions.set_defaults(command=lambda options: show_versions() or ALL_FINE)
    return parser


def _predict(options) -> int:
    from tqdm import tqdm

    _check_out(options.out)
    if options.out is not None and options.out.is_file() and not _is_table(options.out):
        raise ValueError(
            f"--out {options.out} is there already, and no table of an earlier prediction: give "
            "the name of a new file, then the files to classify."
        )
    model = load_model(options.model, trusted=options.trusted, weights=options.weights)
    params = {"on_error": "warn", "n_jobs": options.n_jobs}
    known = model.get_params(deep=False)
    model.set_params(**{name: params[name] for name in params if name in known})
    paths = _audio_files(options.files)
    rows: list[list[object]] = []
    bad: dict[str, str] = {}
    chunk = _CHUNK * max(1, options.n_jobs or 1)
    with tqdm(total=len(paths), unit="file", disable=None) as bar:
        for start in range(0, len(paths), chunk):
            some = paths[start : start + chunk]
            try:
                proba, errors = _proba(model, some)
            except ValueError as refusal:
                raise ValueError(f"{options.model} can't classify files: {refusal}") from refusal
            for row, path in enumerate(some):
                error = errors.get(row, "")
                bad |= {path: error} if error else {}
                genre = "" if error else model.classes_[proba[row].argmax()]
                numbers = ["" if error else f"{p:.6f}" for p in proba[row]]
                rows.append([path, genre, *numbers, error])
            bar.update(len(some))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_TABLE, *model.classes_, "error"])
    writer.writerows(rows)
    if options.out is None:
        print(text.getvalue(), end="")
    else:
        write_atomically(options.out, text.getvalue().encode("utf-8", "surrogateescape"))
        print(f"{len(rows) - len(bad)} files classified, {len(bad)} bad: {options.out}")
    return _report(bad)


def _proba(model, paths) -> tuple[np.ndarray, dict[int, str]]:
    """Return the probabilities of some files, NaN where they are bad, and what is the matter."""
    try:
        proba = model.predict_proba(paths)
        bad = {
            row: _reason(why, paths[row]) for row, why in getattr(model, "bad_clips_", {}).items()
        }
    except ValueError as error:
        if len(paths) > 1:
            return _one_by_one(model, paths)
        if not isinstance(error, BadClipError):
            raise
        proba, bad = _no_answer(model), {0: _reason(str(error), paths[0])}
    unexplained = set(np.flatnonzero(np.isnan(proba).any(axis=1))) - set(bad)
    return proba, bad | dict.fromkeys(unexplained, "can't be used")


def _one_by_one(model, paths) -> tuple[np.ndarray, dict[int, str]]:
    """Return what :func:`_proba` does; what no file of several gets past is no file's fault."""
    answers, others = [], []
    for path in paths:
        try:
            answers.append(_proba(model, [path]))
        except ValueError as error:
            answers.append((_no_answer(model), {0: _reason(str(error), path)}))
            others.append(error)
    if len(others) == len(paths):
        raise others[0]
    proba = np.concatenate([one for one, _ in answers])
    return proba, {row: bad[0] for row, (_, bad) in enumerate(answers) if bad}


def _no_answer(model) -> np.ndarray:
    return np.full((1, len(model.classes_)), np.nan)


def _train(options) -> int:
    import sklearn
    from sklearn.model_selection import cross_val_predict

    _check_out(options.out)
    if options.out.suffix not in (".skops", ""):
        raise ValueError(
            f"--out {options.out}: models are saved in the format of skops, and none other; name "
            f"it {options.out.with_suffix('.skops').name}."
        )
    if options.cv < 0 or options.cv == 1:
        raise ValueError(f"--cv {options.cv}: give 2 folds or more, or 0 for no score.")
    if not options.duration > 0:
        raise ValueError(f"--duration {options.duration:g}: give more than 0 seconds.")
    if options.max_epochs is not None and options.max_epochs < 1:
        raise ValueError(f"--max-epochs {options.max_epochs}: give 1 or more.")
    group_by = None if options.groups == "none" else options.groups
    clips = load_audio_folder(options.folder, group_by=group_by)
    print(_in_options(clips.DESCR))
    _make_folds(clips.target, clips.groups, options)  # before the work, if it is in vain
    of_networks = {} if options.max_epochs is None else {"max_epochs": options.max_epochs}
    if options.pretrained or options.weights:
        weights = options.weights or "mn04"
        experts = pretrained_experts(options.duration, weights=weights, **of_networks)
    else:
        experts = default_experts(options.duration, **of_networks)
    clf = MixtureOfExpertsClassifier(
        experts,
        on_error="warn",
        n_jobs=options.n_jobs,
        random_state=options.seed,
        verbose=int(sys.stderr.isatty()),
    )
    batch = clf.extract(clips.data)
    bad = {clips.data[row]: _reason(why, clips.data[row]) for row, why in batch.bad_clips.items()}
    good = np.setdiff1d(np.arange(len(batch)), list(batch.bad_clips))
    batch, y = batch[good], clips.target[good]
    groups = None if clips.groups is None else clips.groups[good]
    splits, n_folds = _make_folds(y, groups, options)
    clf.set_params(cv=n_folds)  # the model that is saved learns as those that are judged
    if splits:
        with sklearn.config_context(enable_metadata_routing=True):
            params = None if groups is None else {"groups": groups}
            right = y == cross_val_predict(clf, batch, y, cv=splits, params=params)
        low, high = _interval(right, groups, options.seed)
        print(
            f"accuracy on clips that were not trained on, {options.cv} folds"
            f"{'' if groups is None else ' of whole groups'}: {right.mean():.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}; "
            f"always the most frequent genre: {_majority(y):.3f})"
        )
    clf.fit(batch, y, groups=groups)
    clf.set_params(verbose=0)
    save_model(clf, options.out)
    print(f"trained on {len(y)} clips, {len(bad)} bad: {options.out}")
    return _report(bad)


def _make_folds(y, groups, options) -> tuple[list, int]:
    """Return the folds of the score, and in how many folds the mixer can learn in all of them."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    most = [_MIXER_FOLDS, _require_folds(y, groups, 2, ", too few to train on")]
    if not options.cv:
        return [], min(most)
    _require_folds(y, groups, options.cv, f", too few for --cv {options.cv}")
    splitter = (
        StratifiedKFold(options.cv, shuffle=True, random_state=options.seed)
        if groups is None
        else StratifiedGroupKFold(options.cv)
    )
    splits = list(splitter.split(y, y, groups))
    what = f" while one of {options.cv} folds is held out, too few to train on"
    for rows, _ in splits:
        some = None if groups is None else groups[rows]
        most.append(_require_folds(y[rows], some, 2, what))
    return splits, min(most)


def _require_folds(y, groups, n_folds, what) -> int:
    """Return how many folds clips allow with each genre on both sides; raise if too few."""
    limits = [(count, f"genre {genre}: {count} clip(s)") for genre, count in Counter(y).items()]
    if groups is not None:
        n_groups = len(np.unique(groups))
        limits.append((n_groups, f"{n_groups} group(s)"))
        for genre in np.unique(y):
            if len(np.unique(groups[y == genre])) < 2:
                limits.append((1, f"genre {genre}: clips of one group only"))
    most, why = min(limits)
    if most < n_folds:
        raise ValueError(
            f"{why}{what}. Add clips or leave the genre out, take another --cv, or --cv 0 for no "
            f"score{', or other --groups' if groups is not None else ''}."
        )
    return most


def _interval(right, groups, seed) -> tuple[float, float]:
    """Return where the accuracy lies with 95 % probability, by drawing groups anew."""
    rng = np.random.default_rng(seed)
    codes = np.arange(len(right)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_right, n_clips = np.bincount(codes, right), np.bincount(codes)
    drawn = rng.integers(len(n_clips), size=(2000, len(n_clips)))
    low, high = np.quantile(n_right[drawn].sum(axis=1) / n_clips[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _majority(y) -> float:
    return np.unique(y, return_counts=True)[1].max() / len(y)


def _audio_files(given) -> list[str]:
    """Return files as they are, and those audio files, not hidden, that folders hold."""
    found: dict[str, None] = {}
    for path in given:
        inside = (
            sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in decodable_extensions()
                and not re.search(r"/\.|/__MACOSX/", f"/{file.relative_to(path).as_posix()}")
                and file.is_file()
            )
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise ValueError(
                f"{path} holds no audio files; known are {', '.join(decodable_extensions())}."
            )
        found |= dict.fromkeys(map(str, inside))
    return list(found)


def _check_out(path) -> None:
    """Raise before the work if its result can't be written after it."""
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--out {path}: there is no folder {path.parent}; make it first.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise ValueError(f"--out {path}: the folder {path.parent} can't be written to.")


def _is_table(path) -> bool:
    """Tell whether a file is empty or what `predict` has written, which may be replaced."""
    head = _TABLE[0] + "," + _TABLE[1] + ","
    with open(path, "rb") as file:
        return file.read(len(head)) in (b"", head.encode())


def _report(bad) -> int:
    for path, error in bad.items():
        print(f"bad: {path}: {error}", file=sys.stderr)
    return SOME_BAD if bad else ALL_FINE


def _reason(text, path) -> str:
    """Return what is the matter with a file without its path, in one line."""
    return " ".join(text.removeprefix(f"{path}: ").split())


def _show(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {_in_options(message)}", file=sys.stderr)


def _in_options(message) -> str:
    """Return a message of the library in the words of the command line."""
    text = re.sub(
        r"load_model\(file, trusted=\[(.*?)\]\)",
        lambda found: "--trusted " + ",".join(re.findall("'(.*?)'", found[1])),
        str(message),
    )
    for pattern, option in _OPTIONS.items():
        text = re.sub(pattern, option, text)
    return text


if __name__ == "__main__":
    sys.exit(main())
