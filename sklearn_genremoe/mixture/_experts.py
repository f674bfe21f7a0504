"""What experts and mixer see of clips, and what experts predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .._clips import Clips, raise_bad_rows, some_rows
from .._compat import BaseSearchCV, _safe_indexing
from .._rows import Rows, read_only
from ..audio import warn_of_long_files
from ..domains import BaseDomain, DomainBatch, DomainView, LogMelSpectrogram, Plan, extract

_SIGNAL = ("sample_rate", "duration", "offset", "n_fft", "hop_length", "n_mels", "fmin", "fmax")
# Clips whose features are gathered at a time for prediction.
_CLIPS_AT_A_TIME = 64

Experts = Sequence[tuple[str, Any]]


def check_experts(experts: Any) -> list[tuple[str, Any]]:
    """Return the experts that aren't dropped, or raise if the list makes no sense."""
    expected = "a list of (name, classifier) such as paper_experts() gives"
    if not isinstance(experts, (list, tuple)) or not len(experts):
        raise ValueError(f"experts is {experts!r}; expected {expected}, with at least one entry.")
    for entry in experts:
        if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not isinstance(entry[0], str):
            raise ValueError(f"experts holds {entry!r}; expected {expected}.")
    kept = [(name, e) for name, e in experts if not (isinstance(e, str) and e == "drop")]
    if not kept:
        names = ", ".join(name for name, _ in experts)
        raise ValueError(f"All experts ({names}) are dropped; keep at least one.")
    for name, expert in kept:
        has_methods = hasattr(expert, "fit") and hasattr(expert, "predict_proba")
        if isinstance(expert, type) or not has_methods or not is_classifier(expert):
            raise TypeError(
                f"The expert {name!r} is {expert!r}; expected a classifier (an instance of its "
                "class) with predict_proba, which CalibratedClassifierCV adds to one, or 'drop'."
            )
    return kept


# Which domains experts and mixer begin with.


def leading_domain(expert: Any) -> BaseDomain | None:
    """Return the feature domain that an expert begins with, None if it searches over that.

    Looked for in nested pipelines, calibrated and frozen estimators, searches, averages of folds.
    """
    while expert is not None and not isinstance(expert, BaseDomain):
        if isinstance(expert, BaseSearchCV) and not hasattr(expert, "best_estimator_"):
            grid = getattr(expert, "param_grid", getattr(expert, "param_distributions", {}))
            params = expert.estimator.get_params(deep=True)
            for name in chain.from_iterable([grid] if isinstance(grid, Mapping) else grid):
                # The domain or something around it, or a parameter of the domain.
                owner = params.get(name.rpartition("__")[0])
                if isinstance(owner, BaseDomain) or leading_domain(params.get(name)) is not None:
                    return None
        expert = first_part(expert)
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


def plan_experts(experts: Experts, kind: str, with_mixer: bool, mixer_domain: Any) -> Plan:
    """Return which experts begin with which domains, and which of them the mixer sees.

    `kind` says what the clips are. Where they are audio, the mixer's domain is "mixer" unless an
    expert begins with it.
    """
    found = {name: leading_domain(expert) for name, expert in experts}
    domains = {name: domain for name, domain in found.items() if domain is not None}
    is_audio = kind == "paths" or (kind == "waveforms" and bool(domains or mixer_domain))
    of_mixer = {"mixer": domain_of_mixer(mixer_domain, domains)} if with_mixer and is_audio else {}
    plan = Plan({**domains, **of_mixer})
    plan.with_mixer = with_mixer
    if of_mixer:
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
                f"mixer_domain={mixer_domain!r} names no expert that begins with a domain; give "
                f"one of {list(domains)}, or a domain such as LogMelSpectrogram()."
            )
        return domains[mixer_domain]
    for domain in domains.values():
        if isinstance(domain, LogMelSpectrogram):
            return domain
    # A table such as an embedding has no frames, but is read from the same part of the clip.
    first = max(domains.values(), key=lambda domain: hasattr(domain, "hop_length"), default=None)
    return LogMelSpectrogram(**{n: getattr(first, n) for n in _SIGNAL if hasattr(first, n)})


# What each of them sees of clips: the rows of a domain or of an entry, a table, or clips as they
# came.


def view_clips(
    mixture: Any, X: Any, experts: Experts, plan: Plan, on_error: str, verbose: int
) -> tuple[list[Any], NDArray | None, NDArray[np.intp], dict[int, str]]:
    """Return what each expert and the mixer see of the usable clips, their rows, and the bad ones.

    Of the `mixture` only parameters are read.
    """
    given, batch, of_mixer = X, None, None
    entries: dict[str, str] = {}
    if isinstance(X, DomainBatch):
        batch = X
        entries = {name: _entry(batch, name, expert, plan) for name, expert in experts}
        if plan.with_mixer:
            entries["mixer"] = _entry_of_mixer(batch, mixture.mixer_domain, plan)
    elif isinstance(X, Clips):
        given = X.given
        if plan.domains:
            batch = extract_domains(mixture, X, plan, on_error, verbose, mixture.memory)
            entries = {name: name for name in plan.domains}
            if plan.mixer is not None:
                entries["mixer"] = plan.mixer
    elif plan.with_mixer:
        of_mixer = np.asarray(X)
        if mixture.mixer_domain is not None and of_mixer.ndim >= 3:
            raise ValueError(
                "X holds spectrograms, which the mixer sees as they are: mixer_domain="
                f"{mixture.mixer_domain!r} doesn't apply. Pass paths, waveforms or a DomainBatch."
            )
    views, bad = [given] * len(experts), {}
    if batch is not None:
        for number, (name, _) in enumerate(experts):
            if name in entries:
                entry = batch.entries[entries[name]]
                is_table = name not in plan.domains and len(entry.rows.shape) == 2
                views[number] = entry.table() if is_table else entry.rows
        of_mixer = batch[entries["mixer"]] if "mixer" in entries else None
        bad = dict(batch.bad_clips)
        for name in dict.fromkeys(entries.values()):  # some share an entry
            entry = batch.entries[name]
            for row in [] if entry.is_extracted else entry.rows.scan()[1]:
                bad.setdefault(row, f"its row {row} in the entry {name!r} holds NaN or infinity")
        bad = dict(sorted(bad.items()))
        if bad and on_error == "raise":
            raise_bad_rows(bad)
    if of_mixer is not None and of_mixer.ndim == 2:  # a table: one frame, as CNNClassifier has it
        of_mixer = of_mixer[:, :, np.newaxis]
    good = np.setdiff1d(np.arange(len(X)), list(bad))
    if bad:
        views = [take_clips(view, good) for view in views]
        of_mixer = None if of_mixer is None else take_clips(of_mixer, good)
    return views, of_mixer, good, bad


def extract_domains(
    owner: Any, clips: Clips, plan: Plan, on_error: str, verbose: int, memory: Any = None
) -> DomainBatch:
    """Extract the domains of a plan, and warn of files that are much longer than what is read."""
    if clips.paths is None:
        plan.check_rates()
    params = {"n_jobs": owner.n_jobs, "verbose": verbose, "memory": memory}
    batch, seconds = extract(clips, plan, on_error=on_error, **params)
    if seconds:
        warn_of_long_files(seconds, plan.end)
    return batch


def _entry(batch: DomainBatch, name: str, expert: Any, plan: Plan) -> str:
    """Return which entry of a batch an expert takes."""
    if name in plan.domains:
        # Where the batch was made by hand: its own name, or that of one with the same domain.
        alike = [n for n in (name, *plan.keys) if n in batch and plan.keys[n] == plan.keys[name]]
        return batch.name_of(plan.domains[name], (alike or [name])[0], plan.keys[name])
    while expert is not None:
        if isinstance(expert, BaseDomain):
            raise ValueError(
                f"The expert {name!r} searches over parameters of its domain, which is extracted "
                "in a DomainBatch already: pass paths or waveforms, or leave them out of the grid."
            )
        expert = first_part(expert)
    if name in batch:
        return name
    [only, *others] = batch.names
    if not (others or plan.domains) and len(batch.entries[only].rows.shape) >= 3:
        return only  # the only spectrograms there are, for all experts
    raise ValueError(
        f"The expert {name!r} begins with no domain and the DomainBatch has no entry of that "
        f"name; it holds {batch.names}. Add it, batch | {{{name!r}: table}}, rename the expert or "
        "the entry, or let the expert begin with a domain."
    )


def _entry_of_mixer(batch: DomainBatch, mixer_domain: Any, plan: Plan) -> str:
    """Return which entry of a batch the mixer sees."""
    if isinstance(mixer_domain, str) and mixer_domain in batch:
        return mixer_domain
    try:
        return batch.name_of(domain_of_mixer(mixer_domain, plan.domains))
    except ValueError:
        if mixer_domain is not None:
            raise
    spectrograms = [name for name in batch.names if len(batch.entries[name].rows.shape) == 3]
    return "original" if "original" in batch else (spectrograms or batch.names)[0]


def take_clips(X: Any, rows: Any) -> Any:
    """Return some clips, in whatever form; rows of a mapped array go to a file, not to memory."""
    if isinstance(X, Rows):
        return X.pick(rows)
    if isinstance(X, np.ndarray) and X.ndim >= 3:
        return Rows(X, rows).array()
    return X.take(rows) if isinstance(X, Clips) else _safe_indexing(X, rows)


def split_expert(expert: Any, view: Any) -> tuple[Any, Any]:
    """Return what of an expert is still to be fitted or asked, and the data that it gets.

    That is the steps behind the domain of a plain pipeline, and an expert as a whole where the
    domain is wrapped deeper, which then lets the features through. What an expert does to its data
    in place reaches neither the user nor other experts.
    """
    if not isinstance(view, Rows):
        return expert, read_only(view) if isinstance(view, np.ndarray) else deepcopy(view)
    if isinstance(expert, Pipeline) and isinstance(expert.steps[0][1], BaseDomain):
        return expert[1:], view.array()
    is_wrapped = leading_domain(expert) is not None
    return expert, DomainView.of_rows(view) if is_wrapped else view.array()


# What experts predict.


def expert_proba_of(experts: Experts, views: Sequence[Any], classes: NDArray) -> NDArray:
    """Return what fitted experts think of clips, (n_clips, n_experts, n_classes)."""
    probas = [
        predict_expert(name, expert, view, classes) for (name, expert), view in zip(experts, views)
    ]
    return np.stack(probas, axis=1)


def predict_expert(
    name: str, expert: Any, view: Any, classes: NDArray, rows: NDArray | None = None
) -> NDArray[np.float64]:
    """Return an expert's aligned probabilities, some clips at a time if they may be mapped."""
    is_large = isinstance(view, Rows) or np.ndim(view) >= 3
    step = _CLIPS_AT_A_TIME if is_large else max(1, len(view))
    rows = np.arange(len(view)) if rows is None else rows
    probas = [np.zeros((0, len(classes)))]
    try:
        for start in range(0, len(view), step):
            some = slice(start, start + step)
            part = view if step >= len(view) else take_clips(view, some)
            probas.append(aligned_proba(*split_expert(expert, part), classes, rows[some]))
    except Exception as error:
        raise explain(error, name, expert, view)  # noqa: B904
    return np.concatenate(probas)


def explain(error: Exception, name: str, expert: Any, view: Any) -> Exception:
    """Say which expert failed, and why one that can't make anything of paths was given some."""
    is_paths = isinstance(view, np.ndarray) and view.dtype == object
    if not is_paths or not isinstance(error, ValueError):
        error.add_note(f"This comes from the expert {name!r}.")
        return error
    better = ValueError(
        f"X holds paths, and the expert {name!r}, {expert!r}, begins with no feature domain: it "
        f"was given the paths, which it can't use ({error}). For one that is made for a table, add "
        f"that to a DomainBatch and pass it: clf.extract(X) | {{{name!r}: table}}."
    )
    better.__cause__ = error
    return better


def aligned_proba(expert: Any, X: Any, classes: NDArray, rows: NDArray | None = None) -> NDArray:
    """Return an expert's probabilities with one column for each of `classes`.

    Classes that the expert has never seen get zeros; `rows` numbers the clips in messages.
    """
    given = np.asarray(expert.predict_proba(X), dtype=np.float64)
    decides = type(getattr(expert, "_final_estimator", expert)).__name__
    if given.shape[1:] != (len(expert.classes_),):
        raise ValueError(
            f"predict_proba of the expert {decides} gave an array of shape {given.shape}; expected "
            f"a row per clip and a column for each of its {len(expert.classes_)} classes."
        )
    total = given.sum(axis=1)
    wrong = np.flatnonzero(~(np.isfinite(total) & (total > 0) & (given >= 0).all(axis=1)))
    if len(wrong):
        clips = wrong if rows is None else rows[wrong]
        raise ValueError(
            f"predict_proba of the expert {decides} gave no probabilities for {len(wrong)} of "
            f"{len(given)} clips (rows {some_rows(clips.tolist())}), the first is "
            f"{given[wrong[0]]}; expected numbers of zero or above, not all zero."
        )
    proba = np.zeros((len(given), len(classes)))
    proba[:, np.searchsorted(classes, expert.classes_)] = given
    return proba / total[:, np.newaxis]


class FoldAverage(ClassifierMixin, BaseEstimator):
    """One expert whose prediction is the mean of those of `models`, those of the folds."""

    def __init__(self, models: list[Any]) -> None:
        self.models = models

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(model, "classes_") for model in self.models)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.models[0])

    def fit(self, X: Any, y: Any, **params: Any) -> FoldAverage:
        """Train all models on the same clips."""
        self.models = [clone(model).fit(X, y, **params) for model in self.models]
        return self

    @property
    def classes_(self) -> NDArray:
        """All classes that one of the models knows."""
        return np.unique(np.concatenate([model.classes_ for model in self.models]))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the models' probabilities."""
        return np.mean([aligned_proba(model, X, self.classes_) for model in self.models], axis=0)

    def predict(self, X: Any) -> NDArray:
        """Return the most probable class of each clip."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
