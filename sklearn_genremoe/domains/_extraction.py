"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import warnings
from contextlib import closing
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from .._parallel import map_clips
from .._rows import Rows
from ..audio import (
    BadClipError,
    BadClipWarning,
    Excerpt,
    Part,
    decode_parts,
    fix_length,
    seconds_of_file,
    warn_of_long_files,
)
from ._analysis import ClipAnalysis
from ._batch import DomainBatch
from ._store import clip_key, store_for


class Extraction(NamedTuple):
    """What came of an extraction.

    Attributes
    ----------
    batch : DomainBatch
        The features.
    seconds : dict of str to float
        Lengths of the files that go on behind what was read of them, by path.
    """

    batch: DomainBatch
    seconds: dict[str, float]


class ClipFeatures(NamedTuple):
    """What came of a clip: its features by domain, and its length where it goes on."""

    features: dict[str, np.ndarray]
    seconds: float | None


def extract(clips, domains, *, on_error, n_jobs, verbose, memory=None, dtype="float32", first=0):
    """Compute several domains of each clip.

    Parameters
    ----------
    clips : Clips
        Paths, excerpts or waveforms.
    domains : dict of str to BaseDomain
        What to compute; domains that compute the same share an array.
    on_error : {"raise", "warn"}
        What to do about bad clips.
    n_jobs, verbose : int
        As everywhere.
    memory : Path, default=None
        Folder of the cache; None computes everything into memory.
    dtype : {"float32", "float16"}, default="float32"
        Type of the features.
    first : int, default=0
        Number of the first clip, from which bad clips are numbered.

    Returns
    -------
    extraction : Extraction
        The features, and the lengths of long files.
    """
    signatures = {name: domain.signature for name, domain in domains.items()}
    names: dict[tuple, str] = {}
    for name, signature in signatures.items():
        names.setdefault(signature, name)
    distinct = {name: domains[name] for name in names.values()}
    seconds: dict[str, float] = {}

    def run(tasks):
        if tasks:
            for domain in distinct.values():
                domain._prepare()
        with closing(map_clips(extract_clip, tasks, n_jobs)) as results:
            bar = tqdm(results, total=len(tasks), unit="clip", disable=not verbose)
            for (clip, _), result in zip(tasks, bar, strict=True):
                if isinstance(result, BadClipError):
                    if on_error == "raise":
                        raise result
                    yield result
                    continue
                if result.seconds is not None:
                    seconds[clip] = result.seconds
                yield result.features

    if memory is None:
        features, bad = _compute_all(clips, distinct, run, dtype)
    else:
        stores = {
            name: store_for(memory, domain, signatures[name], _width(clips, domain), dtype)
            for name, domain in distinct.items()
        }
        features, bad = _compute_missing(clips, distinct, stores, run)
    batch = DomainBatch(
        {name: features[names[signature]] for name, signature in signatures.items()},
        domains,
        bad_clips={first + row: reason for row, reason in bad.items()},
        first_row=first,
    )
    return Extraction(batch, seconds)


def report(estimator, bad_clips, seconds, domains) -> None:
    """Keep on an estimator which clips are bad, and warn of these and of long files, once each."""
    if bad_clips or hasattr(estimator, "bad_clips_"):
        estimator.bad_clips_ = bad_clips
    if bad_clips:
        warnings.warn(BadClipWarning(bad_clips), stacklevel=5)
    warn_of_long_files(seconds, max(domain.offset + domain.duration for domain in domains))


def extract_clip(task):
    """Compute some domains of one clip, with one decode and one analysis.

    Parameters
    ----------
    task : tuple of (str, Excerpt or ndarray of shape (n_samples,)), (dict of str to BaseDomain)
        The path, excerpt or waveform, and what to compute.

    Returns
    -------
    result : ClipFeatures or BadClipError
        The features. An error is returned, not raised, so that the first bad clip in order is
        reported and not the first in time.
    """
    clip, domains = task
    try:
        analyses, goes_on = _analyses(clip, list(domains.values()))
    except BadClipError as error:
        return error
    features = {
        name: domain.spectrogram(analysis)
        for (name, domain), analysis in zip(domains.items(), analyses, strict=True)
    }
    return ClipFeatures(features, seconds_of_file(clip) if goes_on else None)


def _analyses(clip, domains) -> tuple[list[ClipAnalysis], bool]:
    """Return the analysis of the part that each domain sees, and whether a file may go on.

    Domains that see the same share an analysis.
    """
    made: dict = {}
    if not isinstance(clip, (str, Excerpt)):
        rates = [domain.sample_rate for domain in domains]
        made = {rate: ClipAnalysis(clip, rate) for rate in rates}
        return [made[rate] for rate in rates], False
    min_samples = max(domain.n_fft for domain in domains)
    if isinstance(clip, Excerpt):
        parts = [Part(domain.file_rate, clip.offset, clip.seconds) for domain in domains]
        waveforms = clip.waveforms([p.sample_rate for p in parts], min_samples=min_samples)
    else:
        parts = [Part(domain.file_rate, domain.offset, domain.duration) for domain in domains]
        waveforms = decode_parts(clip, parts, min_samples=min_samples)
    analyses = []
    goes_on = False
    for domain, part, waveform in zip(domains, parts, waveforms, strict=True):
        seconds = clip.seconds if isinstance(clip, Excerpt) else domain.duration
        n_samples = round(seconds * part.sample_rate)
        fill = domain.fill if len(waveform) < n_samples else None
        if (part, fill) not in made:
            filled = waveform if fill is None else fix_length(waveform, n_samples, fill)
            made[part, fill] = ClipAnalysis(filled, part.sample_rate)
        analyses.append(made[part, fill])
        goes_on |= len(waveform) == n_samples
    return analyses, goes_on and isinstance(clip, str)


def _width(clips, domain) -> int:
    """Return how many samples a domain gets to see of each clip."""
    return clips.width or round((clips.seconds or domain.duration) * domain.file_rate)


def _shape(clips, domain) -> tuple[int, ...]:
    """Return the shape of what a domain computes, where no clip can tell."""
    noise = np.random.default_rng(0).uniform(-1, 1, _width(clips, domain))
    rate = domain.file_rate if clips.paths is not None else domain.sample_rate
    return domain.spectrogram(ClipAnalysis(noise, rate)).shape


def _compute_all(clips, domains, run, dtype):
    """Compute every clip, into memory."""
    arrays: dict[str, np.ndarray] = {}
    bad: dict[int, str] = {}
    with closing(run([(clips.item(i), domains) for i in range(len(clips))])) as results:
        for row, result in enumerate(results):
            if isinstance(result, BadClipError):
                bad[row] = str(result)
                continue
            for name, features in result.items():
                if name not in arrays:
                    arrays[name] = np.empty((len(clips), *features.shape), dtype)
                if features.shape != arrays[name].shape[1:]:
                    raise ValueError(
                        f"{type(domains[name]).__name__}.features returned the shape "
                        f"{features.shape} for clip {row} and {arrays[name].shape[1:]} for those "
                        "before; the features of a domain need one shape for all clips"
                    )
                arrays[name][row] = features
    for name in domains.keys() - arrays.keys():  # there are bad clips only
        arrays[name] = np.empty((len(clips), *_shape(clips, domains[name])), dtype)
    for array in arrays.values():
        array[list(bad)] = np.nan
    return arrays, bad


def _compute_missing(clips, domains, stores, run):
    """Compute what the stores lack, and map the stores."""
    keys = [clip_key(clips.item(i)) for i in range(len(clips))]
    rows = {name: store.find(keys) for name, store in stores.items()}
    # One task per clip that lacks something, even where the clip comes several times.
    places: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    lacking = {
        key: {name: domain for name, domain in domains.items() if (rows[name][where] < 0).any()}
        for key, where in places.items()
    }
    todo = [key for key in places if lacking[key]]
    bad: dict[int, str] = {}
    unsaved: dict[str, dict[int, np.ndarray]] = {name: {} for name in stores}

    def save(name, key, features, where):
        if not any(unsaved.values()):
            try:
                rows[name][where] = stores[name].write(key, features)
                return
            except OSError as error:
                warnings.warn(
                    f"{stores[name].folder} can't be written ({error.strerror}): the features are "
                    "kept in memory instead, and computed again next time; make room there, or "
                    "give another folder as memory",
                    stacklevel=7,
                )
        unsaved[name] |= dict.fromkeys(where, features)

    with closing(run([(clips.item(places[key][0]), lacking[key]) for key in todo])) as results:
        for key, result in zip(todo, results, strict=True):
            if isinstance(result, BadClipError):
                bad |= dict.fromkeys(places[key], str(result))
                continue
            for name, features in result.items():
                save(name, key, features, places[key])
    if bad:  # no file has this key, so it is safe to share among all bad clips
        for name, store in stores.items():
            shape = store.shape or _shape(clips, domains[name])
            save(name, "bad", np.full(shape, np.nan), list(bad))
    features = {name: _gather(store, rows[name], unsaved[name]) for name, store in stores.items()}
    return features, dict(sorted(bad.items()))


def _gather(store, rows, unsaved):
    """Return rows of a store, in memory if there are some that it could not take."""
    if not unsaved:
        return Rows(store.map(), rows)
    shape = next(iter(unsaved.values())).shape
    array = np.empty((len(rows), *shape), store.dtype)
    saved = np.flatnonzero(rows >= 0)
    if len(saved):
        array[saved] = store.map()[rows[saved]]
    for row, features in unsaved.items():
        array[row] = features
    return array
