"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import warnings
from contextlib import closing
from typing import NamedTuple

import numpy as np

from .._compat import progress_bar
from .._parallel import map_clips
from .._rows import Rows
from ..audio import (
    BadClipError,
    Segment,
    SourceExcerpt,
    decode_parts,
    fix_length,
    seconds_of_file,
)
from ._analysis import ClipAnalysis
from ._batch import DomainBatch
from ._store import cache_folder, clip_key, store_for


class ClipFeatures(NamedTuple):
    """What came of a clip: its features by domain, and its length where it goes on."""

    features: dict[str, np.ndarray]
    seconds: float | None


def extract(clips, plan, *, on_error, n_jobs, verbose, memory=None, dtype="float32"):
    """Compute several domains of each clip.

    Parameters
    ----------
    clips : Clips
        Paths, excerpts or waveforms.
    plan : Plan
        What to compute; domains that compute the same share an array.
    on_error : {"raise", "warn"}
        What to do about bad clips.
    n_jobs, verbose : int
        As everywhere.
    memory : str, Path or joblib.Memory, default=None
        Folder of the cache; None computes everything into memory.
    dtype : {"float32", "float16"}, default="float32"
        Type of the features.

    Returns
    -------
    batch : DomainBatch
        The features.
    seconds : dict of str to float
        Lengths of the files that go on behind what was read of them, by path.
    """
    n_clips, domains = len(clips), plan.distinct
    keys: list = list(range(n_clips))
    stores: dict = dict.fromkeys(domains)
    folder = None if memory is None else cache_folder(memory)
    if folder is not None:
        keys = [clip_key(clips.items[i]) for i in range(n_clips)]
        stores = {
            name: store_for(folder, domain, plan.keys[name][1], _width(clips, domain), dtype)
            for name, domain in domains.items()
        }
    columns = {name: _Column(domains[name], keys, dtype, store) for name, store in stores.items()}
    # One task per clip that lacks something, even where the clip comes several times.
    places: dict = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    tasks = {}
    for key, where in places.items():
        lacking = {n: domains[n] for n, c in columns.items() if (c.rows[where] < 0).any()}
        if lacking:
            tasks[key] = (clips.items[where[0]], lacking, dtype, where[0])
    if tasks:
        for domain in domains.values():
            domain._prepare()
    bad: dict[int, str] = {}
    seconds: dict[str, float] = {}

    def put(name, where, key, features):
        try:
            columns[name].put(where, key, features)
        except OSError as error:
            warnings.warn(
                f"{stores[name].folder} can't be written ({error.strerror}): the features are "
                "kept in memory instead, and computed again next time; make room there, or "
                "give another folder as memory",
                stacklevel=5,
            )
            for column in columns.values():
                column.is_full = True
            columns[name].put(where, key, features)

    with closing(map_clips(extract_clip, tasks.values(), n_jobs)) as results:
        progress = progress_bar(results, total=len(tasks), unit="clip", disable=not verbose)
        for key, result in zip(tasks, progress, strict=True):
            if isinstance(result, BadClipError):
                if on_error == "raise":
                    raise result
                bad |= dict.fromkeys(places[key], str(result))
                continue
            if result.seconds is not None:
                seconds[tasks[key][0]] = result.seconds
            for name, features in result.features.items():
                put(name, places[key], key, features)
    if bad:  # no file has this key, so it is safe to share among all bad clips
        for name, column in columns.items():
            shape = column.shape or _shape(clips, domains[name])
            put(name, list(bad), "bad", np.full(shape, np.nan))
    rows = {name: column.finished() for name, column in columns.items()}
    arrays = {name: rows[entry] for name, entry in plan.entries.items()}
    paths = None if clips.seconds else clips.paths
    bad = dict(sorted(bad.items()))
    return DomainBatch(arrays, plan, bad_clips=bad, paths=paths), seconds


class _Column:
    """Features of one domain: rows of a store, or an array where there is none or it is full."""

    def __init__(self, domain, keys, dtype, store):
        self.domain = domain
        self.store = store
        self.array = None
        self.dtype = dtype
        self.is_full = store is None
        self.rows = np.full(len(keys), -1) if store is None else store.find(keys)

    @property
    def shape(self):
        """Shape of a clip's features; None if no clip has told."""
        if self.array is not None:
            return self.array.shape[1:]
        return None if self.store is None else self.store.shape

    def put(self, where, key, features):
        """Take the features of a clip, which comes at some rows."""
        if not self.is_full:
            self.rows[where] = self.store.write(key, features)
            return
        if self.array is None:
            self.array = np.empty((len(self.rows), *features.shape), self.dtype)
        if features.shape != self.shape:
            raise ValueError(
                f"{type(self.domain).__name__}.features returned the shape {features.shape} for "
                f"clip {where[0]} and {self.shape} for those before; the features of a domain "
                "need one shape for all clips"
            )
        self.array[where] = features

    def finished(self) -> Rows:
        """Return all rows: those of the store, or all in memory if it could not take some."""
        if self.array is None:
            return Rows(self.store.map(), self.rows)
        saved = np.flatnonzero(self.rows >= 0)
        if len(saved):
            self.array[saved] = self.store.map()[self.rows[saved]]
        return Rows(self.array)


def extract_clip(task):
    """Compute some domains of one clip, with one decode and one analysis.

    Parameters
    ----------
    task : tuple of (str, SourceExcerpt or ndarray), (dict of str to BaseDomain), str and int
        The path, excerpt or waveform, what to compute, its type, and the row of the clip.

    Returns
    -------
    result : ClipFeatures or BadClipError
        The features. An error is returned, not raised, so that the first bad clip in order is
        reported and not the first in time.
    """
    clip, domains, dtype, row = task
    features = {}
    try:
        analyses, goes_on = _analyses(clip, list(domains.values()))
        for (name, domain), analysis in zip(domains.items(), analyses, strict=True):
            with np.errstate(over="ignore"):  # beyond float16: found by the next line
                features[name] = domain.spectrogram(analysis).astype(dtype, copy=False)
            if not np.isfinite(features[name]).all():
                raise BadClipError(
                    clip if isinstance(clip, str) else getattr(clip, "path", f"waveform {row}"),
                    f"{type(domain).__name__} computes NaN or infinity ({dtype}) of it; expected "
                    "finite features of every clip: mend the domain, or leave the clip out",
                )
    except BadClipError as error:
        return error
    return ClipFeatures(features, seconds_of_file(clip) if goes_on else None)


def _analyses(clip, domains) -> tuple[list[ClipAnalysis], bool]:
    """Return the analysis of the part that each domain sees, and whether a file may go on.

    Domains that see the same share an analysis.
    """
    made: dict = {}
    if not isinstance(clip, (str, SourceExcerpt)):
        rates = [domain.sample_rate for domain in domains]
        made = {rate: ClipAnalysis(clip, rate) for rate in rates}
        return [made[rate] for rate in rates], False
    min_samples = max(domain.n_fft for domain in domains)
    if isinstance(clip, SourceExcerpt):
        parts = [Segment(domain.file_rate, clip.offset, clip.seconds) for domain in domains]
        waveforms = clip.waveforms([p.sample_rate for p in parts], min_samples=min_samples)
    else:
        parts = [Segment(domain.file_rate, domain.offset, domain.duration) for domain in domains]
        waveforms = decode_parts(clip, parts, min_samples=min_samples)
    analyses = []
    goes_on = False
    for domain, part, waveform in zip(domains, parts, waveforms, strict=True):
        seconds = clip.seconds if isinstance(clip, SourceExcerpt) else domain.duration
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
