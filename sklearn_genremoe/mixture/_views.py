"""What each expert sees of the clips, extracted once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from .._clips import Clips, raise_bad_rows
from ..domains import BaseDomain, DomainBatch, DomainUnion, LogMelSpectrogram
from ._training_clips import take_clips

_SIGNAL = ("sample_rate", "duration", "offset", "n_fft", "hop_length", "n_mels", "fmin", "fmax")

Experts = Sequence[tuple[str, Any]]


class Views(NamedTuple):
    """What each expert takes, what the mixer takes (or None), and the bad clips with reasons."""

    of_experts: list[Any]
    of_mixer: NDArray | None
    bad_clips: dict[int, str]

    def take(self, rows: NDArray[np.intp]) -> Views:
        """Return what is seen of some of the clips, of which none is bad."""
        of_mixer = None if self.of_mixer is None else take_clips(self.of_mixer, rows)
        return Views([take_clips(view, rows) for view in self.of_experts], of_mixer, {})


def leading_domain(expert: Any) -> BaseDomain | None:
    """Return the feature domain that an expert begins with, if it does.

    Looked for in nested pipelines and behind every wrapper that keeps its estimator as
    ``estimator`` (calibrated, frozen, grid-searched ...; what a search found, if it has) or its
    models as ``models``.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_genremoe import CNNClassifier, HarmonicSpectrogram
    >>> leading_domain(make_pipeline(HarmonicSpectrogram(), CNNClassifier()))
    HarmonicSpectrogram()
    """
    while not isinstance(expert, BaseDomain):
        if isinstance(expert, Pipeline):
            expert = expert.steps[0][1]
        elif hasattr(expert, "best_estimator_"):
            expert = expert.best_estimator_
        elif hasattr(expert, "estimator"):
            expert = expert.estimator
        elif getattr(expert, "models", None):
            expert = expert.models[0]
        else:
            return None
    return expert


def leading_domains(experts: Experts) -> dict[str, BaseDomain]:
    """Return the domains of those experts that begin with one, by name."""
    found = {name: leading_domain(expert) for name, expert in experts}
    return {name: domain for name, domain in found.items() if domain is not None}


def domain_of_mixer(given: Any, domains: Mapping[str, BaseDomain]) -> BaseDomain:
    """Return the domain in which a mixer sees clips that come as audio.

    `given` is a domain, the name of an expert, or None: the first original spectrogram among the
    experts, else one with the signal parameters of the first expert that has a domain.
    """
    if isinstance(given, BaseDomain):
        return given
    if isinstance(given, str):
        if given not in domains:
            raise ValueError(
                f"mixer_domain={given!r} names no expert that begins with a domain; those that "
                f"do are {list(domains)}. Give one of them, or a domain such as "
                "LogMelSpectrogram()."
            )
        return domains[given]
    for domain in domains.values():
        if isinstance(domain, LogMelSpectrogram):
            return domain
    # A table such as an embedding has no frames, but is read from the same part of the clip.
    found = list(domains.values())
    first = next((d for d in found if hasattr(d, "hop_length")), found[0] if found else None)
    return LogMelSpectrogram(**{n: getattr(first, n) for n in _SIGNAL if hasattr(first, n)})


def make_union(experts: Experts, *, with_mixer: bool, mixer_domain: Any, **how: Any) -> DomainUnion:
    """Return the union of all domains that experts and mixer need."""
    domains = leading_domains(experts)
    entries = list(domains.items())
    if with_mixer:
        of_mixer = domain_of_mixer(mixer_domain, domains)
        if all(of_mixer.signature != domain.signature for domain in domains.values()):
            entries.append(("mixer", of_mixer))
    if not entries:
        raise ValueError(
            "no expert begins with a feature domain, so there is nothing to extract: pass X to "
            "fit as it is, or let the experts begin with domains, for example "
            "make_pipeline(LogMelSpectrogram(), CNNClassifier())."
        )
    return DomainUnion(entries, **how)


def extract_views(
    X: Any, experts: Experts, *, with_clips: bool, mixer_domain: Any, **how: Any
) -> Views:
    """Return what each expert and the mixer see of validated clips.

    An expert gets a DomainBatch of the domain that it begins with, else `X` as it is, or the
    entry of a DomainBatch of its name. `how` goes to :class:`DomainUnion`.
    """
    names = [name for name, _ in experts]
    domains = leading_domains(experts)
    if isinstance(X, DomainBatch):
        entries = _entries(X, names, domains)
        views = [
            X.take_domains({entry: domains[name]}) if name in domains else X.table(entry)
            for name, entry in entries.items()
        ]
        seen = list(entries.values())
        of_mixer = None
        if with_clips:
            seen.append(_entry_of_mixer(X, mixer_domain, domains))
            of_mixer = _with_frames(X[seen[-1]])
        bad = X.bad_rows()
        for entry in dict.fromkeys(seen):  # some share an entry
            kind = "table" if X._ndim_of(entry) == 2 else "entry"
            for row in X.rows_without_numbers(entry):
                bad.setdefault(row, f"its row {row} in the {kind} {entry!r} holds NaN or infinity")
        bad = dict(sorted(bad.items()))
        if bad and how["on_error"] == "raise":
            raise_bad_rows(bad)
        return Views(views, of_mixer, bad)
    if not isinstance(X, Clips):
        return Views([X] * len(names), _numbers_for_mixer(X, mixer_domain, with_clips), {})
    if not domains and not with_clips:
        return Views([X.given] * len(names), None, {})
    union = make_union(experts, with_mixer=with_clips, mixer_domain=mixer_domain, **how)
    batch = union.transform(X)
    views = [
        batch.take_domains({name: domains[name]}) if name in domains else X.given for name in names
    ]
    clips = None
    if with_clips:
        clips = _with_frames(batch.find(domain_of_mixer(mixer_domain, domains)))
    return Views(views, clips, batch.bad_clips)


def _numbers_for_mixer(X: NDArray, mixer_domain: Any, with_clips: bool) -> NDArray | None:
    """Return numbers that no expert takes for audio as a mixer sees them."""
    if mixer_domain is not None and X.ndim >= 3:
        raise ValueError(
            f"X holds spectrograms ({X.ndim} dimensions), which the mixer sees as they are: "
            f"mixer_domain={mixer_domain!r} doesn't apply. Pass paths, waveforms or a "
            "DomainBatch, or leave mixer_domain=None."
        )
    if not with_clips:
        return None
    return _with_frames(X)


def _with_frames(X: NDArray) -> NDArray:
    """Return a table as spectrograms of one frame, as CNNClassifier has it."""
    return X if X.ndim >= 3 else X[:, :, np.newaxis]


def _entries(
    batch: DomainBatch, names: Sequence[str], domains: Mapping[str, BaseDomain]
) -> dict[str, str]:
    """Return which entry of a batch each expert takes; `domains` are those they begin with."""
    entries = {}
    for name in names:
        if name in domains:
            domain, entry = domains[name], name
            if name not in batch:  # made by hand: the name of an expert with the same domain
                alike = [
                    n for n, d in domains.items() if n in batch and d.signature == domain.signature
                ]
                entry = alike[0] if alike else name
            entries[name] = batch.name_of(domain, entry)
        elif name in batch:
            entries[name] = name
    others = [name for name in names if name not in entries]
    only = batch.names[0]
    # Any network may take the only spectrograms there are; a table is its own expert's.
    shared = len(batch.names) == 1 and (len(names) == 1 or batch._ndim_of(only) >= 3)
    if not others or (shared and not domains):
        return {name: entries.get(name, only) for name in names}
    name = others[0]
    raise ValueError(
        f"The expert {name!r} begins with no domain and the DomainBatch has no entry of that "
        f"name; it holds {batch.names}. Add it, batch | {{{name!r}: table}}, rename the expert or "
        "the entry, or let the expert begin with a domain."
    )


def _entry_of_mixer(batch: DomainBatch, given: Any, domains: Mapping[str, BaseDomain]) -> str:
    """Return which entry of a batch the mixer sees."""
    if isinstance(given, str) and given in batch:
        return given
    if given is not None:
        return batch.name_of(domain_of_mixer(given, domains))
    original = domain_of_mixer(None, domains).signature
    for name, signature in batch._signatures.items():
        if signature == original:
            return name
    if "original" in batch:
        return "original"
    return next((name for name in batch.names if batch._ndim_of(name) == 3), batch.names[0])
