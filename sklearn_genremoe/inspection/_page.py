"""A report in words, and as a page that needs neither network nor server."""

import base64
import io
import os
import platform
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from .._versions import versions
from ..audio import BadClipError, decode_audio

_TEMPLATE = Path(__file__).with_name("_page.html.jinja")

# Excerpts in the page: seconds, samples per second, and bytes of all together.
_EXCERPT, _RATE, _EMBEDDED = 10.0, 22050, 16 * 2**20

# Sides of the charts in the page's own units.
_WIDTH, _HEIGHT = 300, 200


def summary_of(report: Any) -> list[str]:
    """Return the main findings of a report, each as a sentence."""
    n_clips, usable = len(report.proba), report._usable
    first = f"{_counted(n_clips, 'clip')} of {_counted(len(report.classes), 'genre')}"
    if report.groups is not None:
        first += f" in {_counted(len(np.unique(report.groups)), 'group')}"
    lines = [f"{first}."]
    if len(usable) < n_clips:
        lines.append(f"{_counted(n_clips - len(usable), 'clip')} can't be used.")
    if report.y is None or not len(usable):
        answers = report.classes[report.proba[usable].argmax(axis=1)]
        counts = sorted(zip(*np.unique(answers, return_counts=True)), key=lambda pair: -pair[1])
        if counts:
            lines.append(f"Predicted: {', '.join(f'{genre} {n}' for genre, n in counts)}.")
        return lines
    scores = report.scores()
    accuracy = scores.loc["mixture", "accuracy"]
    unheard = (
        "of groups that it never heard" if report.groups is not None else "that it never heard"
    )
    others = [
        f"{name}: {_percent(scores.loc[(name, 'accuracy'), 'value'])}"
        for name in report.baselines or {}
    ]
    lines.append(
        f"Right on {10 * accuracy['value']:.0f} of 10 clips {unheard} "
        f"({_percent(accuracy['value'])}, interval {_percent(accuracy['low'])} to "
        f"{_percent(accuracy['high'])}{'; ' if others else ''}{', '.join(others)})."
    )
    counts = report.confusion().to_numpy()
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    if wrong.any():
        true, said = np.unravel_index(wrong.argmax(), wrong.shape)
        lines.append(
            f"Most often {report.classes[true]} is taken for {report.classes[said]} "
            f"({wrong[true, said]} of {counts[true].sum()} clips)."
        )
    coverage = report.coverage()
    half = coverage["accuracy"].iloc[(len(coverage) - 1) // 2]
    calibration = scores.loc["mixture", "calibration_error"]["value"]
    lines.append(
        f"The surest half of the answers is right on {_percent(half)}; probabilities are off by "
        f"{_percent(calibration)} on average."
    )
    lines.append(f"{_counted(len(report.label_issues()), 'label')} may be wrong.")
    if report.features is not None:
        pairs = report.duplicates()
        lines.append(f"{_counted(len(pairs), 'pair')} of clips may be the same recording.")
        for column, what in (("same_genre", "genre"), ("same_group", "group")):
            if column in pairs and not pairs[column].all():
                lines[-1] = f"{lines[-1][:-1]}, {(~pairs[column]).sum()} of them in two {what}s."
    if report.curve:
        (_, few), (n_all, many) = report.curve[-2:]
        lines.append(
            f"A plain classifier is right on {_percent(few)} if it learns from half of the clips, "
            f"on {_percent(many)} with all {n_all} of a fold: "
            + ("more clips should help." if many - few > 0.01 else "more clips may not help much.")
        )
    return lines


def page_of(report: Any, folder: Path, embed: bool, command: str | None) -> str:
    """Return the page, whose players refer to the clips relative to a folder."""
    try:
        from jinja2 import Environment, StrictUndefined  # an optional dependency
    except ImportError as error:
        raise ImportError(
            "CollectionReport.save needs jinja2: pip install 'sklearn-genremoe[report]'."
        ) from error
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    has_scores = report.y is not None and len(report._usable) > 0
    return template.render(
        summary=report.summary(),
        data=_data(report, folder, embed),
        scores=_score_rows(report) if has_scores else [],
        experts=_expert_rows(report),
        calibration=_calibration_chart(report) if has_scores else None,
        coverage=_coverage_chart(report) if has_scores else None,
        curve=report.curve,
        has_scores=has_scores,
        width=_WIDTH,
        height=_HEIGHT,
        command=command,
        versions={name: version for name, version in versions().items() if version},
        system=platform.platform(),
    )


def _data(report: Any, folder: Path, embed: bool) -> dict[str, Any]:
    """Return the clips as numbers and short texts, which the page makes rows of."""
    frame = report.frame()
    place = {genre: index for index, genre in enumerate(report.classes.tolist())}
    names = report.names
    order = np.argsort(frame["margin"].fillna(np.inf).to_numpy(), kind="stable")
    sounds = _excerpts(report, order) if embed and report.paths else {}
    columns: dict[str, Any] = {
        "name": names,
        "link": [_link(name, folder) for name in names] if report.paths else [""] * len(names),
        "said": [place.get(genre, -1) for genre in frame["predicted"].tolist()],
        "sure": _rounded(report.proba.max(axis=1)),
        "error": frame["error"].tolist(),
    }
    if report.y is not None:
        columns["genre"] = [place[genre] for genre in report.y.tolist()]
    if "suspicion" in frame:
        columns["own"] = _rounded(frame["proba_genre"])
        columns["rank"] = [
            None if rank != rank else int(rank) for rank in frame["suspicion"].astype(float)
        ]
        columns["issue"] = frame["issue"].fillna(False).astype(int).tolist()
    if report.groups is not None:
        columns["group"] = [str(group) for group in report.groups]
    if report.expert_proba is not None:
        answers = np.where(np.isnan(report.expert_proba), -1, report.expert_proba).argmax(axis=2)
        columns["votes"] = answers.tolist()
    if report.features is not None:
        index = {int(row): near for row, near in zip(*report._neighbours[:2])}
        columns["similar"] = [
            index[row][:3].tolist() if row in index else [] for row in range(len(names))
        ]
    return {
        "genres": [str(genre) for genre in report.classes],
        "experts": list(report.expert_names or []),
        "clips": columns,
        "pairs": [[*pair[:2], round(pair[2], 3)] for pair in report._pairs()]
        if report.features is not None
        else [],
        "sounds": sounds,
    }


def _rounded(values: Any) -> list[float | None]:
    return [None if value != value else round(float(value), 3) for value in np.asarray(values)]


def _link(name: str, folder: Path) -> str:
    """Return the address of a file relative to a folder, which bytes that aren't UTF-8 survive."""
    path = os.path.abspath(os.path.expanduser(name))
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return Path(path).as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _excerpts(report: Any, order: np.ndarray) -> dict[int, str]:
    """Return the sound of clips as data addresses by row, until they are many."""
    import soundfile

    sounds: dict[int, str] = {}
    size = 0
    for row in order.tolist():
        file = io.BytesIO()
        try:
            sound = decode_audio(report.paths[row], sample_rate=_RATE, duration=_EXCERPT)
        except BadClipError:
            continue
        soundfile.write(file, sound, _RATE, format="OGG", subtype="VORBIS")
        text = base64.b64encode(file.getvalue()).decode()
        size += len(text)
        if size > _EMBEDDED:
            break
        sounds[row] = f"data:audio/ogg;base64,{text}"
    return sounds


def _score_rows(report: Any) -> list[dict[str, Any]]:
    """Return what the page shows of each classifier and, behind them, of each genre."""
    scores = report.scores()
    return [
        {
            "who": who,
            **{
                measure: {key: None if part[key] != part[key] else float(part[key]) for key in part}
                for measure, part in scores.loc[who].to_dict("index").items()
            },
        }
        for who in scores.index.unique("classifier")
    ]


def _expert_rows(report: Any) -> list[tuple[str, float]]:
    """Return the experts and their mean weights."""
    if report.weights is None:
        return []
    return list(zip(report.expert_names, np.nanmean(report.weights, axis=0).tolist()))


def _calibration_chart(report: Any) -> dict[str, Any]:
    """Return points of the chart and its error."""
    table = report.calibration()
    points = [
        (_x(row.confidence), _y(row.accuracy), _y(row.low), _y(row.high), row.clips)
        for row in table.itertuples()
    ]
    return {"points": points, "error": table.attrs["expected_calibration_error"]}


def _coverage_chart(report: Any) -> dict[str, Any]:
    """Return the points of the curve, and shares of clips with their accuracy."""
    table = report.coverage()
    some = np.unique(np.linspace(0, len(table) - 1, 100).astype(int))
    line = " ".join(
        f"{_x(row.coverage):.1f},{_y(row.accuracy):.1f}" for row in table.iloc[some].itertuples()
    )
    shares = []
    for share in (0.25, 0.5, 0.75, 1.0):
        row = table.iloc[max(0, round(share * len(table)) - 1)]
        shares.append((share, float(row["accuracy"]), float(row["threshold"])))
    return {"line": line, "shares": shares}


def _x(share: float) -> float:
    return _WIDTH * share


def _y(share: float) -> float:
    return _HEIGHT * (1 - share)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
