"""From clips to a DomainBatch: once per clip, in parallel, and only what is not known yet."""

import numpy as np
from tqdm.auto import tqdm

from .._memmap import Rows
from .._parallel import map_clips
from ..audio import BadClipError, decode_audio, fix_length
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
        results = map_clips(extract_clip, tasks, n_jobs)
        for result in tqdm(results, total=len(tasks), unit="clip", disable=not verbose):
            if isinstance(result, BadClipError) and on_error == "raise":
                raise result
            yield result

    if memory is None:
        features, bad = _compute_all(clips, domains, run, dtype)
    else:
        features, bad = _compute_missing(clips, domains, run, dtype, memory)
    return DomainBatch(features, domains, bad_clips=bad)


def extract_clip(task):
    """Compute some domains of one clip, with one decode and one analysis.

    Parameters
    ----------
    task : tuple of (str or ndarray of shape (n_samples,)), (dict of str to BaseDomain)
        The path or waveform, and what to compute.

    Returns
    -------
    spectrograms : dict of str to ndarray of shape (n_bins, n_frames), or BadClipError
        The features. An error is returned, not raised, so that the first bad clip in order is
        reported and not the first in time.
    """
    clip, domains = task
    analyses: dict[tuple, ClipAnalysis] = {}
    try:
        return {
            name: domain.spectrogram(_analysis_for(clip, domain, domains.values(), analyses))
            for name, domain in domains.items()
        }
    except BadClipError as error:
        return error


def _analysis_for(clip, domain, domains, analyses):
    """Return the analysis of the part of the clip that the domain looks at, made once."""
    part = (domain.offset, domain.n_samples) if isinstance(clip, str) else ()
    key = (domain.sample_rate, *part)
    if key not in analyses:
        analyses[key] = ClipAnalysis(_waveform(clip, domain, domains), domain.sample_rate)
    return analyses[key]


def _waveform(clip, domain, domains):
    if not isinstance(clip, str):
        return clip
    waveform = decode_audio(
        clip,
        sample_rate=domain.sample_rate,
        offset=domain.offset,
        duration=domain.duration,
        min_samples=max(domain.n_fft for domain in domains),
    )
    return fix_length(waveform, domain.n_samples)


def _compute_all(clips, domains, run, dtype):
    """Compute every clip, into memory."""
    arrays: dict[str, np.ndarray] = {}
    bad: dict[int, str] = {}
    for row, result in enumerate(run([(clips.item(i), domains) for i in range(len(clips))])):
        if isinstance(result, BadClipError):
            bad[row] = str(result)
            continue
        for name, spectrogram in result.items():
            if name not in arrays:
                arrays[name] = np.empty((len(clips), *spectrogram.shape), dtype)
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
    results = run([(clips.item(places[key][0]), lacking[key]) for key in todo])
    for key, result in zip(todo, results, strict=True):
        if isinstance(result, BadClipError):
            bad |= dict.fromkeys(places[key], str(result))
            continue
        for name, spectrogram in result.items():
            rows[name][places[key]] = stores[name].write(key, spectrogram)
    _require_some(len(clips) - len(bad), bad)
    for name, store in stores.items():
        if bad:  # no file has this key, so it is safe to share among all bad clips
            rows[name][list(bad)] = store.write("bad", np.full(store.shape or (), np.nan))
    bad = dict(sorted(bad.items()))
    return {name: Rows(store.map(), rows[name]) for name, store in stores.items()}, bad


def _require_some(n_good, bad) -> None:
    if not n_good:
        reasons = "\n".join(bad.values())
        raise BadClipError(f"all {len(bad)} clips", f"none can be used:\n{reasons}")
