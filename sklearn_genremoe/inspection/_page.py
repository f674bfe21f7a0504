"""A report in words, and as a page that needs neither network nor server."""

import base64
import contextlib
import io
import json
import os
import platform
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from .._compat import import_optional
from .._versions import versions
from ..audio import BadClipError, decode_audio

_TEMPLATE = Path(__file__).with_name("_page.html.jinja")

# Excerpts in the page: seconds, samples per second, and bytes of all together.
_EXCERPT, _RATE, _EMBEDDED = 10.0, 22050, 16 * 2**20

# Points of the curve of accuracy against coverage.
_N_POINTS = 100

# Columns of texts, genres and numbers, by the names that the page has for them.
_TEXTS = {"name": "clip", "error": "error", "group": "group"}
_GENRES = {"genre": "genre", "said": "predicted"}
_NUMBERS = {"own": "proba_genre", "sure": "proba_predicted", "rank": "suspicion", "issue": "issue"}


def summary_of(report: Any) -> list[str]:
    """Return the main findings of a report, each as a sentence."""
    n_clips, n_bad = len(report.proba), len(report.proba) - len(report._usable)
    groups = "" if report.groups is None else f" in {_n(len(set(report.groups)), 'group')}"
    lines = [f"{_n(n_clips, 'clip')} of {_n(len(report.classes), 'genre')}{groups}."]
    if n_bad:
        lines.append(f"{_n(n_bad, 'clip')} can't be used.")
    if n_bad == n_clips:
        return lines
    if report.y is None:
        counts = report._judgements["predicted"].value_counts().items()
        return [*lines, f"Predicted: {', '.join(f'{genre} {n}' for genre, n in counts)}."]
    accuracy = report.scores().xs("accuracy", level="measure")
    value, low, high = map(_percent, accuracy.loc["mixture"])
    others = [f"; {name}: {_percent(accuracy.loc[name, 'value'])}" for name in report.baselines]
    unheard = "that it never heard" if report.groups is None else "of groups that it never heard"
    lines.append(
        f"Right on {10 * accuracy.loc['mixture', 'value']:.0f} of 10 clips {unheard} ({value}, "
        f"interval {low} to {high}{''.join(others)})."
    )
    wrong = report._judged[~report._is_right].value_counts(["genre", "predicted"], sort=False)
    if len(wrong):
        true, said = wrong.idxmax()
        found = f"{wrong.max()} of {(report._judged['genre'] == true).sum()} clips"
        lines.append(f"Most often {true} is taken for {said} ({found}).")
    coverage = report.coverage()["accuracy"]
    half = _percent(coverage.iloc[(len(coverage) - 1) // 2])
    error = _percent(report.calibration().attrs["expected_calibration_error"])
    trust = f"The surest half of the answers is right on {half}; probabilities are off by {error}"
    lines += [f"{trust} on average.", f"{_n(len(report.label_issues()), 'label')} may be wrong."]
    if report.features is not None:
        pairs = report.duplicates()
        found = f"{_n(len(pairs), 'pair')} of clips may be the same recording"
        for name, same in pairs.filter(like="same_").items():
            if not same.all():
                found += f", {(~same).sum()} of them in two {name.removeprefix('same_')}s"
        lines.append(f"{found}.")
    if report.curve:
        (_, few), (n_all, many) = report.curve[-2:]
        advice = "more clips should help" if many - few > 0.01 else "more clips may not help much"
        lines.append(
            f"A plain classifier is right on {_percent(few)} if it learns from half of the clips, "
            f"on {_percent(many)} with all {n_all} of a fold: {advice}."
        )
    return lines


def page_of(report: Any, folder: Path, embed: bool, command: str | None) -> str:
    """Return the page, whose players refer to the clips relative to a folder."""
    jinja2 = import_optional("jinja2", "CollectionReport.save", "'sklearn-genremoe[report]'")
    how: dict[str, Any] = {"autoescape": True, "undefined": jinja2.StrictUndefined}
    template = jinja2.Template(_TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True, **how)
    return template.render(
        summary=report.summary(),
        data=_clips(report, folder, embed),
        tables=_tables(report),
        command=command,
        versions=versions(),
        system=platform.platform(),
    )


def _clips(report: Any, folder: Path, embed: bool) -> dict[str, Any]:
    """Return the clips as columns of numbers and short texts, which the page makes rows of."""
    frame = report.frame()
    names = frame["clip"].tolist()
    place = {genre: index for index, genre in enumerate(report.classes.tolist())}
    codes = {n: frame[c].map(place).fillna(-1) for n, c in _GENRES.items() if c in frame}
    columns: dict[str, Any] = {n: [*map(str, frame[c])] for n, c in _TEXTS.items() if c in frame}
    columns |= {name: column.astype(int).tolist() for name, column in codes.items()}
    columns |= {n: _values(frame[c]) for n, c in _NUMBERS.items() if c in frame}
    columns["link"] = [_link(name, folder) if report.paths else "" for name in names]
    if report.expert_proba is not None:
        columns["votes"] = report.expert_proba.argmax(axis=2).tolist()
    pairs: list[Any] = []
    if report.features is not None:
        cosines = report.duplicates()["similarity"].round(3)
        pairs = [[*rows, cosine] for rows, cosine in cosines.items()]
        rows = {name: row for row, name in enumerate(names)}
        columns["similar"] = [[rows[name] for name in similar] for similar in frame["similar"]]
    return {
        "genres": [str(genre) for genre in report.classes],
        "experts": list(report.expert_names),
        "clips": columns,
        "pairs": pairs,
        "sounds": _excerpts(frame) if embed and report.paths else {},
    }


def _tables(report: Any) -> dict[str, Any]:
    """Return the numbers behind the page's other tables and charts."""
    if report.y is None or not len(report._usable):
        return {}
    coverage = report.coverage()
    some = np.unique(np.linspace(0, len(coverage) - 1, _N_POINTS).astype(int))
    scores = report.scores().groupby(level="classifier", sort=False)
    rows = {who: zip(part.index.unique("measure"), _values(part)) for who, part in scores}
    return {
        "scores": [[who, dict(measures)] for who, measures in rows.items()],
        "calibration": _values(report.calibration()),
        "coverage": _values(coverage.iloc[some]),
        "weights": [] if report.weights is None else np.nanmean(report.weights, axis=0).tolist(),
        "curve": report.curve,
    }


def _values(table: Any) -> list[Any]:
    """Return the numbers of a data frame or series as JSON has them: rounded, None for NaN."""
    return json.loads(table.to_json(orient="values", double_precision=5))


def _link(name: str, folder: Path) -> str:
    """Return the address of a file relative to a folder, for names of any bytes."""
    path = os.path.abspath(os.path.expanduser(name))
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return Path(path).as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _excerpts(frame: Any) -> dict[int, str]:
    """Return the sound of clips as data addresses by row, as many as have room."""
    import soundfile

    sounds: dict[int, str] = {}
    for row, name in frame.sort_values("margin")["clip"].items():
        file = io.BytesIO()
        with contextlib.suppress(BadClipError):
            sound = decode_audio(name, sample_rate=_RATE, duration=_EXCERPT)
            soundfile.write(file, sound, _RATE, format="OGG", subtype="VORBIS")
            sounds[row] = f"data:audio/ogg;base64,{base64.b64encode(file.getvalue()).decode()}"
        if sum(map(len, sounds.values())) > _EMBEDDED:
            del sounds[row]
            break
    return sounds


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _n(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
