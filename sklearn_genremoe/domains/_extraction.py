"""From clips to a DomainBatch, in parallel."""

import warnings

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from ..audio._decode import decode_audio, fix_length
from ..audio._errors import BadClipError, BadClipWarning
from ..audio._loader import bad_clips_message
from ._analysis import ClipAnalysis
from ._batch import DomainBatch


def extract(clips, domains, *, on_error, n_jobs, verbose) -> DomainBatch:
    """Compute several domains of each clip, with one decode and one analysis per clip."""
    # The work releases the interpreter lock nearly everywhere: threads need no copies.
    results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(extract_clip)(clips.item(i), domains, on_error) for i in range(clips.n_clips)
    )
    arrays: dict[str, np.ndarray] = {}
    bad: dict[int, str] = {}
    progress = tqdm(results, total=clips.n_clips, unit="clip", disable=not verbose)
    for row, result in enumerate(progress):
        if isinstance(result, BadClipError):
            bad[row] = str(result)
            continue
        for name, spectrogram in result.items():
            if name not in arrays:
                arrays[name] = np.full((clips.n_clips, *spectrogram.shape), np.nan, np.float32)
            arrays[name][row] = spectrogram
    if bad:
        message = bad_clips_message([f"row {row}: {reason}" for row, reason in bad.items()])
        if not arrays:
            raise BadClipError("all clips", message)
        warnings.warn(message, BadClipWarning, stacklevel=3)
    return DomainBatch(arrays, domains, bad_clips=bad)


def extract_clip(clip, domains, on_error="raise"):
    """Compute several domains of one clip, a path or a waveform."""
    analyses = {}
    try:
        return {
            name: domain.spectrogram(_analysis_for(clip, domain, analyses))
            for name, domain in domains.items()
        }
    except BadClipError as error:
        if on_error == "raise":
            raise
        return error


def _analysis_for(clip, domain, analyses):
    """Return the analysis of the part of the clip that the domain looks at, made once."""
    if not isinstance(clip, str):
        key = domain.sample_rate
        if key not in analyses:
            analyses[key] = ClipAnalysis(clip, domain.sample_rate)
        return analyses[key]
    key = (domain.sample_rate, domain.offset, domain.duration)
    if key not in analyses:
        waveform = decode_audio(
            clip,
            sample_rate=domain.sample_rate,
            offset=domain.offset,
            duration=domain.duration,
            min_samples=domain.n_fft,
        )
        analyses[key] = ClipAnalysis(fix_length(waveform, domain.n_samples), domain.sample_rate)
    return analyses[key]
