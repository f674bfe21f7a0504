"""What X may be, and what is said about everything else."""

import array
import collections
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_genremoe import AudioLoader, LogMelSpectrogram
from sklearn_genremoe._clips import check_clips, kind_of_clips

PATHS = ["a.wav", "b.wav"]


class Column(collections.abc.Sequence):
    """A lazy column, as frame libraries have it: a sequence without an array behind it."""

    def __init__(self, items):
        self.items = items

    def __getitem__(self, key):
        return self.items[key]

    def __len__(self):
        return len(self.items)


class Scalars(Column):
    """A column whose entries are scalars of its library, and which numpy knows how to read."""

    def __getitem__(self, key):
        return [self.items[key]]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.items, dtype=object)


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
        pd.Series(PATHS, dtype="string"),
        pd.Series(PATHS, dtype="category"),
        collections.deque(map(Path, PATHS)),
        collections.UserList(PATHS),
        Column(PATHS),
        Scalars(PATHS),
    ],
    ids=lambda X: f"{type(X).__name__}-{getattr(X, 'dtype', '')}",
)
def test_paths(X):
    assert kind_of_clips(X) == "paths"
    paths = check_clips(LogMelSpectrogram(), X, path_samples=3, reset=True).paths
    assert paths == PATHS


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
        (["a.wav", ""], r"X\[1\] is ''; expected a path"),
        ([""], r"X\[0\] is ''; expected a path"),
        (np.array([PATHS]), "2 dimensions"),
        (pd.DataFrame({"path": PATHS}), "2 dimensions"),
        (np.zeros((2, 3, 4)), "3 dimensions"),
        (np.zeros(5), "Reshape your data"),
        ([np.zeros(5), np.zeros(6)], "different lengths"),
        (np.zeros((0, 5)), r"0 sample\(s\)"),
        (np.zeros((2, 0)), r"0 feature\(s\)"),
        (np.full((2, 5), np.nan), "NaN"),
        (np.array([], dtype=str), "no clips"),
        (Column([]), "no clips"),
        (np.float64(3), "type numpy.float64; expected a sequence of paths"),
        (np.array("a.wav"), "type numpy.ndarray; expected a sequence"),
        (None, "type NoneType; expected a sequence of paths"),
        (b"RIFF", "type bytes; expected a sequence of paths"),
        (io.BytesIO(b"RIFF"), "type _io.BytesIO; expected a sequence of paths"),
        (zip(PATHS, PATHS), "type zip; expected a sequence of paths"),
        ({"a": PATHS}.values(), "type dict_values; expected a sequence of paths"),
        ([b"a.wav"], r"X\[0\] is of the type bytes; .*decode_audio"),
        (np.array([b"a.wav"]), r"X\[0\] is of the type numpy.bytes_"),
        ([io.BytesIO(b"RIFF")], r"X\[0\] is of the type _io.BytesIO"),
        ([(np.zeros(9), 22050)] * 3, r"X\[0\] is of the type tuple"),
        ([("a", 22050)] * 3, r"X\[0\] is of the type tuple"),
        ([np.zeros(5), None], r"X\[1\] is of the type NoneType; expected paths"),
        ([{"path": "a.wav"}], r"X\[0\] is of the type dict"),
        (Column([{"path": "a.wav"}]), r"X\[0\] is of the type dict"),
        ([zipfile.Path.__new__(zipfile.Path)], r"X\[0\] is of the type zipfile.*Path"),
        ([np.datetime64("2026-01-01")], r"X\[0\] is of the type numpy.datetime64"),
        (range(3), r"X\[0\] is of the type int; expected paths or waveforms"),
        ([1, 2], r"X\[0\] is of the type int; expected paths or waveforms"),
        (np.arange(5), r"X\[0\] is of the type numpy.int64.*Reshape your data"),
        (array.array("d", [0.1]), r"X\[0\] is of the type float"),
        ((np.zeros(9), 22050), "different lengths, 1 to 9"),
        ([np.zeros(50), np.zeros(50, dtype=np.int16)], "types float64, int16, each of which"),
        ([np.zeros(50, np.int32), np.zeros(50, np.int16)], "types int16, int32, each of which"),
        (np.zeros((2, 500), dtype=np.int64), r"int64, and no sound .*X.astype\(np.int16\)"),
        (np.zeros((2, 500), dtype=np.uint64), r"uint64, and no sound .*X.astype\(np.int16\)"),
        ([[0] * 500] * 2, "int64, and no sound has; "),
        (np.zeros((2, 500), dtype=complex), "Complex data not supported"),
        (pd.Series([np.zeros(5), np.zeros(6)]), "different lengths, 5 to 6 samples"),
        (np.array([np.zeros(5), np.zeros(6)], dtype=object), "different lengths, 5 to 6"),
        ([0.1, 0.2, 0.3], "1D array.*one waveform.*put it into a list"),
        (np.zeros((2, 5), dtype=bool), "dtype bool, .*; waveforms are floats"),
        (torch.zeros((2, 5), dtype=torch.bool), "dtype bool, .*; waveforms are floats"),
    ],
)
def test_refused(X, said):
    with pytest.raises(ValueError, match=said):
        AudioLoader().fit(X)


def waveforms_of(X):
    return AudioLoader().transform(X)


SINE = np.sin(np.arange(2000) * 0.05)[None] * [[1.0], [0.5]]


@pytest.mark.parametrize(
    ("dtype", "full_scale", "middle"),
    [
        (np.int8, 2**7, 0),
        (np.int16, 2**15, 0),
        (np.int32, 2**31, 0),
        (np.uint32, 2**31, 2**31),
        (np.uint8, 2**7, 2**7),
        (np.uint16, 2**15, 2**15),
        (np.dtype(">i2"), 2**15, 0),
    ],
)
def test_integers_are_scaled_by_the_full_scale_of_their_type(dtype, full_scale, middle):
    pcm = (np.floor(SINE * full_scale * 0.99) + middle).astype(dtype)
    tolerance = 2 / full_scale + 1e-6
    for X in (pcm, list(pcm), pd.DataFrame(pcm), pd.Series(list(pcm)), np.asfortranarray(pcm)):
        found = waveforms_of(X)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, 0.99 * SINE, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.uint8])
def test_integer_tensors(dtype):
    full_scale, middle = {torch.int16: (2**15, 0), torch.int32: (2**31, 0)}.get(dtype, (128, 128))
    pcm = torch.from_numpy(np.floor(SINE * full_scale * 0.99) + middle).to(dtype)
    for X in (pcm, list(pcm)):
        np.testing.assert_allclose(waveforms_of(X), 0.99 * SINE, atol=2 / full_scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, object])
@pytest.mark.parametrize("scale", [5.0, 128.0, 32767.0, 2.0**31])
def test_floats_beyond_full_scale_are_suspicious(dtype, scale):
    X = (SINE * scale).astype(dtype)
    for act in (
        AudioLoader().transform,
        AudioLoader().fit_transform,
        LogMelSpectrogram().transform,
    ):
        with pytest.warns(UserWarning, match="full scale is 1.*X / 32768") as caught:
            act(X)
        assert len(caught) == 1


def test_loud_floats_are_not_suspicious():
    rng = np.random.default_rng(0)
    waveforms_of(rng.standard_normal((2, 22050)))  # reaches 4.2
    waveforms_of(np.clip(2 * SINE, -1.5, 1.5))
    waveforms_of(100 * rng.standard_normal((20, 5)))  # too short for sound: some other table


def test_entries_of_one_length_are_stacked():
    for X in (pd.Series(list(SINE)), np.array([*SINE, None], dtype=object)[:2], list(SINE)):
        np.testing.assert_array_equal(waveforms_of(X), SINE)
    with_gradient = [torch.from_numpy(row).requires_grad_() for row in SINE]
    np.testing.assert_array_equal(waveforms_of(with_gradient), SINE)
