"""What each expert sees of the clips, extracted once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import validate_data

from .._memmap import release_pages
from .._validation import check_clips, check_finite, kind_of_clips, without_torch
from ..domains import BaseDomain, DomainBatch, DomainUnion, LogMelSpectrogram
from ._cross_fitting import FoldAverage

_SIGNAL = ("sample_rate", "duration", "offset", "n_fft", "hop_length", "n_mels", "fmin", "fmax")

Experts = Sequence[tuple[str, Any]]


def leading_domain(expert: Any) -> BaseDomain | None:
    """Return the feature domain that an expert begins with, if it does.

    Parameters
    ----------
    expert : estimator
        A classifier, often a Pipeline.

    Returns
    -------
    domain : BaseDomain or None
        Its first step, looked for in nested, frozen, calibrated and averaged pipelines too.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_genremoe import CNNClassifier, HarmonicSpectrogram
    >>> leading_domain(make_pipeline(HarmonicSpectrogram(), CNNClassifier()))
    HarmonicSpectrogram()
    """
    if isinstance(expert, BaseDomain):
        return expert
    if isinstance(expert, Pipeline):
        return leading_domain(expert.steps[0][1])
    if isinstance(expert, (FrozenEstimator, CalibratedClassifierCV)):
        return leading_domain(expert.estimator)
    if isinstance(expert, FoldAverage):
        return leading_domain(expert.models[0])
    return None


def domain_of_mixer(given: Any, experts: Experts) -> BaseDomain:
    """Return the domain in which a mixer looks at clips that come as audio.

    Parameters
    ----------
    given : BaseDomain, str or None
        What the user asked for: a domain, the name of an expert, or None.
    experts : sequence of (str, estimator)
        The experts that take part.

    Returns
    -------
    domain : BaseDomain
        The domain. For None the first original spectrogram among the experts, else the
        original spectrogram with the signal parameters of the first expert that has a domain.
    """
    domains = {name: leading_domain(expert) for name, expert in experts}
    if isinstance(given, BaseDomain):
        return given
    if isinstance(given, str):
        domain = domains.get(given)
        if domain is None:
            having = [name for name, domain in domains.items() if domain is not None]
            raise ValueError(
                f"mixer_domain={given!r} names no expert that begins with a domain; those that "
                f"do are {having}. Give one of them, or a domain such as LogMelSpectrogram()."
            )
        return domain
    found = [domain for domain in domains.values() if domain is not None]
    for domain in found:
        if isinstance(domain, LogMelSpectrogram):
            return domain
    # An embedding has no frames, but reads the same part of the clip.
    first = next((d for d in found if hasattr(d, "hop_length")), found[0] if found else None)
    return LogMelSpectrogram(**{n: getattr(first, n) for n in _SIGNAL if hasattr(first, n)})


def check_X(estimator: Any, X: Any, experts: Experts, *, reset: bool) -> Any:
    """Validate clips for an estimator, setting or checking its `n_features_in_`.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator on whose behalf X is checked.
    X : sequence of str or Path, array-like or DomainBatch
        The clips.
    experts : sequence of (str, estimator)
        The experts; the first that begins with a domain says how much of a file is read.
    reset : bool
        Whether to set `n_features_in_` (in fit) or to check it.

    Returns
    -------
    X : ndarray or DomainBatch
        Paths as an array of str, numbers in 2-D or 3-D, a DomainBatch as it is.
    """
    if isinstance(X, DomainBatch):
        if X.bad_clips:
            raise ValueError(
                f"The DomainBatch has clips without features: {X.bad_clips}. Leave them out: "
                "batch[rows] with the other rows, and the same rows of y."
            )
        return X
    X = without_torch(X)
    if kind_of_clips(X) == "spectrograms":
        if np.ndim(X) != 3:
            raise ValueError(
                f"X has {np.ndim(X)} dimensions; {type(estimator).__name__} expects paths (a 1-D "
                "sequence of str or Path), waveforms of shape (n_clips, n_samples) or "
                "spectrograms of shape (n_clips, n_bins, n_frames)."
            )
        _refuse_domains(experts)
        X = validate_data(estimator, X, allow_nd=True, reset=reset, ensure_all_finite=False)
        check_finite(X, release_pages)
        return X
    path_samples = domain_of_mixer(None, experts).n_samples
    clips = check_clips(estimator, X, path_samples=path_samples, reset=reset)
    return clips.waveforms if clips.paths is None else np.array(clips.paths, dtype=object)


def look_at(
    X: Any,
    experts: Experts,
    *,
    with_clips: bool,
    mixer_domain: Any = None,
    memory: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> tuple[list[Any], NDArray | None]:
    """Return what each expert and the mixer see of the clips.

    Parameters
    ----------
    X : list of str, ndarray or DomainBatch
        The clips, validated.
    experts : sequence of (str, estimator)
        The experts that take part.
    with_clips : bool
        Whether the mixer looks at the clips.
    mixer_domain : BaseDomain, str or None, default=None
        In which domain, or which entry of a DomainBatch.
    memory, n_jobs, verbose : object
        As in :class:`~sklearn_genremoe.DomainUnion`.

    Returns
    -------
    views : list
        For each expert what its ``fit`` and ``predict_proba`` take: a DomainBatch with the
        domain that it begins with, or X, or the entry of a DomainBatch of its name or of the name
        of another expert that begins with the same domain.
    clips : ndarray of shape (n_clips, n_bins, n_frames) or None
        What the mixer looks at.
    """
    if isinstance(X, DomainBatch):
        domains = {name: leading_domain(expert) for name, expert in experts}
        views = [_pick(X, name, domains) for name in domains]
        return views, _clips_of_batch(X, mixer_domain, experts) if with_clips else None
    kind = kind_of_clips(X)
    if kind == "spectrograms":
        if mixer_domain is not None:
            raise ValueError(
                f"X holds spectrograms (3 dimensions), at which the mixer looks as they are: "
                f"mixer_domain={mixer_domain!r} doesn't apply. Pass paths, waveforms or a "
                "DomainBatch, or leave mixer_domain=None."
            )
        return [X] * len(experts), X if with_clips else None
    wanted = {name: leading_domain(expert) for name, expert in experts}
    entries = [domain for domain in wanted.values() if domain is not None]
    of_mixer = None
    if with_clips and (kind == "paths" or entries or mixer_domain is not None):
        of_mixer = domain_of_mixer(mixer_domain, experts)
        entries.append(of_mixer)
    if not entries:
        # Numbers that no expert takes for audio: one frame per clip, as CNNClassifier has it.
        return [X] * len(experts), X[:, :, np.newaxis] if with_clips else None
    named = [(f"domain {number}", domain) for number, domain in enumerate(entries)]
    batch = DomainUnion(named, memory=memory, n_jobs=n_jobs, verbose=verbose).transform(X)
    views = [X if domain is None else _pick(batch, name, wanted) for name, domain in wanted.items()]
    return views, None if of_mixer is None else batch.find(of_mixer)


def _pick(batch: DomainBatch, name: str, domains: Mapping[str, BaseDomain | None]) -> Any:
    """Return what an expert takes from a batch; `domains` are those that the experts begin with."""
    domain = domains[name]
    if domain is not None:
        alike = [n for n, d in domains.items() if d is not None and d.signature == domain.signature]
        entry = next((n for n in [name, *alike] if n in batch), name)
        return batch.take_domains({entry: domain})
    if name in batch:
        return batch[name]
    if len(batch.names) == 1:
        return batch[batch.names[0]]
    raise ValueError(
        f"The expert {name!r} begins with no domain and the DomainBatch has no entry of that "
        f"name; it holds {batch.names}. Rename the expert or the entry, or let the expert "
        "begin with a domain."
    )


def _clips_of_batch(batch: DomainBatch, given: Any, experts: Experts) -> NDArray:
    """Return what the mixer looks at in a batch."""
    if isinstance(given, str) and given in batch:
        return batch[given]
    if given is not None:
        return batch.find(domain_of_mixer(given, experts))
    original = domain_of_mixer(None, experts)
    for name, domain in batch.domains.items():
        if domain.signature == original.signature:
            return batch[name]
    return batch["original" if "original" in batch else batch.names[0]]


def _refuse_domains(experts: Experts) -> None:
    """Raise if an expert would need audio where X holds spectrograms."""
    names = [name for name, expert in experts if leading_domain(expert) is not None]
    if names:
        raise ValueError(
            f"X holds spectrograms (3 dimensions), but the experts {names} begin with a domain, "
            "which starts from audio: pass paths, waveforms (2 dimensions) or a DomainBatch, or "
            "leave the domains out of the experts."
        )
