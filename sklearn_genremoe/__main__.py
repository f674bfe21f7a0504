"""Train on a folder and classify files from the command line: ``python -m sklearn_genremoe``."""

import argparse
import csv
import importlib
import io
import os
import shlex
import sys
import traceback
import warnings
from collections import Counter
from contextlib import nullcontext
from typing import Any

# Everything else is imported where it is needed: --help has to be quick.

_PROGRAM = "python -m sklearn_genremoe"

ALL_FINE, SOME_BAD, REFUSED, INTERRUPTED = 0, 1, 2, 130

_ENCODING: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}

# Files that are classified before their rows are written, at least, and per job.
_MIN_CHUNK, _CHUNK_PER_JOB = 8, 4

_GROUPS = "what stays together: a column, as artist; tags:artist; or none"

# Folds in which the mixer gets to see what experts predict, where there are clips enough.
_MIXER_FOLDS = 5


def main(arguments=None):
    """Run a command; return 0, or 1 if files are bad, 2 if it can't be done, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # None without a console
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    options.line = shlex.join([*_PROGRAM.split(), *given])
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
        warnings.simplefilter("default")
        # Bad clips are listed by their paths.
        warnings.filterwarnings("ignore", r"\d+ bad clip")
        try:
            return options.command(options)
        except KeyboardInterrupt as interrupt:
            _say(f"interrupted; {interrupt if interrupt.args else 'nothing was written'}")
            return INTERRUPTED
        except BrokenPipeError:  # whoever read the rows, such as head, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ALL_FINE
        except Exception as error:
            is_advice = isinstance(error, (ValueError, OSError, ImportError))
            _say(f"error: {error}" if is_advice else traceback.format_exc())
            return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Genres of music: train, and classify files."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="classify files with a saved model")
    add = predict.add_argument
    add("model", help="a file that train or save_model wrote")
    add("files", nargs="+", help="audio files, or folders of them")
    add("--out", help="the table (CSV); else it's printed")
    add("--report", metavar="FILE", help="a page to listen through, *.html")
    add("--resume", action="store_true", help="go on where the table in --out ends")
    add("--trusted", action="append", default=[], metavar="TYPE,...", help="types it may hold")
    predict.set_defaults(command=_predict)

    train = commands.add_parser("train", help="train a mixture on a folder, and save it")
    add = train.add_argument
    add("folder", help="has a subfolder per genre, or a manifest.csv")
    add("--out", required=True, help="where to save the model, *.skops")
    add("--report", metavar="FILE", help="a page on clips and labels, *.html")
    add("--quick", action="store_true", help="without networks: seconds, not minutes")
    add("--groups", "--group-by", default="auto", metavar="COLUMN", help=_GROUPS)
    add("--cv", type=int, default=5, help="folds for the score, 5; 0 for no score")
    add("--duration", type=float, default=30.0, help="seconds of each file, 30")
    add("--max-epochs", type=int, help="epochs of each network")
    add("--pretrained", action="store_true", help="only experts that know other music")
    add("--seed", type=int, default=0, help="of all that is drawn, 0")
    train.set_defaults(command=_train)

    for command in (predict, train):
        command.add_argument("--n-jobs", type=int, help="parallel jobs, -1 for all")
        command.add_argument("--weights", metavar="FILE", help="weights of AudioSetEmbedding")
        command.add_argument("--music-weights", metavar="FILE", help="weights of MusicTagEmbedding")
    versions = commands.add_parser("versions", help="say what a report of a problem should say")
    versions.set_defaults(command=_versions)
    return parser


def _versions(options) -> int:
    from . import show_versions

    show_versions()
    return ALL_FINE


def _predict(options) -> int:
    from joblib import effective_n_jobs

    from . import load_model
    from ._compat import progress_bar
    from .datasets import find_audio_files

    out, page = _check_out(options.out, "--out"), _check_out(options.report, "--report")
    if options.resume and out is None:
        raise ValueError("--resume goes on with the table of --out; give its name.")
    if out is None and sys.stdout is None:
        raise ValueError("There is no console to print to; give --out.")
    weights = [file for file in (options.weights, options.music_weights) if file]
    trusted = [name for names in options.trusted for name in names.split(",")]
    model = load_model(options.model, trusted=trusted, weights=weights or None)
    is_fitted = hasattr(model, "classes_")
    classes = list(model.classes_) if is_fitted and hasattr(model, "predict_proba") else []
    if not is_fitted or (page and not classes):
        lacks = "probabilities for --report" if is_fitted else "fitted classifier"
        raise ValueError(f"{options.model} holds no {lacks}, but {model!r:.80}.")
    params = {"on_error": "warn", "n_jobs": options.n_jobs, "verbose": 0}
    known = params.keys() & model.get_params(deep=False)
    model.set_params(**{name: params[name] for name in known})
    paths, left_out = find_audio_files(*options.files)
    header = ["path", "genre", *map(str, classes), "error"]
    rows = {} if out is None else _rows_of_table(out, header, options.resume)
    n_done, todo = len(rows), [path for path in paths if path not in rows]
    # What can't go on behind a bad file gets one at a time.
    chunk = max(_MIN_CHUNK, _CHUNK_PER_JOB * effective_n_jobs(options.n_jobs))
    chunk = chunk if "on_error" in known else 1
    how = {"unit": "file", "unit_scale": chunk, "disable": None if out else True}
    try:
        for start in progress_bar(range(0, len(todo), chunk), **how):
            new = _classify(model, todo[start : start + chunk], classes)
            mode = "a" if rows else "w"
            with open(out, mode, **_ENCODING) if out else nullcontext(sys.stdout) as table:
                lines = new if rows else [header, *new]
                csv.writer(table, lineterminator="\n").writerows(lines)
                table.flush()
            rows |= {row[0]: row for row in new}
    except ValueError as error:
        raise ValueError(f"{options.model} can't classify files: {error}") from error
    except KeyboardInterrupt:
        more = "; the same command with --resume goes on from there" if out else ""
        found = f"{len(rows) - n_done} of {len(todo)} files are in the table"
        raise KeyboardInterrupt(f"{found}{more}") from None
    if page:
        _report_of_rows(list(rows.values()), classes).save(page, command=options.line)
    bad = {path: rows[path][-1] for path in todo if rows[path][-1]}
    if out is not None:
        before = f", {n_done} were there before" if n_done else ""
        print(f"{len(todo) - len(bad)} files classified, {len(bad)} bad{before}: {out}")
    return _report(bad, left_out)


def _report_of_rows(rows, classes) -> Any:
    from .inspection import CollectionReport

    proba = [[float(share or "nan") for share in row[2:-1]] for row in rows]
    errors = {number: row[-1] for number, row in enumerate(rows) if row[-1]}
    how = {"classes": classes, "paths": [row[0] for row in rows], "errors": errors}
    return CollectionReport.from_predictions(None, proba, **how)


def _classify(model, paths, classes) -> list[list[str]]:
    """Return rows of the table: path, genre, probabilities, and what is the matter."""
    import numpy as np

    from .audio import BadClipError

    try:
        answers = model.predict_proba(paths) if classes else model.predict(paths)
        reasons = dict(getattr(model, "bad_clips_", {}))
    except BadClipError as error:  # of the only one
        answers, reasons = [np.full(len(classes), np.nan)], {0: str(error)}
    rows = []
    for row, (path, answer) in enumerate(zip(paths, answers)):
        cells, why = [""] * (1 + len(classes)), reasons.get(row, "can't be used")
        if not classes and not reasons:
            cells, why = [str(answer)], ""
        elif classes and not np.isnan(answer).any():
            cells, why = [str(classes[answer.argmax()]), *(f"{p:.6f}" for p in answer)], ""
        rows.append([path, *cells, _reason(why, path)])
    return rows


def _rows_of_table(out, header, resume) -> dict[str, list[str]]:
    """Return the rows of a table by path, to go on with, and mend its end."""
    text = out.read_bytes().decode("utf-8", "surrogateescape") if out.is_file() else ""
    whole = text[: text.rfind("\n") + 1]  # the last row may have been cut off
    found, *rows = list(csv.reader(io.StringIO(whole, newline=""))) or [[]]
    if text and found[:2] != header[:2]:
        taken = f"--out {out} is there already, and no table of predictions"
        raise ValueError(f"{taken}: give another name.")
    if not text or not resume:
        return {}
    if found != header:
        raise ValueError(f"--resume: {out} is a table of another model; give a new name.")
    os.truncate(out, len(whole.encode("utf-8", "surrogateescape")))
    return {row[0]: row for row in rows}


def _train(options) -> int:
    import numpy as np

    from . import MixtureOfExpertsClassifier, save_model
    from .datasets import load_audio_folder
    from .inspection import CollectionReport

    out = _check_out(options.out, "--out")
    if out.suffix not in (".skops", ""):
        raise ValueError(f"--out {out}: models are saved as *.skops, and in no other format.")
    page = _check_out(options.report, "--report")
    if page and not options.cv:
        raise ValueError("--report shows predictions out of fold: leave --cv 0 out.")
    if options.max_epochs is not None and options.max_epochs < 1:
        raise ValueError(f"--max-epochs {options.max_epochs}: give 1 or more.")
    group_by = None if options.groups == "none" else options.groups
    clips = load_audio_folder(options.folder, group_by=group_by)
    print(clips.DESCR, flush=True)
    y = clips.target
    groups = np.arange(len(y)) if clips.groups is None else clips.groups
    splits = _folds_of_score(y, groups, options, "clip" if clips.groups is None else "group")
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    how: dict[str, Any] = {"n_jobs": options.n_jobs, "random_state": options.seed}
    how |= {"on_error": "warn", "verbose": int(is_watched)}
    clf = MixtureOfExpertsClassifier(_experts(options), **how)
    batch = clf.extract(clips.data)
    good = np.setdiff1d(np.arange(len(y)), list(batch.bad_clips))
    trained_on = [np.intersect1d(train, good) for train, _ in splits]
    fewest = min(_rarest(y[rows], groups[rows])[0] for rows in [*trained_on, good])
    # The model that is saved learns as those that are judged.
    clf.set_params(cv=max(2, min(_MIXER_FOLDS, fewest)))
    if splits:
        report = CollectionReport.from_cross_validation(clf, batch, y, clips.groups, cv=splits)
        scores, of = report.scores(), "" if clips.groups is None else " of whole groups"
        value, low, high = scores.loc[("mixture", "accuracy")]
        chance = scores.loc[("most frequent genre", "accuracy"), "value"]
        score = f"{value:.3f} (95 % interval {low:.3f} to {high:.3f}"
        always = f"always the most frequent genre: {chance:.3f})"
        folds = f"{options.cv} folds{of}"
        print(f"accuracy on clips that were not trained on, {folds}: {score}; {always}", flush=True)
        if page:
            report.save(page, command=options.line)
    clf.fit(batch, y, groups=clips.groups)
    save_model(clf.set_params(verbose=0), out)
    print(f"trained on {len(good)} clips, {len(batch.bad_clips)} bad: {out}")
    return _report({clips.data[row]: why for row, why in batch.bad_clips.items()})


def _experts(options) -> list:
    from . import default_experts, pretrained_experts

    params: dict[str, Any] = {"networks": not options.quick}
    if options.max_epochs is not None:
        params["max_epochs"] = options.max_epochs
    if not (options.pretrained or options.weights or options.music_weights):
        return default_experts(options.duration, **params)
    params["weights"] = options.weights or "mn04"
    params["music_weights"] = options.music_weights or "msd"
    return pretrained_experts(options.duration, **params)


def _rarest(y, groups) -> tuple[int, str]:
    """Return how many groups the genre has that has the fewest, and its name."""
    counts = Counter(genre for genre, _ in set(zip(y, groups)))
    return min((n, genre) for genre, n in counts.items())


def _folds_of_score(y, groups, options, unit) -> list:
    """Return the folds of the score; raise before the work if it would be in vain."""
    from sklearn.model_selection import StratifiedGroupKFold

    fewest, genre = _rarest(y, groups)
    if fewest < max(2, options.cv):
        found = f"genre {genre}: {fewest} {unit}(s), too few for --cv {options.cv}"
        advice = "Add clips or leave the genre out, or take other --groups, fewer --cv, or --cv 0"
        raise ValueError(f"{found}. {advice} for no score.")
    return list(StratifiedGroupKFold(options.cv).split(y, y, groups)) if options.cv else []


def _check_out(given, option) -> Any:
    """Raise before the work if its result can't be written after it."""
    from ._files import user_path

    if given is None:
        return None
    if option == "--report":
        importlib.import_module("jinja2")
    path = user_path(given)
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        found = "it is a folder, or its folder is missing or can't be written to"
        raise ValueError(f"{option} {path}: {found}.")
    return path


def _report(bad, left_out=()) -> int:
    for path, error in bad.items():
        _say(f"bad: {path}: {_reason(error, path)}")
    for path in left_out:
        _say(f"left out: {path}: {left_out[path]}")
    if left_out:
        _say(f"{len(left_out)} left out of the folders")
    return SOME_BAD if bad or left_out else ALL_FINE


def _reason(text, path) -> str:
    """Return what is the matter with a file without its path, in one line."""
    return " ".join(text.removeprefix(f"{path}: ").split())


def _say(text) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
