"""Train on a folder and classify files from the command line: ``python -m sklearn_genremoe``."""

import argparse
import csv
import io
import os
import sys
import warnings
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
from ._archive import write_atomically
from .audio import BadClipWarning
from .datasets import decodable_extensions, load_audio_folder

# Files that are classified between two steps of the progress bar, and per job.
_CHUNK = 8
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
    with warnings.catch_warnings():
        warnings.showwarning = _show
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", BadClipWarning)  # listed by their paths
        try:
            return options.command(options)
        except KeyboardInterrupt:
            print("interrupted; nothing was written", file=sys.stderr)
            return INTERRUPTED
        except (ValueError, OSError, ImportError) as error:
            print(f"error: {error}", file=sys.stderr)
            return REFUSED


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
        "--trusted", nargs="+", default=[], metavar="TYPE", help="what else the model may name"
    )
    predict.set_defaults(command=_predict)

    train = commands.add_parser("train", help="train a mixture on a folder, and save it")
    train.add_argument("folder", type=Path, help="a subfolder per genre, or with a manifest.csv")
    train.add_argument("--out", type=Path, required=True, help="where to save the model, *.skops")
    train.add_argument(
        "--groups", default="auto", metavar="COLUMN", help="what must stay together, as artist"
    )
    train.add_argument("--cv", type=int, default=5, help="folds for the score; 0 for no score")
    train.add_argument("--duration", type=float, default=30.0, help="seconds of each file")
    train.add_argument("--max-epochs", type=int, default=None, help="of each network")
    train.add_argument("--pretrained", action="store_true", help="add the expert from AudioSet")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(command=_train)

    for command in (predict, train):
        command.add_argument("--n-jobs", type=int, default=None, help="parallel jobs, -1 for all")
    versions = commands.add_parser("versions", help="say what a report of a problem should say")
    versions.set_defaults(command=lambda options: show_versions() or ALL_FINE)
    return parser


def _predict(options) -> int:
    from tqdm import tqdm

    _check_out(options.out)
    model = load_model(options.model, trusted=options.trusted)
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
            proba, errors = _proba(model, some)
            for row, path in enumerate(some):
                error = errors.get(row, "")
                bad |= {path: error} if error else {}
                genre = "" if error else model.classes_[proba[row].argmax()]
                numbers = ["" if error else f"{p:.6f}" for p in proba[row]]
                rows.append([path, genre, *numbers, error])
            bar.update(len(some))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "genre", *model.classes_, "error"])
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
        if len(paths) == 1:
            return np.full((1, len(model.classes_)), np.nan), {0: _reason(str(error), paths[0])}
        parts = [_proba(model, [path]) for path in paths]
        proba = np.concatenate([part for part, _ in parts])
        bad = {row: errors[0] for row, (_, errors) in enumerate(parts) if errors}
    unexplained = set(np.flatnonzero(np.isnan(proba).any(axis=1))) - set(bad)
    return proba, bad | dict.fromkeys(unexplained, "can't be used")


def _train(options) -> int:
    import sklearn
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    _check_out(options.out)
    clips = load_audio_folder(options.folder, group_by=options.groups)
    print(clips.DESCR)
    of_networks = {} if options.max_epochs is None else {"max_epochs": options.max_epochs}
    make = pretrained_experts if options.pretrained else default_experts
    clf = MixtureOfExpertsClassifier(
        make(options.duration, **of_networks),
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
    if options.cv:
        grouped = groups is not None
        splitter = (
            StratifiedGroupKFold(options.cv)
            if grouped
            else StratifiedKFold(options.cv, shuffle=True, random_state=options.seed)
        )
        with sklearn.config_context(enable_metadata_routing=True):
            params = {"groups": groups} if grouped else None
            right = y == cross_val_predict(clf, batch, y, cv=splitter, params=params)
        low, high = _interval(right, groups, options.seed)
        print(
            f"accuracy on clips that were not trained on, {options.cv} folds"
            f"{' of whole groups' if grouped else ''}: {right.mean():.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}; "
            f"always the most frequent genre: {_majority(y):.3f})"
        )
    clf.fit(batch, y, groups=groups)
    clf.set_params(verbose=0)
    save_model(clf, options.out)
    print(f"trained on {len(y)} clips, {len(bad)} bad: {options.out}")
    return _report(bad)


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
    """Return files as they are, and those audio files that folders hold, at any depth."""
    found: dict[str, None] = {}
    for path in given:
        inside = (
            sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in decodable_extensions() and file.is_file()
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


def _report(bad) -> int:
    for path, error in bad.items():
        print(f"bad: {path}: {error}", file=sys.stderr)
    return SOME_BAD if bad else ALL_FINE


def _reason(text, path) -> str:
    """Return what is the matter with a file without its path, in one line."""
    return " ".join(text.removeprefix(f"{path}: ").split())


def _show(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
