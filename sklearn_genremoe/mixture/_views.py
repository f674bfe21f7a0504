"""What is fitted: clips with genres and metadata, and what experts and mixer see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._checks import check_groups, check_targets, check_weight
from .._clips import Clips, raise_bad_rows
from .._compat import BaseSearchCV, _check_method_params, _safe_indexing
from .._rows import Rows, read_only
from ..audio import warn_of_long_files
from ..domains import BaseDomain, DomainBatch, DomainView, LogMelSpectrogram, Plan, extract
from ._fold_average import FoldAverage

_SIGNAL = ("sample_rate", "duration", "offset", "n_fft", "hop_length", "n_mels", "fmin", "fmax")

Experts = Sequence[tuple[str, Any]]


@dataclass
class TrainingClips:
    """Clips, genres, weights, groups, and metadata for experts and splitter.

    ``params`` holds the arguments of each expert's ``fit``, by name, and of the splitter's
    ``split``, as "cv"; ``origin`` the row of each clip among the ``n_given`` that came.
    """

    X: Any
    y: NDArray
    weight: NDArray | None
    groups: NDArray | None
    origin: NDArray[np.intp]
    n_given: int
    params: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def check(
        cls, X: Any, y: Any, sample_weight: Any, groups: Any, classes: NDArray | None = None
    ) -> TrainingClips:
        """Return clips with genres, in the spelling of `classes`, weights and groups checked."""
        y = check_targets(X, y, classes)
        return cls(
            X,
            y,
            None if sample_weight is None else check_weight(y, sample_weight),
            None if groups is None else check_groups(groups, len(y)),
            np.arange(len(y)),
            len(y),
        )

    def take(self, rows: NDArray[np.intp]) -> TrainingClips:
        """Return some of the clips."""
        if len(rows) == len(self.y):
            return self
        return TrainingClips(
            take_clips(self.X, rows),
            self.y[rows],
            None if self.weight is None else self.weight[rows],
            None if self.groups is None else self.groups[rows],
            self.origin[rows],
            self.n_given,
            {
                name: _check_method_params(self.y, params, rows)
                for name, params in self.params.items()
            },
        )

    def present(self) -> TrainingClips:
        """Return the clips with a weight above zero."""
        return self if self.weight is None else self.take(np.flatnonzero(self.weight))


def take_clips(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some clips, in whatever form; rows of a mapped array go to a file, not to memory."""
    if isinstance(X, Rows):
        return X.pick(rows)
    if isinstance(X, np.ndarray) and X.ndim >= 3:
        return Rows(X, rows).array()
    return X.take(rows) if isinstance(X, Clips) else _safe_indexing(X, rows)


# Which domains experts and mixer begin with.


def leading_domain(expert: Any) -> BaseDomain | None:
    """Return the feature domain that an expert begins with, if it does.

    Looked for in nested pipelines, calibrated and frozen estimators, searches (unless they search
    over the domain itself) and averages of folds.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_genremoe import CNNClassifier, HarmonicSpectrogram
    >>> leading_domain(make_pipeline(HarmonicSpectrogram(), CNNClassifier()))
    HarmonicSpectrogram()
    """
    while not isinstance(expert, BaseDomain):
        if searches_domain(expert):
            return None
        inner = first_part(expert)
        if inner is None:
            return None
        expert = inner
    return expert


def first_part(estimator: Any) -> Any:
    """Return the first step of a pipeline, or what a wrapper that is looked through wraps."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[0][1]
    if isinstance(estimator, FoldAverage):
        return estimator.models[0]
    if isinstance(estimator, BaseSearchCV):
        return getattr(estimator, "best_estimator_", estimator.estimator)
    if isinstance(estimator, (FrozenEstimator, CalibratedClassifierCV)):
        return estimator.estimator
    return None


def searches_domain(expert: Any) -> bool:
    """Tell whether an estimator is a search, not fitted, over parameters of its leading domain."""
    if not isinstance(expert, BaseSearchCV) or hasattr(expert, "best_estimator_"):
        return False
    path, part = [], expert.estimator
    while part is not None and not isinstance(part, BaseDomain):
        path.append(part.steps[0][0] if isinstance(part, Pipeline) else "estimator")
        part = first_part(part)
    grids = getattr(expert, "param_grid", getattr(expert, "param_distributions", {}))
    grids = [grids] if isinstance(grids, Mapping) else grids
    names = [name.split("__") for grid in grids for name in grid]
    return part is not None and any(
        all(a == b for a, b in zip(name, path, strict=False)) for name in names
    )


def plan_experts(experts: Experts, kind: str, *, with_mixer: bool, mixer_domain: Any) -> Plan:
    """Return which experts begin with which domains, and which of them the mixer sees.

    `kind` says what the clips are. Where they are audio, the mixer's domain is "mixer" unless an
    expert begins with it.
    """
    found = {name: leading_domain(expert) for name, expert in experts}
    domains = {name: domain for name, domain in found.items() if domain is not None}
    is_audio = bool(domains) or mixer_domain is not None
    if not with_mixer or not (kind == "paths" or (kind == "waveforms" and is_audio)):
        return Plan(domains)
    plan = Plan({**domains, "mixer": domain_of_mixer(mixer_domain, domains)})
    plan.see_by("mixer")
    return plan


def domain_of_mixer(mixer_domain: Any, domains: Mapping[str, BaseDomain]) -> BaseDomain:
    """Return the domain in which a mixer sees clips that come as audio.

    `mixer_domain` is a domain, the name of an expert, or None: the first original spectrogram among
    the experts, else one with the signal parameters of the first expert that has a domain.
    """
    if isinstance(mixer_domain, BaseDomain):
        return mixer_domain
    if isinstance(mixer_domain, str):
        if mixer_domain not in domains:
            raise ValueError(
                f"mixer_domain={mixer_domain!r} names no expert that begins with a domain; those "
                f"that do are {list(domains)}. Give one of them, or a domain such as "
                "LogMelSpectrogram()."
            )
        return domains[mixer_domain]
    for domain in domains.values():
        if isinstance(domain, LogMelSpectrogram):
            return domain
    # A table such as an embedding has no frames, but is read from the same part of the clip.
    found = list(domains.values())
    first = next((d for d in found if hasattr(d, "hop_length")), found[0] if found else None)
    return LogMelSpectrogram(**{n: getattr(first, n) for n in _SIGNAL if hasattr(first, n)})


# What each of them sees of clips.


@dataclass
class View:
    """What an expert takes of the clips: features, a table, or the clips as they came.

    ``of_domain`` says that they are the features of the domain that the expert begins with.
    """

    data: Any
    of_domain: bool = False

    def __len__(self) -> int:
        return self.data.shape[0] if hasattr(self.data, "shape") else len(self.data)

    def take(self, rows: NDArray[np.intp] | None) -> View:
        """Return what is seen of some of the clips, or of all."""
        return self if rows is None else View(take_clips(self.data, rows), self.of_domain)

    def for_expert(self, expert: Any) -> tuple[Any, Any]:
        """Return what of an expert is still to be fitted or asked, and the data that it gets.

        That is the steps behind the domain of a plain pipeline, and an expert as a whole where the
        domain is wrapped deeper, which then lets the features through.
        """
        data = self.data.array() if isinstance(self.data, Rows) else self.data
        # What an expert does to it in place reaches neither the user nor other experts.
        data = read_only(data) if isinstance(data, np.ndarray) else deepcopy(data)
        if not self.of_domain:
            return expert, data
        is_plain = isinstance(expert, Pipeline) and isinstance(expert.steps[0][1], BaseDomain)
        if is_plain and getattr(expert, "transform_input", None) is None:
            return expert[1:], data
        return expert, DomainView.of_rows(self.data)


class Views(NamedTuple):
    """What each expert takes, what the mixer takes (or None), and the bad clips with reasons."""

    of_experts: list[View]
    of_mixer: NDArray | None
    bad_clips: dict[int, str]

    def take(self, rows: NDArray[np.intp]) -> Views:
        """Return what is seen of some of the clips, of which none is bad."""
        of_mixer = None if self.of_mixer is None else take_clips(self.of_mixer, rows)
        return Views([view.take(rows) for view in self.of_experts], of_mixer, {})


def view_clips(
    X: Any,
    experts: Experts,
    plan: Plan,
    *,
    with_mixer: bool,
    mixer_domain: Any,
    **extraction_params: Any,
) -> Views:
    """Return what each expert and the mixer see of validated clips.

    An expert gets the features of the domain that it begins with, else `X` as it is, or the
    entry of a DomainBatch of its name. `extraction_params` go to :func:`extract_domains`.
    """
    names = [name for name, _ in experts]
    if isinstance(X, DomainBatch):
        on_error = extraction_params["on_error"]
        return _views_of_batch(X, experts, plan, with_mixer, mixer_domain, on_error)
    if not isinstance(X, Clips):
        of_mixer = _numbers_for_mixer(X, mixer_domain) if with_mixer else None
        return Views([View(X) for _ in names], of_mixer, {})
    if not plan.domains:
        return Views([View(X.given) for _ in names], None, {})
    batch = extract_domains(X, plan, **extraction_params)
    views = [View(batch.rows(n), True) if n in plan.domains else View(X.given) for n in names]
    of_mixer = None if plan.mixer is None else _with_frames(batch[plan.mixer])
    return Views(views, of_mixer, batch.bad_clips)


def extract_domains(clips: Clips, plan: Plan, **extraction_params: Any) -> DomainBatch:
    """Extract the domains of a plan, and warn of files that are much longer than what is read."""
    if clips.paths is None:
        plan.check_rates()
    batch, seconds = extract(clips, plan, **extraction_params)
    if seconds:
        warn_of_long_files(seconds, max(d.offset + d.duration for d in plan.domains.values()))
    return batch


def _views_of_batch(
    batch: DomainBatch,
    experts: Experts,
    plan: Plan,
    with_mixer: bool,
    mixer_domain: Any,
    on_error: str,
) -> Views:
    """Return the entries that experts and mixer take."""
    entries = _entries(batch, experts, plan)
    views = [
        View(batch.rows(entry), True) if name in plan.domains else View(_table(batch, entry))
        for name, entry in entries.items()
    ]
    seen = list(entries.values())
    of_mixer = None
    if with_mixer:
        seen.append(_entry_of_mixer(batch, mixer_domain, plan))
        of_mixer = _with_frames(batch[seen[-1]])
    bad = dict(batch.bad_clips)
    for entry in dict.fromkeys(seen):  # some share an entry
        kind = "table" if _ndim(batch, entry) == 2 else "entry"
        for row in batch.non_finite_rows(entry):
            bad.setdefault(row, f"its row {row} in the {kind} {entry!r} holds NaN or infinity")
    bad = dict(sorted(bad.items()))
    if bad and on_error == "raise":
        raise_bad_rows(bad)
    return Views(views, of_mixer, bad)


def _ndim(batch: DomainBatch, entry: str) -> int:
    return len(batch.rows(entry).shape)


def _table(batch: DomainBatch, entry: str) -> Any:
    """Return an entry that no domain computes: rows, or a frame where its columns have names."""
    table = batch.table(entry) if _ndim(batch, entry) == 2 else None
    return batch.rows(entry) if table is None or isinstance(table, np.ndarray) else table


def _numbers_for_mixer(X: Any, mixer_domain: Any) -> NDArray:
    """Return numbers that no expert takes for audio as a mixer sees them."""
    X = np.asarray(X)
    if mixer_domain is not None and X.ndim >= 3:
        raise ValueError(
            f"X holds spectrograms ({X.ndim} dimensions), which the mixer sees as they are: "
            f"mixer_domain={mixer_domain!r} doesn't apply. Pass paths, waveforms or a "
            "DomainBatch, or leave mixer_domain=None."
        )
    return _with_frames(X)


def _with_frames(X: NDArray) -> NDArray:
    """Return a table as spectrograms of one frame, as CNNClassifier has it."""
    return X if X.ndim >= 3 else X[:, :, np.newaxis]


def _entries(batch: DomainBatch, experts: Experts, plan: Plan) -> dict[str, str]:
    """Return which entry of a batch each expert takes."""
    names = [name for name, _ in experts]
    entries = {}
    for name, expert in experts:
        if name in plan.domains:
            entry = name
            if name not in batch:  # made by hand: the name of an expert with the same domain
                alike = [n for n, key in plan.keys.items() if n in batch and key == plan.keys[name]]
                entry = alike[0] if alike else name
            entries[name] = batch.name_of(plan.domains[name], entry, plan.keys[name])
        elif searches_domain(expert):
            raise ValueError(
                f"The expert {name!r} searches over parameters of its domain, which is extracted "
                "in a DomainBatch already: pass paths or waveforms, or leave them out of the grid."
            )
        elif name in batch:
            entries[name] = name
    others = [name for name in names if name not in entries]
    only = batch.names[0]
    # Any network may take the only spectrograms there are; a table is its own expert's.
    shared = len(batch.names) == 1 and (len(names) == 1 or _ndim(batch, only) >= 3)
    if not others or (shared and not plan.domains):
        return {name: entries.get(name, only) for name in names}
    name = others[0]
    raise ValueError(
        f"The expert {name!r} begins with no domain and the DomainBatch has no entry of that "
        f"name; it holds {batch.names}. Add it, batch | {{{name!r}: table}}, rename the expert or "
        "the entry, or let the expert begin with a domain."
    )


def _entry_of_mixer(batch: DomainBatch, mixer_domain: Any, plan: Plan) -> str:
    """Return which entry of a batch the mixer sees."""
    if isinstance(mixer_domain, str) and mixer_domain in batch:
        return mixer_domain
    domain = domain_of_mixer(mixer_domain, plan.domains)
    if mixer_domain is not None:
        return batch.name_of(domain)
    spectrograms = [name for name in batch.names if _ndim(batch, name) == 3]
    try:
        return batch.name_of(domain, "original" if "original" in batch else None)
    except ValueError:
        return "original" if "original" in batch else (spectrograms or batch.names)[0]
