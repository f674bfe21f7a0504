"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import warnings
from contextlib import closing

import numpy as np
from sklearn.base import clone

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
from ._batch import DomainBatch, Entry
from ._store import cache_folder, clip_key, store_for


def extract(clips, plan, *, on_error, n_jobs, verbose, memory=None, dtype="float32"):
    """Compute the domains of a plan for each clip; those that compute the same share an array.

    Return a batch, in which rows of bad clips are NaN, and the lengths of the files that go on
    behind what was read of them, by path.
    """
    domains = plan.distinct
    folder = None if memory is None else cache_folder(memory)
    keys: list = list(range(len(clips)))
    if folder is not None:
        keys = [clip_key(clip) for clip in clips.items]
    columns = {}
    for name, domain in domains.items():
        store = None
        if folder is not None:
            width = _width(clips, domain)
            store = store_for(folder, domain, plan.keys[name][1], width, dtype)
        columns[name] = _Column(domain, keys, dtype, store)
    # One task per clip that lacks something, even where the clip comes several times.
    places: dict = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    tasks = {}
    for key, (first, *_) in places.items():
        lacking = {name: domains[name] for name, c in columns.items() if c.rows[first] < 0}
        if lacking:
            tasks[key] = (clips.items[first], lacking, dtype, first)
    if tasks:
        for domain in domains.values():
            domain._prepare()
    bad: dict[int, str] = {}
    seconds: dict[str, float] = {}
    with closing(map_clips(extract_clip, tasks.values(), n_jobs)) as results:
        progress = progress_bar(results, total=len(tasks), unit="clip", disable=not verbose)
        for key, result in zip(tasks, progress, strict=True):
            if isinstance(result, BadClipError):
                if on_error == "raise":
                    raise result
                bad |= dict.fromkeys(places[key], str(result))
                continue
            features, length = result
            if length is not None:
                seconds[tasks[key][0]] = length
            for name, x in features.items():
                columns[name].put(places[key], key, x)
    if bad:  # no file has this key, so it is safe to share among all bad clips
        for column in columns.values():
            shape = column.shape or _shape(clips, column.domain)
            column.put(list(bad), "bad", np.full(shape, np.nan))
    rows = {name: column.finished() for name, column in columns.items()}
    entries = {
        name: Entry(rows[plan.entries[name]], clone(domain), plan.keys[name], is_extracted=True)
        for name, domain in plan.domains.items()
    }
    paths = None if clips.seconds else clips.paths
    return DomainBatch(entries, bad_clips=dict(sorted(bad.items())), paths=paths), seconds


class _Column:
    """Features of one domain: rows of a store, or an array where there is none or it is full."""

    def __init__(self, domain, keys, dtype, store):
        self.domain = domain
        self.store = store
        self.array: np.ndarray | None = None
        self.dtype = dtype
        self.rows = np.full(len(keys), -1) if store is None else store.find(keys)

    @property
    def shape(self):
        """Shape of a clip's features; None if no clip has told."""
        if self.array is not None:
            return self.array.shape[1:]
        return None if self.store is None else self.store.shape

    def put(self, where, key, features):
        """Take the features of a clip, which comes at some rows."""
        if self.shape not in (None, features.shape):
            raise ValueError(
                f"{type(self.domain).__name__}.features returned the shape {features.shape} for "
                f"clip {where[0]} and {self.shape} for those before; the features of a domain "
                "need one shape for all clips"
            )
        if self.array is None and self.store is not None:
            try:
                self.rows[where] = self.store.write(key, features)
                return
            except OSError as error:
                warnings.warn(
                    f"{self.store.folder.parent} can't be written ({error.strerror}): the features "
                    "are kept in memory instead, and computed again next time; make room there, or "
                    "give another folder as memory",
                    stacklevel=5,
                )
        if self.array is None:
            self.array = np.empty((len(self.rows), *features.shape), self.dtype)
            saved = np.flatnonzero(self.rows >= 0)
            if len(saved):
                self.array[saved] = self.store.map()[self.rows[saved]]
        self.array[where] = features

    def finished(self) -> Rows:
        """Return all rows."""
        return Rows(self.store.map(), self.rows) if self.array is None else Rows(self.array)


def extract_clip(task):
    """Compute some domains of one clip, with one decode and one analysis.

    A task holds the path, excerpt or waveform, what to compute, its type, and the row of the clip.
    Return the features by domain, and the length of a file that goes on. An error is returned, not
    raised, so that the first bad clip in order is reported and not the first in time.
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
    return features, seconds_of_file(clip) if goes_on else None


def _analyses(clip, domains) -> tuple[list[ClipAnalysis], bool]:
    """Return the analysis of the part that each domain sees, and whether a file may go on.

    Domains that see the same share an analysis.
    """
    made: dict = {}
    if not isinstance(clip, (str, SourceExcerpt)):
        rates = [domain.sample_rate for domain in domains]
        made = {rate: ClipAnalysis(clip, rate) for rate in rates}
        return [made[rate] for rate in rates], False
    part_of = [
        (domain.offset, domain.duration) if isinstance(clip, str) else (clip.offset, clip.seconds)
        for domain in domains
    ]
    parts = [Segment(domain.file_rate, *part) for domain, part in zip(domains, part_of)]
    waveforms = decode_parts(clip, parts, min_samples=max(domain.n_fft for domain in domains))
    analyses = []
    goes_on = False
    for domain, (_, seconds), part, waveform in zip(domains, part_of, parts, waveforms):
        n_samples = round(seconds * part.sample_rate)
        fill = domain.fill if len(waveform) < n_samples else None
        if (part, fill) not in made:
            filled = waveform if fill is None else fix_length(waveform, n_samples, fill)
            made[part, fill] = ClipAnalysis(filled, part.sample_rate)
        analyses.append(made[part, fill])
        goes_on |= isinstance(clip, str) and len(waveform) == n_samples
    return analyses, goes_on


def _width(clips, domain) -> int:
    """Return how many samples a domain gets to see of each clip."""
    return clips.width or round((clips.seconds or domain.duration) * domain.file_rate)


def _shape(clips, domain) -> tuple[int, ...]:
    """Return the shape of what a domain computes, where no clip can tell."""
    noise = np.random.default_rng(0).uniform(-1, 1, _width(clips, domain))
    rate = domain.file_rate if clips.paths is not None else domain.sample_rate
    return domain.spectrogram(ClipAnalysis(noise, rate)).shape
