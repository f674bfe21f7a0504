"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import warnings

import numpy as np
from tqdm.auto import tqdm

from .._memmap import Rows
from .._parallel import map_clips
from ..audio import BadClipError, BadClipWarning, Part, decode_parts, fix_length
from ._analysis import ClipAnalysis
from ._batch import DomainBatch
from ._store import clip_key, store_for


def extract(clips, domains, *, on_error, n_jobs, verbose, memory=None, dtype="float32"):
    """Compute several domains of each clip.

    Parameters
    ----------
    clips : Clips
        Paths or waveforms.
    domains : dict of str to BaseDomain
        What to compute.
    on_error : {"raise", "warn"}
        What to do about bad clips.
    n_jobs, verbose : int
        As everywhere.
    memory : Path, default=None
        Folder of the cache; None computes everything into memory.
    dtype : {"float32", "float16"}, default="float32"
        Type of the features.

    Returns
    -------
    batch : DomainBatch
        The features.
    """

    def run(tasks):
        if tasks:
            for domain in domains.values():
                domain._prepare()
        results = map_clips(extract_clip, tasks, n_jobs)
        for result in tqdm(results, total=len(tasks), unit="clip", disable=not verbose):
            if isinstance(result, BadClipError) and on_error == "raise":
                raise result
            yield result

    if memory is None:
        features, bad = _compute_all(clips, domains, run, dtype)
    else:
        features, bad = _compute_missing(clips, domains, run, dtype, memory)
    if bad:
        warnings.warn(BadClipWarning(bad), stacklevel=4)
    return DomainBatch(features, domains, bad_clips=bad)


def extract_clip(task):
    """Compute some domains of one clip, with one decode and one analysis.

    Parameters
    ----------
    task : tuple of (str or ndarray of shape (n_samples,)), (dict of str to BaseDomain)
        The path or waveform, and what to compute.

    Returns
    -------
    features : dict of str to ndarray of shape (n_bins, n_frames) or (n_features,), or BadClipError
        The features. An error is returned, not raised, so that the first bad clip in order is
        reported and not the first in time.
    """
    clip, domains = task
    try:
        analyses = _analyses(clip, list(domains.values()))
    except BadClipError as error:
        return error
    return {
        name: domain.spectrogram(analysis)
        for (name, domain), analysis in zip(domains.items(), analyses, strict=True)
    }


def _analyses(clip, domains) -> list[ClipAnalysis]:
    """Return the analysis of the part of the clip that each domain sees, made once."""
    made: dict[tuple, ClipAnalysis] = {}
    if not isinstance(clip, str):
        return [
            made.setdefault((domain.sample_rate,), ClipAnalysis(clip, domain.sample_rate))
            for domain in domains
        ]
    parts = [Part(domain.file_rate, domain.offset, domain.duration) for domain in domains]
    min_samples = max(domain.n_fft for domain in domains)
    analyses = []
    for domain, part, waveform in zip(
        domains, parts, decode_parts(clip, parts, min_samples=min_samples), strict=True
    ):
        n_samples = round(part.duration * part.sample_rate)
        fill = domain.fill if len(waveform) < n_samples else None
        if (part, fill) not in made:
            if fill is not None:
                waveform = fix_length(waveform, n_samples, fill)
            made[part, fill] = ClipAnalysis(waveform, part.sample_rate)
        analyses.append(made[part, fill])
    return analyses


def _compute_all(clips, domains, run, dtype):
    """Compute every clip, into memory."""
    arrays: dict[str, np.ndarray] = {}
    bad: dict[int, str] = {}
    for row, result in enumerate(run([(clips.item(i), domains) for i in range(clips.n_clips)])):
        if isinstance(result, BadClipError):
            bad[row] = str(result)
            continue
        for name, spectrogram in result.items():
            if name not in arrays:
                arrays[name] = np.empty((clips.n_clips, *spectrogram.shape), dtype)
            arrays[name][row] = spectrogram
    _require_some(len(arrays), bad)
    for array in arrays.values():
        array[list(bad)] = np.nan
    return arrays, bad


def _compute_missing(clips, domains, run, dtype, memory):
    """Compute what the stores lack, and map the stores."""
    stores = {
        name: store_for(memory, domain, clips.width or domain.n_samples, dtype)
        for name, domain in domains.items()
    }
    keys = [clip_key(clips.item(i)) for i in range(clips.n_clips)]
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
    results = run([(clips.item(places[key][0]), lacking[key]) for key in todo])
    for key, result in zip(todo, results, strict=True):
        if isinstance(result, BadClipError):
            bad |= dict.fromkeys(places[key], str(result))
            continue
        for name, spectrogram in result.items():
            rows[name][places[key]] = stores[name].write(key, spectrogram)
    _require_some(clips.n_clips - len(bad), bad)
    for name, store in stores.items():
        if bad:  # no file has this key, so it is safe to share among all bad clips
            rows[name][list(bad)] = store.write("bad", np.full(store.shape or (), np.nan))
    bad = dict(sorted(bad.items()))
    return {name: Rows(store.map(), rows[name]) for name, store in stores.items()}, bad


def _require_some(n_good, bad) -> None:
    if not n_good:
        reasons = "\n".join(bad.values())
        raise BadClipError(f"all {len(bad)} clips", f"none can be used:\n{reasons}")
