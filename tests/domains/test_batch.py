"""DomainBatch: an array of clips and a mapping of domains at once."""

import pickle
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy.sparse import csr_array
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import _safe_indexing, resample, shuffle
from sklearn.utils.validation import _num_samples, indexable

from sklearn_genremoe import MFCC, DomainUnion, LogMelSpectrogram
from sklearn_genremoe import _rows as _rows
from sklearn_genremoe.domains import BaseDomain, DomainBatch

STATUS = Path("/proc/self/status")
SHAPES = {"a": (3, 4), "b": (5, 2)}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {name: rng.random((6, *shape), dtype=np.float32) for name, shape in SHAPES.items()}


@pytest.fixture(params=["memory", "mapped"])
def batch(request, arrays, tmp_path):
    if request.param == "mapped":
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
        arrays = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    return DomainBatch(arrays)


def test_looks_like_a_1d_array_of_clips(batch):
    assert len(batch) == 6
    assert batch.shape == (6,)
    assert batch.ndim == 1
    assert _num_samples(batch) == 6
    assert repr(batch) == "DomainBatch(6 clips; a: 3 x 4, b: 5 x 2)"


def test_looks_like_a_mapping(batch, arrays):
    assert batch.names == ["a", "b"]
    assert "a" in batch
    assert "c" not in batch
    assert 0 not in batch
    np.testing.assert_array_equal(batch["b"], arrays["b"])
    with pytest.raises(KeyError, match=r"no domain 'c'; the batch holds \['a', 'b'\]"):
        batch["c"]


@pytest.mark.parametrize(
    "rows",
    [
        [0, 2, 5],
        [5, 0, 0, -1],
        np.array([1, 2, 3]),
        np.array([True, False, True, False, False, True]),
        [False] * 6,
        [],
        slice(1, 4),
        slice(None, None, -2),
        (np.array([4, 1]), ...),
    ],
    ids=str,
)
def test_rows(batch, arrays, rows):
    picked = batch[rows]
    rows = rows[0] if isinstance(rows, tuple) else rows
    rows = np.array(rows, dtype=int) if isinstance(rows, list) and not rows else rows
    for name, array in arrays.items():
        expected = array[rows]
        assert len(picked) == len(expected)
        np.testing.assert_array_equal(picked[name], expected)
        if len(expected) > 1:
            np.testing.assert_array_equal(picked[[1]][name], expected[1:2])


@pytest.mark.parametrize("rows", [[9], [-7]])
def test_rows_out_of_range(batch, rows):
    with pytest.raises(IndexError, match=r"cannot index clips by .* out of bounds"):
        batch[rows]


@pytest.mark.parametrize("rows", [0, 1.5, [0.5], None, [[0, 1]]])
def test_rows_of_another_kind(batch, rows):
    with pytest.raises(IndexError, match="use a slice, a 1-D sequence of row numbers or a mask"):
        batch[rows]


def test_iteration_gives_batches_of_one_clip(batch):
    assert [clip.shape for clip in batch] == [(1,)] * 6


@pytest.mark.parametrize(
    "use",
    [
        np.asarray,
        StandardScaler().fit,
        lambda batch: np.mean(batch, axis=0),
        lambda batch: BaggingClassifier(DummyClassifier()).fit(batch, [0, 1] * 3),
        lambda batch: AdaBoostClassifier(DummyClassifier()).fit(batch, [0, 1] * 3),
        lambda batch: SelfTrainingClassifier(GaussianNB()).fit(batch, [0, 1, -1] * 2),
        lambda batch: permutation_importance(DummyClassifier().fit([[0]], [0]), batch, [0] * 6),
    ],
)
def test_is_no_array_of_numbers(batch, use):
    with pytest.raises(ValueError, match=r"no array of numbers.* batch\['a'\], or a Mixture"):
        use(batch)


def test_arrays_are_read_only(batch, arrays):
    for array in (batch["a"], batch[1:]["a"], batch[[2, 0]]["a"], batch.entries["b"].table()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_no_copies(batch):
    assert np.shares_memory(batch["a"], batch[:]["a"])
    assert np.shares_memory(batch["a"], batch[1:4]["a"])
    assert np.shares_memory(batch["a"], batch[[2, 3, 4]]["a"])
    assert np.shares_memory(batch["a"], batch[[1, 3, 4, 5]][[1, 2]]["a"])


class TestConcatenate:
    @pytest.mark.parametrize(
        "join",
        [
            np.concatenate,
            np.hstack,
            lambda batches: np.concatenate(tuple(batches), axis=0),
        ],
    )
    def test_gives_a_batch(self, arrays, join):
        domains = {"a": LogMelSpectrogram()}
        batch = DomainBatch(arrays, domains, bad_clips={1: "empty"})
        joined = join([batch[:4], batch[4:], batch[[1, 0]]])
        assert isinstance(joined, DomainBatch)
        assert joined.bad_clips == {1: "empty", 6: "empty"}
        assert joined.find(LogMelSpectrogram()) is not None
        for name, array in arrays.items():
            np.testing.assert_array_equal(joined[name], array[[0, 1, 2, 3, 4, 5, 1, 0]])

    def test_other_contents(self, batch, arrays):
        for other in (
            DomainBatch({"a": arrays["a"]}),
            DomainBatch({**arrays, "b": arrays["b"][:, :, :1]}),
            DomainBatch(arrays, {"a": LogMelSpectrogram()}),
        ):
            with pytest.raises(ValueError, match="different domains, DomainBatch"):
                np.concatenate([batch, other])
        with pytest.raises(ValueError, match="nothing else, got DomainBatch, ndarray"):
            np.concatenate([batch, np.zeros(3)])

    @pytest.mark.parametrize("join", [np.stack, np.vstack, np.append, np.block])
    def test_other_joints_are_refused(self, batch, join):
        pair = (batch, batch) if join is np.append else ([batch, batch],)
        with pytest.raises(ValueError, match="no array of numbers"):
            join(*pair)

    def test_other_functions_see_an_array(self, batch):
        assert np.shape(batch) == (6,)
        assert np.take(batch, [2, 1], axis=0).names == batch.names


def test_negative_rows_as_numpy_has_them(batch, arrays):
    for rows in ([-2, -1], [-1], np.array([-3, -2, -1]), [-6, 5], [-1, -2], slice(-3, -1)):
        for name, array in arrays.items():
            np.testing.assert_array_equal(batch[rows][name], array[rows])
            np.testing.assert_array_equal(_rows.Rows(array, rows).array(), array[rows])
            np.testing.assert_array_equal(batch[2:][[-1, -4]][name], array[[-1, -4]])
    with pytest.raises(IndexError):
        _rows.Rows(arrays["a"], [-7])


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_pickle(batch, module):
    for original in (batch, batch[[4, 1]], DomainBatch({"b": batch["b"]})):
        copied = module.loads(module.dumps(original))
        assert copied.names == original.names
        for name in original.names:
            np.testing.assert_array_equal(copied[name], original[name])


def test_pickle_takes_only_the_rows_in_memory():
    batch = DomainBatch({"a": np.zeros((100, 30))})
    assert len(pickle.dumps(batch[[0]])) < len(pickle.dumps(batch)) / 10


def test_pickle_of_mapped_features_is_a_reference(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 10, 10)))
    batch = DomainBatch({"a": np.load(tmp_path / "a.npy", mmap_mode="r")})
    assert len(pickle.dumps(batch[::2])) < 3000


def test_many_mapped_rows_are_copied_to_a_file_not_to_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(_rows, "SPILL_BYTES", 500)
    array = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    np.save(tmp_path / "a.npy", array)
    rows = [7, 2, 2, 9]
    spilled = DomainBatch({"a": np.load(tmp_path / "a.npy", mmap_mode="r")})[rows]["a"]
    np.testing.assert_array_equal(spilled, array[rows])
    assert not spilled.flags.owndata
    assert not spilled.flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"], "the file has no name"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(spilled)), array[rows])


def test_release_pages_takes_nothing_away(tmp_path):
    array = np.arange(100_000, dtype=np.float32).reshape(10, 100, 100)
    np.save(tmp_path / "a.npy", array)
    for mode in ("r", "c", "r+"):
        mapped = np.load(tmp_path / "a.npy", mmap_mode=mode)
        if mode == "c":
            mapped[3] = 7.0  # in memory only: it must not be lost
            mapped.flags.writeable = False
        expected = np.array(mapped)
        for view in (mapped, mapped[2:5], np.asarray(mapped)):
            _rows.release_pages(view)
        np.testing.assert_array_equal(mapped, expected)
    _rows.release_pages(array)


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not say what is resident")
def test_release_pages_keeps_resident_memory_small(tmp_path):
    def resident():
        line = next(x for x in STATUS.read_text().splitlines() if x.startswith("RssFile"))
        return int(line.split()[1]) * 1024

    np.save(tmp_path / "a.npy", np.ones((64, 256, 1024), dtype=np.float32))  # 64 MiB
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    before = resident()
    for row in range(64):
        assert mapped[row].sum() == 256 * 1024
        _rows.release_pages(mapped)
    assert resident() - before < 2**23


class TestWithScikitLearn:
    y = np.array([0, 1, 0, 1, 0, 1])

    def test_splitting(self, batch, arrays):
        for rows, _ in StratifiedKFold(3).split(batch, self.y):
            np.testing.assert_array_equal(batch[rows]["a"], arrays["a"][rows])
        train, test, *_ = train_test_split(batch, self.y, test_size=2, random_state=0)
        assert (len(train), len(test)) == (4, 2)
        assert list(GroupKFold(2).split(batch, self.y, [0, 0, 1, 1, 2, 2]))

    def test_utilities(self, batch, arrays):
        assert indexable(batch, self.y)[0] is batch
        mixed, order = shuffle(batch, np.arange(6), random_state=0)
        np.testing.assert_array_equal(mixed["b"], arrays["b"][order])
        assert len(resample(batch, n_samples=4, random_state=0)) == 4

    @pytest.mark.parametrize("rows", [[4, 1], np.array([4, 1]), np.arange(6) % 3 == 1, slice(2)])
    def test_array_api_dispatch(self, batch, arrays, rows):
        pytest.importorskip("sklearn.externals.array_api_compat", reason="new in scikit-learn 1.7")
        with sklearn.config_context(array_api_dispatch=True):
            picked = _safe_indexing(batch, rows)
        assert isinstance(picked, DomainBatch)
        np.testing.assert_array_equal(picked["b"], arrays["b"][rows])

    def test_cross_validation_and_search(self, batch):
        assert cross_val_score(DummyClassifier(), batch, self.y, cv=3).shape == (3,)
        search = GridSearchCV(DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=2)
        search.fit(batch, self.y)
        assert search.predict(batch).shape == (6,)


ONES = np.ones((1, 4000))


class Filled(BaseDomain):
    normalize, output_ndim = None, 1

    def __init__(self, missing=None):
        self.missing = missing

    def features(self, analysis):
        return np.array([1.0])


def times(factor):
    class Times(BaseDomain):
        normalize, output_ndim = None, 1

        def features(self, analysis):
            return factor * np.ones(1)

    return Times()


class TestFind:
    @pytest.fixture
    def known(self, arrays):
        return DomainBatch(arrays, {"a": LogMelSpectrogram(), "b": MFCC(n_mfcc=5)})

    def test_by_what_is_computed_whatever_the_name(self, known, arrays):
        np.testing.assert_array_equal(known.find(MFCC(n_mfcc=5, n_jobs=2)), arrays["b"])
        np.testing.assert_array_equal(known.find(LogMelSpectrogram(), "b"), arrays["a"])
        np.testing.assert_array_equal(LogMelSpectrogram().fit_transform(known), arrays["a"])
        np.testing.assert_array_equal(known[[3, 1]].find(MFCC(n_mfcc=5)), arrays["b"][[3, 1]])

    def test_other_parameters_are_not_what_was_asked(self, known):
        for method in (LogMelSpectrogram(n_mels=64).fit, LogMelSpectrogram(n_mels=64).transform):
            with pytest.raises(ValueError, match=r"does not hold LogMelSpectrogram\(n_mels=64\)"):
                method(known)
        with pytest.raises(ValueError, match=r"it holds a = LogMel.*, b = MFCC\(n_mfcc=5\)"):
            known.find(MFCC(), "b")

    def test_by_name_where_nothing_is_known(self, batch, arrays):
        np.testing.assert_array_equal(batch.find(MFCC(), "b"), arrays["b"])
        with pytest.raises(ValueError, match=r"holds a = unknown, b = unknown"):
            batch.find(MFCC())
        with pytest.raises(ValueError, match="DomainUnion"):
            batch.find(MFCC(), "mfcc")

    def test_the_only_entry(self, batch, arrays):
        np.testing.assert_array_equal(DomainBatch({"b": arrays["b"]}).find(MFCC()), arrays["b"])

    def test_by_a_union(self, known, arrays):
        taken = DomainUnion([("mfcc", MFCC(n_mfcc=5))]).transform(known)
        assert taken.names == ["mfcc"]
        np.testing.assert_array_equal(taken["mfcc"], arrays["b"])

    def test_nan_is_equal_to_itself_after_pickling(self, arrays):
        batch = DomainBatch({"a": np.ones((2, 1))}, {"a": Filled(np.nan)})
        assert pickle.loads(pickle.dumps(batch)).find(Filled(float("nan"))).shape == (2, 1)

    def test_a_batch_is_what_was_computed(self):
        union = DomainUnion([("mel", LogMelSpectrogram(n_mels=20))])
        batch = union.transform(np.ones((1, 4000)))
        union.set_params(mel__n_mels=10)
        assert batch.domains["mel"].n_mels == 20
        with pytest.raises(ValueError, match="does not hold"):
            union.transform(batch)

    @pytest.mark.parametrize("kinds", [(1, True), (0.0, False), (1, "1"), (None, "None")])
    def test_values_that_look_alike(self, kinds):
        batch = DomainUnion([(str(i), Filled(k)) for i, k in enumerate(kinds)]).transform(ONES)
        assert not np.shares_memory(batch["0"], batch["1"])

    def test_classes_of_one_name(self):
        domains = [(str(factor), times(factor)) for factor in (1, 100)]
        batch = DomainUnion(domains).transform(ONES)
        assert (batch["1"][0, 0], batch["100"][0, 0]) == (1, 100)
        with pytest.raises(ValueError, match="does not hold"):
            batch.find(times(1))  # made anew: nobody knows what it computes


def test_bad_clips_follow_their_rows(arrays):
    batch = DomainBatch(arrays, bad_clips={1: "empty", 4: "silent"})
    assert batch[[4, 0, 1, 4]].bad_clips == {0: "silent", 2: "empty", 3: "silent"}
    assert batch[2:4].bad_clips == {}


@pytest.mark.parametrize(
    ("arrays", "domains", "said"),
    [
        ({}, None, "at least one entry"),
        (np.zeros((2, 3, 4)), None, "arrays is ndarray; expected a mapping"),
        ({"a": np.zeros(2)}, None, r"domain 'a' .* holds float64 of shape \(2,\)"),
        ({"a": np.zeros((2, 3, 4)), "b": np.zeros((3, 3, 4))}, None, "different numbers of clips"),
        ({"a": np.zeros((2, 3, 4))}, {"b": MFCC()}, r"domains names \['b'\], which arrays lacks"),
    ],
)
def test_bad_input(arrays, domains, said):
    with pytest.raises(ValueError, match=said):
        DomainBatch(arrays, domains)


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"mel": [np.zeros((4, 3)), np.zeros((4, 5))]}, "'mel' have different shapes"),
        ({"table": np.array([["a", "b"]])}, "'table' is of the type ndarray and holds <U1"),
        ({"table": np.array([[None, 1.0]])}, "'table' is of the type ndarray and holds object"),
        (
            {"t": pd.DataFrame({"title": ["x"], "tempo": [1.0]})},
            r"columns \['title'\] .* no numbers",
        ),
        (
            {"t": pd.DataFrame({"length": pd.to_timedelta([1.0], unit="s"), "tempo": [1.0]})},
            r"columns \['length'\] .* no numbers",
        ),
        ({"t": np.zeros((3, 0))}, r"'t' .* of shape \(3, 0\)"),
        ({"words": csr_array(np.eye(3))}, "'words' is of the type csr_array"),
    ],
)
def test_arrays_that_are_none(arrays, found):
    with pytest.raises(ValueError, match=found):
        DomainBatch(arrays)


@pytest.mark.parametrize(
    "table",
    [
        torch.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True),
        torch.tensor([[0.0, 1.0], [2.0, 3.0]]).bfloat16(),
        [torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0], requires_grad=True)],
        pd.DataFrame([[0, 1], [2, 3]]).astype("Int64"),
        pd.DataFrame({"a": [0.0, 2.0], "b": [True, True]}),
        pd.DataFrame({"a": [0.0, 2.0], "b": [True, True]}).convert_dtypes(),
        pd.DataFrame([[0, 1], [2, 3]], dtype=object),
        pd.Series([np.array([0, 1]), np.array([2, 3])]),
    ],
    ids=[
        "tensor",
        "bfloat16",
        "tensors",
        "Int64",
        "booleans",
        "nullable",
        "objects",
        "column of arrays",
    ],
)
def test_tables_of_other_makers(table):
    made = DomainBatch({"t": table})["t"]
    np.testing.assert_array_equal(made, [[0, 1], [2, made[1, 1]]])
    assert made.dtype.kind in "if"


def test_missing_values_of_a_frame_are_nan():
    frame = pd.DataFrame({"a": [1, None, 3]}, dtype="Int64")
    assert DomainBatch({"t": frame}).entries["t"].rows.scan()[1] == [1]


def test_columns_keep_their_names():
    frame = pd.DataFrame({"tempo": [1.0, 2.0, 3.0], "loudness": [4.0, 5.0, 6.0]})
    batch = DomainBatch({"t": frame})
    for part in (
        batch,
        batch[[2, 0]],
        batch | {"u": frame.values},
        pickle.loads(pickle.dumps(batch)),
    ):
        assert list(part.entries["t"].table()) == ["tempo", "loudness"]
    assert np.concatenate([batch, batch]).entries["t"].table().shape == (6, 2)
    assert isinstance(batch["t"], np.ndarray)
    with pytest.raises(ValueError, match="hold different domains"):
        np.concatenate([batch, DomainBatch({"t": frame[["loudness", "tempo"]]})])
    assert isinstance(DomainBatch({"t": frame.values}).entries["t"].table(), np.ndarray)


def test_only_named_entries_are_put_beside_others(batch, arrays):
    for other in (arrays["a"], pd.DataFrame(np.zeros((6, 2))), [1]):
        with pytest.raises(TypeError, match=r"give the array a name, batch \| \{'name': array\}"):
            batch | other
    beside = {"t": np.zeros((6, 2))} | batch
    assert sorted(beside.names) == sorted([*batch.names, "t"])


def test_an_entry_of_another_kind_stands_for_no_domain():
    table = DomainBatch({"u": np.zeros((3, 4))})
    with pytest.raises(
        ValueError, match=r"'u' has 2 dimensions, \(3, 4\), but LogMelSpectrogram\(\) computes 3"
    ):
        LogMelSpectrogram().transform(table)


def test_spectrograms_with_channels():
    spectrograms = np.random.default_rng(0).normal(size=(4, 2, 3, 5))
    batch = DomainBatch({"a": spectrograms})
    assert repr(batch) == "DomainBatch(4 clips; a: 2 x 3 x 5)"
    np.testing.assert_array_equal(batch[[2, 0]]["a"], spectrograms[[2, 0]])


class Halves(BaseDomain):
    """The lower and the upper half of the bins as two channels."""

    output_ndim = 3
    normalize = "bin"

    def features(self, analysis):
        return analysis.amplitude(1022, 512).reshape(2, 256, -1)


def test_a_domain_with_channels():
    waveforms = np.random.default_rng(0).normal(size=(2, 5000))
    X = Halves().transform(waveforms)
    assert X.shape == (2, 2, 256, 10)
    np.testing.assert_allclose(X.mean(axis=-1), 0, atol=1e-6)
    batch = DomainUnion([("halves", Halves())]).transform(waveforms)
    np.testing.assert_array_equal(batch["halves"], X)
