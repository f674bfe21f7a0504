"""What X may be, and what is said about everything else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_genremoe import AudioLoader
from sklearn_genremoe._validation import kind_of_clips

PATHS = ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    "X",
    [
        PATHS,
        tuple(PATHS),
        [Path("a.wav"), "b.wav"],
        np.array(PATHS),
        np.array(PATHS, dtype=object),
        np.array(PATHS, dtype=np.dtypes.StringDType()),
        np.array([Path("a.wav"), Path("b.wav")]),
        pd.Series(PATHS, index=[7, 3]),
        pd.Series(PATHS, index=[7, 3], dtype=object),
        pd.Index(PATHS),
    ],
    ids=lambda X: f"{type(X).__name__}-{getattr(X, 'dtype', '')}",
)
def test_paths(X):
    assert kind_of_clips(X) == "paths"


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 5)),
        [[0.0, 0.1], [0.0, 0.2]],
        [np.zeros(5), np.zeros(5)],
        pd.DataFrame(np.zeros((2, 5))),
        torch.zeros(2, 5),
        np.zeros((2, 5), dtype=object),
    ],
    ids=lambda X: type(X).__name__,
)
def test_waveforms(X):
    assert kind_of_clips(X) == "waveforms"


@pytest.mark.parametrize("X", [np.zeros((2, 3, 4)), torch.zeros(2, 3, 4), [np.zeros((3, 4))]])
def test_spectrograms(X):
    assert kind_of_clips(X) == "spectrograms"


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ("a.wav", r"single path 'a.wav'.*\['a.wav'\]"),
        (Path("a.wav"), r"single path 'a.wav'.*\['a.wav'\]"),
        ([], "no clips"),
        (["a.wav", None], r"X\[1\] is None"),
        (pd.Series(["a.wav", np.nan]), r"X\[1\] is nan"),
        ([None, "a.wav"], r"X\[0\] is None"),
        ({"a.wav"}, "type set; expected a sequence"),
        (["a.wav", 3.0], r"X\[1\] is 3.0"),
        (np.array([PATHS]), "2 dimensions"),
        (pd.DataFrame({"path": PATHS}), "2 dimensions"),
        (np.zeros((2, 3, 4)), "3 dimensions"),
        (np.zeros(5), "Reshape your data"),
        ([np.zeros(5), np.zeros(6)], "different lengths"),
        (np.zeros((0, 5)), r"0 sample\(s\)"),
        (np.zeros((2, 0)), r"0 feature\(s\)"),
        (np.full((2, 5), np.nan), "NaN"),
        (None, "type NoneType; expected a sequence of paths"),
    ],
)
def test_refused(X, said):
    with pytest.raises(ValueError, match=said):
        AudioLoader().fit(X)
