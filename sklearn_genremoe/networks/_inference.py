"""The outputs of a network for many clips."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._parallel import one_torch_thread
from .._rows import release_pages

# Prediction takes this many clips at a time: in one batch on a GPU, by as many threads on the CPU,
# unless clips are so small that waking threads would cost more than it brings.
_GPU_BATCH = 64
_MAX_CLIPS_AT_A_TIME = 16
_CELLS_WORTH_A_THREAD = 1 << 13


def predict_logits(
    module: torch.nn.Module, X: NDArray[Any], device: torch.device, block: int = 1
) -> NDArray[np.float32]:
    """Return a module's outputs for many clips, read from their array bit by bit.

    On the CPU each clip, or small block of them, is computed by one thread, and several at the
    same time. Activations stay in the cache, threads never wait for each other, and the answer for
    a clip can depend neither on its neighbours nor on the number of threads.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, [n_channels,] n_bins, n_frames) to (n, n_outputs).
    X : ndarray of shape (n_clips, [n_channels,] n_bins, n_frames)
        Spectrograms.
    device : torch.device
        Where the module is.
    block : int, default=1
        Clips that the module is given at a time on the CPU, at most. Above one it has to treat
        them independently of each other and of their number.

    Returns
    -------
    logits : ndarray of shape (n_clips, n_outputs)
        Outputs, float32.
    """
    module.eval()
    if device.type == "cpu":  # blocks so small that each thread gets one
        batch_size = max(1, min(block, -(-len(X) // torch.get_num_threads())))
    else:
        batch_size = _GPU_BATCH

    @torch.inference_mode()
    def outputs(start: int) -> NDArray[np.float32]:
        clips = np.array(X[start : start + batch_size], dtype=np.float32)
        release_pages(X)
        return module(torch.from_numpy(clips).to(device)).float().cpu().numpy()

    starts = range(0, len(X), batch_size)
    n_threads = min(torch.get_num_threads(), len(starts), _MAX_CLIPS_AT_A_TIME)
    if device.type != "cpu" or n_threads == 1 or X[:1].size < _CELLS_WORTH_A_THREAD:
        return np.concatenate([outputs(start) for start in starts])
    with ThreadPoolExecutor(n_threads, initializer=one_torch_thread) as threads:
        return np.concatenate(list(threads.map(outputs, starts)))
