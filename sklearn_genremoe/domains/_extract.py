"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import warnings

import numpy as np
from sklearn.base import clone

from .._rows import Rows
from ..audio import BadClipError, Segment, SourceExcerpt, load_parts, process_clips
from ._analysis import ClipAnalysis
from ._batch import DomainBatch, Entry
from ._store import cache_folder, clip_key, store_for


def extract(clips, plan, *, on_error, n_jobs, verbose, memory=None, dtype="float32"):
    """Compute the domains of a plan for each clip; those that compute the same share an array.

    Return a batch, in which rows of bad clips are NaN, and the lengths of the files that go on
    behind what was read of them, by path.
    """
    folder = None if memory is None else cache_folder(memory)
    keys = list(range(len(clips)) if folder is None else map(clip_key, clips.items))
    columns = {}
    for name, domain in plan.distinct.items():
        width = clips.width or round((clips.seconds or domain.duration) * domain.file_rate)
        of = (domain, plan.keys[name][1], width, dtype)
        columns[name] = _Column(domain, width, keys, dtype, folder and store_for(folder, *of))
    # One task per clip that lacks something, even where the clip comes several times.
    places: dict = {}
    for row, key in enumerate(keys):
        places.setdefault(key, []).append(row)
    tasks = {}
    for key, (first, *_) in places.items():
        lacking = {name: x.domain for name, x in columns.items() if x.rows[first] < 0}
        if lacking:
            tasks[key] = (clips.items[first], lacking, dtype, first)
    if tasks:
        for column in columns.values():
            column.domain._prepare()

    def take(key, features):
        for name, x in features.items():
            columns[name].put(places[key], key, x)

    reasons, seconds = process_clips(extract_clip, tasks, take, on_error, n_jobs, verbose)
    bad = dict(sorted((row, why) for key, why in reasons.items() for row in places[key]))
    rows = {name: column.finished(list(bad)) for name, column in columns.items()}
    entries = {
        name: Entry(rows[plan.entries[name]], clone(domain), plan.keys[name], is_extracted=True)
        for name, domain in plan.domains.items()
    }
    paths = None if clips.seconds else clips.paths
    return DomainBatch(entries, bad_clips=bad, paths=paths), seconds


class _Column:
    """Features of one domain: rows of a store, or an array where there is none or it is full."""

    def __init__(self, domain, width, keys, dtype, store):
        self.domain, self.width, self.dtype, self.store = domain, width, dtype, store
        self.rows = np.full(len(keys), -1) if store is None else store.find(keys)
        self.shape = None if store is None else store.shape
        self.array: np.ndarray | None = None

    def put(self, where, key, features):
        """Take the features of a clip, which comes at some rows."""
        if self.shape not in (None, features.shape):
            found = f"{type(self.domain).__name__}.features returned the shape {features.shape}"
            expected = f"{self.shape} as for those before: one for all clips"
            raise ValueError(f"{found} for clip {where[0]}; expected {expected}")
        self.shape = features.shape
        if self.array is None and self.store is not None:
            try:
                self.rows[where] = self.store.write(key, features)
                return
            except OSError as error:
                found = f"{self.store.folder.parent} can't be written ({error.strerror})"
                advice = "make room there, or give another folder as memory"
                warnings.warn(f"{found}: the rest is kept in memory; {advice}", stacklevel=6)
        if self.array is None:
            self.array = np.empty((len(self.rows), *features.shape), self.dtype)
            saved = np.flatnonzero(self.rows >= 0)
            if len(saved):
                self.array[saved] = self.store.map()[self.rows[saved]]
        self.array[where] = features

    def finished(self, bad) -> Rows:
        """Return all rows, with NaN for bad clips."""
        if bad:
            shape = self.shape
            if shape is None:  # no clip could tell
                noise = np.random.default_rng(0).uniform(-1, 1, self.width)
                shape = self.domain.spectrogram(ClipAnalysis(noise, self.domain.file_rate)).shape
            # No file has this key, so it is safe to share among all bad clips.
            self.put(bad, "bad", np.full(shape, np.nan))
        return Rows(self.store.map(), self.rows) if self.array is None else Rows(self.array)


def extract_clip(task):
    """Compute some domains of one clip, with one decode; those that see the same part share it.

    A task holds the path, excerpt or waveform, what to compute, its type, and the row of the clip.
    Return the features by domain and the length of a file that goes on.
    """
    clip, domains, dtype, row = task
    parts: dict = dict.fromkeys(domains)
    seconds: dict[str, float] = {}
    if isinstance(clip, (str, SourceExcerpt)):
        for name, domain in domains.items():
            of = domain if isinstance(clip, str) else clip
            parts[name] = (Segment(domain.file_rate, of.offset, of.duration), domain.fill)
        distinct = list(dict.fromkeys(parts.values()))
        waveforms, seconds = load_parts(clip, distinct, max(x.n_fft for x in domains.values()))
        made = {part: ClipAnalysis(x, part[0].sample_rate) for part, x in zip(distinct, waveforms)}
    else:
        made = {None: ClipAnalysis(clip, next(iter(domains.values())).sample_rate)}
    features = {}
    for name, domain in domains.items():
        with np.errstate(over="ignore"):  # beyond float16: found by the next line
            features[name] = domain.spectrogram(made[parts[name]]).astype(dtype, copy=False)
        if not np.isfinite(features[name]).all():
            where = clip if isinstance(clip, str) else getattr(clip, "path", f"waveform {row}")
            found = f"{type(domain).__name__} computes NaN or infinity ({dtype}) of it"
            raise BadClipError(where, f"{found}; mend the domain, or leave the clip out")
    return features, seconds
