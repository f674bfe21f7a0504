"""The numbers that sum up a spectrogram."""

import numpy as np
import pytest
import torch

from sklearn_genremoe.domains import time_statistics


def test_mean_deviation_and_change_of_each_bin():
    X = np.array([[[1.0, 3.0, 1.0, 3.0], [0.0, 1.0, 2.0, 3.0]]])
    # The first bin alternates: differences 2, -2, 2. The second one rises evenly.
    np.testing.assert_allclose(
        time_statistics(X),
        [[2.0, 1.5, 1.0, np.sqrt(1.25), np.std([2, -2, 2]), 0.0]],
    )


@pytest.mark.parametrize("convert", [list, torch.as_tensor, np.asfortranarray])
def test_takes_what_estimators_take(convert):
    X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(time_statistics(convert(X)), time_statistics(X))


def test_a_map_stays_on_disk(tmp_path):
    X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(time_statistics(mapped), time_statistics(X))


def test_a_single_frame_does_not_change():
    np.testing.assert_array_equal(time_statistics([[[2.0], [5.0]]]), [[2, 5, 0, 0, 0, 0]])


@pytest.mark.parametrize("shape", [(3, 4), (4,), (3, 4, 0), (1, 3, 4, 5)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"time_statistics expects spectrograms of shape"):
        time_statistics(np.zeros(shape))
