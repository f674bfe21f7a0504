"""CNNClassifier on spectrograms: what goes in, what comes out, how training is controlled."""

import copy
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted
from skops import io as skops
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler

from sklearn_genremoe import CNNClassifier
from sklearn_genremoe.domains import DomainBatch
from sklearn_genremoe.experts import _cnn

Data = tuple[np.ndarray, np.ndarray]
SHAPE = (12, 20)


def make_clf(**params: Any) -> CNNClassifier:
    defaults = {"channels": (4, 6), "max_epochs": 3, "random_state": 0, "device": "cpu"}
    return CNNClassifier(**{**defaults, **params})


def proba(X: np.ndarray, y: Any, **params: Any) -> np.ndarray:
    return make_clf(**params).fit(X, y).predict_proba(X)


@pytest.fixture(scope="module")
def data() -> Data:
    """Two classes: power in the upper bins or in the lower ones."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 15)
    X = rng.normal(size=(30, *SHAPE)).astype(np.float32)
    X[y == 0, 6:] += 1
    X[y == 1, :6] += 1
    X.flags.writeable = False
    return X, y


@pytest.fixture(scope="module")
def fitted(data: Data) -> CNNClassifier:
    return make_clf().fit(*data)


# What comes out


def test_learns_what_can_be_told_apart(data: Data) -> None:
    X, y = data
    clf = make_clf(max_epochs=15).fit(X[:20], y[:20])
    assert clf.score(X[20:], y[20:]) == 1


def test_attributes(data: Data, fitted: CNNClassifier) -> None:
    assert fitted.n_features_in_ == 12
    assert fitted.input_shape_ == SHAPE
    assert fitted.n_iter_ == 3
    assert isinstance(fitted.net_, NeuralNetClassifier)
    assert fitted.history_ is fitted.net_.history
    assert {"epoch", "dur", "train_loss"} <= set(fitted.history_[-1])
    np.testing.assert_array_equal(fitted.classes_, [0, 1])
    assert fitted.__sklearn_tags__().input_tags.three_d_array


def test_probabilities(data: Data, fitted: CNNClassifier) -> None:
    X, _ = data
    probabilities = fitted.predict_proba(X)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), probabilities)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), fitted.predict(X))


def test_the_net_answers_too(data: Data, fitted: CNNClassifier) -> None:
    X, _ = data
    np.testing.assert_allclose(
        fitted.net_.predict_proba(X.copy()), fitted.predict_proba(X), atol=1e-6
    )
    np.testing.assert_array_equal(fitted.net_.predict(X.copy()), fitted.predict(X))


def test_the_net_can_be_used_as_any_other(data: Data, tmp_path: Path) -> None:
    X, y = data[0].copy(), data[1]
    net = make_clf(validation_fraction=0.2, early_stopping=True).fit(X, y).net_
    net.save_params(f_params=tmp_path / "params.pt")
    net.partial_fit(X, y)
    assert len(net.history) == 6
    again = clone(net).initialize()
    again.load_params(f_params=tmp_path / "params.pt")
    assert not np.array_equal(again.predict_proba(X), net.predict_proba(X))
    net.load_params(f_params=tmp_path / "params.pt")
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


def test_answer_for_a_clip_does_not_depend_on_the_others(data: Data, fitted: CNNClassifier) -> None:
    X, _ = data
    order = np.random.default_rng(0).permutation(len(X))
    together = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict_proba(X[order]), together[order])
    np.testing.assert_array_equal(fitted.predict_proba(X[4:5]), together[4:5])


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["rock", "folk"]),
        np.array(["rock", "folk"], dtype=object),
        np.array([True, False]),
        np.array([-7, 1000]),
        np.array([0.0, 2.0]),
        np.array([3, 1], dtype=np.uint8),
    ],
    ids=["str", "object", "bool", "far apart", "whole floats", "uint8"],
)
def test_label_types(data: Data, labels: np.ndarray) -> None:
    X, y = data
    clf = make_clf().fit(X, labels[y])
    assert set(clf.classes_) == set(labels)
    assert clf.classes_.dtype == labels.dtype
    assert clf.predict(X).dtype == labels.dtype
    expected = proba(X, y if labels[0] < labels[1] else 1 - y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    as_list = make_clf().fit(X, labels[y].tolist())
    np.testing.assert_array_equal(as_list.predict(X), clf.predict(X))


# What goes in


def test_containers_of_the_same_numbers_give_the_same_network(data: Data, tmp_path: Path) -> None:
    X, y = data
    expected = proba(X, y)
    np.save(tmp_path / "X.npy", X)
    fortran = np.asfortranarray(X)
    every_other = np.repeat(X, 2, axis=2)[:, :, ::2]
    assert not every_other.flags.c_contiguous
    for same in (
        X.astype(np.float64),
        X.tolist(),
        X.astype(object),
        fortran,
        every_other,
        torch.from_numpy(X.copy()),
        torch.from_numpy(X.copy()).double().requires_grad_(),
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        DomainBatch({"original": X}),
    ):
        np.testing.assert_array_equal(proba(same, y), expected)
    labels = pd.Series(y, index=np.arange(len(y)) + 5)
    np.testing.assert_array_equal(proba(X, labels), expected)
    np.testing.assert_array_equal(proba(X, torch.from_numpy(y)), expected)


def test_narrow_number_types(data: Data) -> None:
    X, y = data
    half = X.astype(np.float16)
    np.testing.assert_array_equal(proba(half, y), proba(half.astype(np.float32), y))
    small = torch.from_numpy(X.copy()).bfloat16()
    np.testing.assert_array_equal(proba(small, y), proba(small.float(), y))
    whole = (10 * X).astype(np.int16)
    np.testing.assert_array_equal(proba(whole, y), proba(whole.astype(np.float32), y))


def test_two_dimensions_are_one_frame(data: Data) -> None:
    X, y = data
    np.testing.assert_array_equal(proba(X[:, :, 0], y), proba(X[:, :, :1], y))
    frame = pd.DataFrame(X[:, :, 0], columns=[f"bin {i}" for i in range(12)])
    clf = make_clf().fit(frame, y)
    assert list(clf.feature_names_in_) == list(frame.columns)
    with pytest.warns(UserWarning, match="valid feature names"):
        clf.predict(X[:, :, 0])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((30, 11, 20)), "X has 11 features, but CNNClassifier is expecting 12 features"),
        (np.zeros((30, 12, 21)), r"clips of shape \(12, 21\)"),
        (np.zeros((30, 12)), r"clips of shape \(12, 1\)"),
        (np.zeros((30, 12, 2, 2, 1)), r"X has 5 dimensions, .* but CNNClassifier"),
        (["a.wav"] * 30, r"X holds paths, but .*make_pipeline\(LogMelSpectrogram\(\), CNNClass"),
        (np.zeros(30), "Expected 2D array, got 1D array|Reshape your data"),
        (np.zeros((30, 12, 0)), "at least one bin and frame|minimum of 1"),
        (np.zeros((0, 12, 20)), "minimum of 1"),
        (np.full((30, 12, 20), "loud"), "convert string|compatible"),
        (
            DomainBatch({"a": np.zeros((30, 12, 20)), "b": np.zeros((30, 9, 20))}),
            "one domain",
        ),
    ],
)
def test_wrong_clips_say_what_is_expected(
    fitted: CNNClassifier, data: Data, bad: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fitted.predict(bad)
    if "expecting 12" not in message and "clips of shape" not in message:
        with pytest.raises(ValueError, match=message):
            make_clf().fit(bad, data[1])


def test_a_single_clip_needs_another_axis(fitted: CNNClassifier, data: Data) -> None:
    with pytest.raises(ValueError, match=r"shape \(12, 20\) of a single clip.*X\[np.newaxis\]"):
        fitted.predict(data[0][0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_name_the_clips(
    data: Data, fitted: CNNClassifier, value: float
) -> None:
    X, y = data
    bad = X.copy()
    bad[[4, 17], 3, 2] = value
    message = (
        r"Input X contains NaN or infinity in 2 of 30 clips \(rows 4, 17\). Leave these clips out"
    )
    with pytest.raises(ValueError, match=message):
        make_clf().fit(bad, y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(bad)


@pytest.mark.parametrize(("dtype", "value"), [(np.float32, 1e25), (np.float64, -1e39)])
def test_numbers_that_are_too_large(
    data: Data, fitted: CNNClassifier, dtype: type, value: float
) -> None:
    bad = data[0].astype(dtype)
    bad[4, 3, 2] = value
    with pytest.raises(ValueError, match=r"values of up to 1\.0e\+.*, too large"):
        fitted.predict(bad)


def test_one_class_only(data: Data) -> None:
    X, _ = data
    with pytest.raises(ValueError, match=r"All clips are of one class, folk; .* two classes"):
        make_clf().fit(X, np.full(30, "folk"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y"),
        ([None, *"ab" * 14, None], r"None or NaN for 2 of 30 clips \(rows 0, 29\)"),
        (pd.Series([pd.NA, *"ab" * 14, "a"], dtype="string"), r"1 of 30 clips \(rows 0\)"),
        (
            np.array([3, *"ab" * 14, "a"], dtype=object),
            "y holds int and str; expected text or numbers",
        ),
        (np.arange(30).astype(object), "y holds int; expected text or numbers of one type"),
        (np.arange(29) % 2, "inconsistent numbers of samples"),
        (np.linspace(0, 1, 30), "Unknown label type"),
        (np.eye(30)[:, :2], "1d array"),
    ],
)
def test_wrong_labels(data: Data, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_clf().fit(data[0], y)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channels": ()}, ValueError),
        ({"channels": (4, 0)}, ValueError),
        ({"channels": 4}, ValueError),
        ({"channels": "4"}, ValueError),
        ({"pool_sizes": [(2, 2)]}, ValueError),
        ({"pool_sizes": "paper"}, ValueError),
        ({"dropout": 1.0}, ValueError),
        ({"max_epochs": 0}, ValueError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.5}, TypeError),
        ({"lr": 0.0}, ValueError),
        ({"lr_decay": -1e-3}, ValueError),
        ({"validation_fraction": 1.0}, ValueError),
        ({"early_stopping": True}, ValueError),
        ({"early_stopping": -1, "validation_fraction": 0.5}, ValueError),
        ({"class_weight": "equal"}, ValueError),
        ({"class_weight": {0: -1, 1: 1}}, ValueError),
        ({"callbacks": 3}, ValueError),
        ({"device": "gpu"}, ValueError),
    ],
    ids=str,
)
def test_wrong_parameters_name_themselves(
    data: Data, params: dict[str, Any], error: type[Exception]
) -> None:
    clf = make_clf(**params)
    with pytest.raises(error, match=next(iter(params))):
        clf.fit(*data)
    assert not vars(clf).keys() & {"net_", "classes_", "n_features_in_"}


def wrong_fits(X: np.ndarray, y: np.ndarray) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Parameters and arguments of fits that are refused."""
    return [
        ({"lr": -1.0}, {}),
        ({"device": "gpu"}, {}),
        ({"pool_sizes": [(2, 2)]}, {}),
        ({}, {"X": np.full_like(X, np.nan)}),
        ({}, {"X": X[:, :7]}),
        ({}, {"y": np.zeros(30)}),
        ({}, {"y": y[:5]}),
        ({}, {"sample_weight": -np.ones(30)}),
        ({"validation_fraction": 0.2}, {"groups": np.zeros(30)}),
        ({"validation_fraction": 0.2, "class_weight": {0: 0, 1: 0}}, {}),
    ]


def test_a_fit_that_is_refused_leaves_the_model_of_before(data: Data) -> None:
    X, y = data
    clf = make_clf().fit(X, y)
    expected, names = clf.predict_proba(X), set(vars(clf))
    for params, arguments in wrong_fits(X, y):
        if "X" in arguments and np.isfinite(arguments["X"]).all():
            continue  # clips of another size are nothing wrong
        before = clf.get_params()
        with pytest.raises(ValueError):  # noqa: PT011, each has its own test
            clf.set_params(**params).fit(**{"X": X, "y": y, **arguments})
        clf.set_params(**before)
        np.testing.assert_array_equal(clf.predict_proba(X), expected)
        assert set(vars(clf)) == names
    with pytest.raises(ValueError, match="X has 7 features"):
        clf.partial_fit(X[:, :7], y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_each_call_asks_once(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(name: str) -> None:
        original = getattr(_cnn, name)
        monkeypatch.setattr(_cnn, name, lambda *args: (asked.append(name), original(*args))[1])

    count("kind_of_clips")
    count("check_finite")
    X, y = data
    clf = make_clf(validation_fraction=0.2).fit(X, y)
    assert asked == ["check_finite"]
    clf.predict_proba(X)
    assert asked == ["check_finite"] * 2
    clf.predict_proba(X.tolist())
    assert asked[2:] == ["kind_of_clips", "check_finite"]


# Determinism, copies, state of the world


def test_unfitted(data: Data) -> None:
    for call in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(make_clf(), call)(data[0])


def test_fit_is_idempotent_and_seeded(data: Data, fitted: CNNClassifier) -> None:
    X, y = data
    expected = fitted.predict_proba(X)
    clf = make_clf().fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), expected)
    assert not np.array_equal(proba(X, y, random_state=1), expected)
    assert not np.array_equal(proba(X, y, random_state=None), expected)


def test_dropout_is_seeded(data: Data) -> None:
    np.testing.assert_array_equal(proba(*data, dropout=0.5), proba(*data, dropout=0.5))
    assert not np.array_equal(proba(*data, dropout=0.5), proba(*data))


LARGE: dict[str, Any] = {"channels": (16, 64, 512, 64), "max_epochs": 1}


def test_fit_is_the_same_under_any_threads_and_in_other_workers(data: Data) -> None:
    params = {**LARGE, "dropout": 0.3, "validation_fraction": 0.2}
    before = torch.get_num_threads()
    try:
        results = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            results.append(proba(*data, **params))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            results += joblib.Parallel()(joblib.delayed(proba)(*data, **params) for _ in range(2))
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_number_of_threads_of_a_training(data: Data) -> None:
    class Threads(Callback):
        def on_batch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
            seen.add(torch.get_num_threads())

    seen: set[int] = set()
    make_clf(callbacks=[Threads()], validation_fraction=0.2, **LARGE).fit(*data)
    assert seen == {1}


@pytest.mark.parametrize("module", [pickle, cloudpickle], ids=lambda module: module.__name__)
def test_pickle(data: Data, module: Any) -> None:
    X, y = data
    clf = make_clf(validation_fraction=0.2, early_stopping=True, dropout=0.3).fit(X, y)
    again = pickle.loads(module.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.history_ == clf.history_
    for _ in range(2):
        for each in (clf, again):
            each.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def leaves(state: Any) -> Iterator[Any]:
    """Yield what the lists and dicts of a state hold in the end."""
    if isinstance(state, dict):
        assert all(type(key) is str for key in state)
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        for part in state:
            yield from leaves(part)
    else:
        yield state


def test_state_is_numbers_and_arrays(data: Data) -> None:
    clf = make_clf(validation_fraction=0.2, early_stopping=True).fit(*data)
    kinds = {type(leaf) for leaf in leaves(clf.__getstate__())}
    assert kinds == {np.ndarray, int, float, str, bool, type(None)}
    net = clf.net_
    n_bytes = sum(4 * tensor.numel() for tensor in net.module_.state_dict().values())
    remembered = sum(8 * parameter.numel() for parameter in net.module_.parameters())
    for dumped in (pickle.dumps(clf), cloudpickle.dumps(clf)):
        assert len(dumped) < n_bytes + remembered + 8192
        assert b"torch" not in dumped
        assert b"skorch" not in dumped


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_are_independent(data: Data, take: Any) -> None:
    clf = make_clf().fit(*data)
    again, expected = take(clf), clf.predict_proba(data[0])
    np.testing.assert_array_equal(again.predict_proba(data[0]), expected)
    again.partial_fit(*data)
    np.testing.assert_array_equal(clf.predict_proba(data[0]), expected)
    assert clf.n_iter_ == len(clf.history_) == 3


def test_skops_carries_the_state(data: Data) -> None:
    clf = make_clf(dropout=0.2).fit(*data)
    dumped = skops.dumps(clf)
    asked = skops.get_untrusted_types(data=dumped)
    assert asked == ["sklearn_genremoe.experts._cnn.CNNClassifier"]
    again = skops.loads(dumped, trusted=asked)
    np.testing.assert_array_equal(again.predict_proba(data[0]), clf.predict_proba(data[0]))
    for each in (clf, again):
        each.partial_fit(*data)
    np.testing.assert_array_equal(again.predict_proba(data[0]), clf.predict_proba(data[0]))


def test_model_of_a_gpu_loads_where_there_is_none(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = make_clf().fit(*data)
    dumped = pickle.dumps(clf.set_params(device="cuda:3"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    again = pickle.loads(dumped)
    assert again.device == "cuda:3"
    np.testing.assert_array_equal(again.predict_proba(data[0]), clf.predict_proba(data[0]))
    with pytest.raises(ValueError, match="device='cuda:3' is not available here"):
        again.fit(*data)


def test_parameters_set_after_the_fit_do_not_matter_to_a_copy(data: Data) -> None:
    clf = make_clf().fit(*data)
    clf.set_params(channels=(3, 3, 3), dropout=0.5)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(data[0]), clf.predict_proba(data[0]))


def test_fit_leaves_the_world_as_it_was(
    data: Data, capsys: pytest.CaptureFixture[str], fitted: CNNClassifier
) -> None:
    X, y = data
    before = X.copy(), y.copy()
    np.random.seed(0)  # noqa: NPY002, the global state is what is watched
    torch.manual_seed(0)

    def world() -> list[Any]:
        return [
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            list(warnings.filters),
            torch.is_grad_enabled(),
        ]

    state = world()
    clf = make_clf(dropout=0.2, validation_fraction=0.2, early_stopping=1).fit(X, y)
    clf.predict(X)
    assert world() == state
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    params = make_clf().get_params()
    assert all(make_clf().fit(X, y).get_params()[name] == params[name] for name in params)


def test_verbose_shows_progress(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    clf = make_clf(verbose=1, validation_fraction=0.2).fit(*data)
    printed = capsys.readouterr()
    again = pickle.loads(pickle.dumps(clf))
    make_clf(verbose=1).partial_fit(*data, classes=np.unique(data[1]))
    for each in (clf, again):
        each.partial_fit(*data).predict(data[0])
        each.net_.partial_fit(data[0].copy(), data[1])
    assert capsys.readouterr() == ("", "")
    assert printed.out == ""
    assert "CNNClassifier: 100%" in printed.err
    assert "3/3" in printed.err
    assert "train_loss" in printed.err
    assert "valid_loss" in printed.err


# Weights


def test_weights_are_repetitions(data: Data) -> None:
    X, y = data
    weight = np.random.default_rng(0).integers(4, size=30)
    order = np.random.default_rng(1).permutation(30)
    weighted = make_clf().fit(X[order], y[order], sample_weight=weight[order])
    repeated = make_clf().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert not np.array_equal(weighted.predict_proba(X), proba(X, y))


def test_weight_zero_is_absence_also_of_a_class(data: Data) -> None:
    X, y = data
    labels = np.where(np.arange(30) < 6, "rare", np.array(["a", "b"])[y])
    clf = make_clf().fit(X, labels, sample_weight=(np.arange(30) >= 6).astype(float))
    np.testing.assert_array_equal(clf.classes_, ["a", "b"])
    expected = make_clf().fit(X[6:], labels[6:])
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("bad", [np.zeros(30), -np.ones(30), np.ones(29), np.full(30, np.nan)])
def test_bad_weights(data: Data, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"(?i)weight"):
        make_clf().fit(*data, sample_weight=bad)


def test_class_weight_multiplies_the_weights_of_clips(data: Data) -> None:
    X, y = data
    by_class = make_clf(class_weight={0: 3, 1: 0.5}).fit(X, y)
    by_clip = make_clf().fit(X, y, sample_weight=np.where(y == 0, 3, 0.5))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_clip.predict_proba(X))


def test_balanced_class_weight_counts_weights(data: Data) -> None:
    X, y = data
    weight = np.where(y == 0, 4.0, 1.0)
    balanced = make_clf(class_weight="balanced").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(balanced.predict_proba(X), proba(X, y), rtol=1e-5)


def test_weights_are_routed(data: Data) -> None:
    X, y = data
    weight = np.where(np.arange(30) < 10, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make_clf().set_fit_request(sample_weight=True, groups=True)
        clf.set_score_request(sample_weight=False)
        params = {"sample_weight": weight, "groups": np.arange(30) // 2}
        scores = cross_val_score(clf, X, y, cv=2, params=params)
        assert scores.shape == (2,)
        np.testing.assert_array_equal(
            make_clf().fit(X, y, sample_weight=weight).predict_proba(X),
            make_clf().fit(X[10:], y[10:]).predict_proba(X),
        )


# Control of the training


def test_nothing_is_held_out_silently(data: Data) -> None:
    seen = 0

    class Counter(Callback):
        def on_batch_end(self, net: Any, batch: Any, training: bool, **kwargs: Any) -> None:
            nonlocal seen
            seen += len(batch[1])

    clf = make_clf(max_epochs=1, callbacks=[Counter()]).fit(*data)
    assert seen == 30
    assert "valid_loss" not in clf.history_[-1]


def test_validation_loss_is_watched(data: Data) -> None:
    clf = make_clf(validation_fraction=0.2).fit(*data)
    assert all("valid_loss" in epoch for epoch in clf.history_)
    assert clf.n_iter_ == 3


def test_early_stopping_keeps_the_best_epoch(data: Data) -> None:
    X, _ = data
    weights: list[torch.Tensor] = []

    class Recorder(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            weights.append(net.module_.head.weight.detach().clone())

    noise = np.random.default_rng(1).integers(2, size=30)  # what can't be learned
    clf = make_clf(
        max_epochs=60,
        lr=0.05,
        validation_fraction=0.4,
        early_stopping=4,
        callbacks=[("recorder", Recorder())],
    ).fit(X, noise)
    losses = [epoch["valid_loss"] for epoch in clf.history_]
    best = int(np.argmin(losses))
    assert clf.n_iter_ == best + 5 < 60
    # The fifth epoch without improvement ended before its callbacks came to the recorder.
    assert torch.equal(clf.net_.module_.head.weight, weights[best])


def test_validation_respects_groups(data: Data) -> None:
    X, y = data
    held_out: list[int] = []
    rows = {clip.tobytes(): row for row, clip in enumerate(X)}

    class Recorder(Callback):
        def on_batch_end(self, net: Any, batch: Any, training: bool, **kwargs: Any) -> None:
            if not training:
                held_out.extend(rows[clip.numpy().tobytes()] for clip in batch[0]["X"])

    groups = np.array([f"artist {row // 4}" for row in range(30)])
    clf = make_clf(max_epochs=1, validation_fraction=0.25, callbacks=[Recorder()])
    clf.fit(X, y, groups=groups)
    outside = np.setdiff1d(np.arange(30), held_out)
    assert 4 <= len(held_out) <= 12
    assert not set(groups[held_out]) & set(groups[outside])
    with pytest.raises(ValueError, match="groups has 5 entries for 30 clips"):
        clf.fit(X, y, groups=groups[:5])


def test_groups_change_nothing_without_validation(data: Data, fitted: CNNClassifier) -> None:
    X, y = data
    clf = make_clf().fit(X, y, groups=np.arange(30) // 3)
    np.testing.assert_array_equal(clf.predict_proba(X), fitted.predict_proba(X))


def test_callbacks_of_skorch_work(data: Data) -> None:
    scoring = EpochScoring("accuracy", name="train_acc", on_train=True, lower_is_better=False)
    stop = EarlyStopping("train_acc", patience=2, lower_is_better=False)
    clf = make_clf(max_epochs=40, callbacks=[scoring, ("stop", stop)]).fit(*data)
    assert 0.5 <= clf.history_[-1]["train_acc"] <= 1
    assert clf.n_iter_ < 40


@pytest.mark.parametrize("callback", [EarlyStopping(), ("best", Checkpoint())])
def test_callbacks_that_watch_held_out_clips_need_some(data: Data, callback: Any) -> None:
    clf = make_clf(callbacks=[callback])
    message = r"callbacks hold .*, which watches 'valid_.*'.*use fit with validation_fraction"
    with pytest.raises(ValueError, match=message):
        clf.fit(*data)
    with pytest.raises(ValueError, match=message):
        clf.set_params(validation_fraction=0.2).partial_fit(*data, classes=[0, 1])


def test_early_stopping_of_skorch_watches_held_out_clips(data: Data) -> None:
    stop = EarlyStopping(patience=2, threshold=10, threshold_mode="abs")
    clf = make_clf(callbacks=[stop], validation_fraction=0.2, max_epochs=30)
    assert clf.fit(*data).n_iter_ == 3


def test_class_of_a_single_clip_cannot_be_held_out(data: Data) -> None:
    X, y = data
    labels = np.array(["folk", "rock"])[y]
    labels[3] = "jazz"
    clf = make_clf(validation_fraction=0.2)
    with pytest.raises(
        ValueError, match=r"too few clips of jazz to hold out .* leave the class out, use"
    ):
        clf.fit(X, labels)


def test_continued_training_follows_its_parameters(data: Data) -> None:
    rates = Rates()
    clf = make_clf(max_epochs=1, lr_decay=0.5, lr=1e-2).fit(*data)
    clf.set_params(lr=1e-4, batch_size=10, callbacks=[rates], dropout=0.5).partial_fit(*data)
    assert rates.seen == pytest.approx([1e-4 / (1 + 0.5 * t) for t in (2, 3, 4)])
    assert clf.net_.module_.dropout.p == 0.5
    for name, value in [
        ("channels", (4, 7)),
        ("pool_sizes", [(2, 2), (5, 9)]),
        ("crop_frames", 9),
        ("architecture", "statistics_pooling"),
        ("center_bins", True),
    ]:
        before = clf.get_params()[name]
        with pytest.raises(ValueError, match=f"for which .*{name}.* can't change"):
            clf.set_params(**{name: value}).partial_fit(*data)
        clf.set_params(**{name: before}).predict(data[0])


class Rates(Callback):
    """Keep the learning rate of each update."""

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        self.seen: list[float] = []

    def on_grad_computed(self, net: Any, *args: Any, **kwargs: Any) -> None:
        self.seen.append(net.optimizer_.param_groups[0]["lr"])


class Halving(LRScheduler):
    def __init__(self) -> None:
        super().__init__(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)


@pytest.mark.parametrize("schedule", ["inverse_time", "one_cycle"])
@pytest.mark.parametrize(
    "scheduler",
    [
        LRScheduler("StepLR", step_size=1, gamma=0.5),
        ("rate", LRScheduler("LambdaLR", lr_lambda=lambda epoch: 0.5**epoch)),
        Halving(),
        Halving,
    ],
    ids=["policy", "pair", "subclass", "class"],
)
def test_scheduler_of_the_user_takes_the_place_of_ours(
    data: Data, scheduler: Any, schedule: str
) -> None:
    rates = Rates()
    make_clf(lr=0.01, schedule=schedule, callbacks=[rates, scheduler]).fit(*data)
    updates = len(rates.seen) // 3
    assert rates.seen == pytest.approx(np.repeat([0.01, 0.005, 0.0025], updates).tolist())


def test_rate_that_another_callback_sets_decays(data: Data) -> None:
    class Lower(Callback):
        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            net.optimizer_.param_groups[0]["lr"] = 1e-3

    rates = Rates()
    clf = make_clf(lr_decay=0.0, callbacks=[Lower(), rates]).fit(*data)
    assert rates.seen == pytest.approx([1e-3] * len(rates.seen))
    clf.set_params(lr_decay=0.5, max_epochs=1).fit(*data)
    assert rates.seen == pytest.approx([1e-3 / (1 + 0.5 * t) for t in range(len(rates.seen))])


def test_fit_starts_anew(data: Data) -> None:
    X, y = data
    clf = make_clf().fit(X, y)
    clf.fit(X[:, :8, :9], 1 - y)
    assert clf.input_shape_ == (8, 9)
    np.testing.assert_array_equal(clf.predict_proba(X[:, :8, :9]), proba(X[:, :8, :9], 1 - y))


def test_partial_fit_is_an_epoch(data: Data) -> None:
    X, y = data
    clf = make_clf()
    for _ in range(2):
        clf.partial_fit(X, y, classes=[0, 1])
    assert clf.n_iter_ == 2
    once = make_clf(max_epochs=1).fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), once.predict_proba(X))


def test_partial_fit_takes_classes_as_they_come(data: Data) -> None:
    X, y = data
    clf = make_clf().partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
    clf.partial_fit(X[y == 1], y[y == 1], sample_weight=np.ones(15))
    assert clf.predict_proba(X).shape == (30, 3)
    with pytest.raises(ValueError, match=r"y has the labels \[5\], but classes are \[0, 1, 2\]"):
        clf.partial_fit(X, np.full(30, 5))
    with pytest.raises(ValueError, match="not the same as on last call"):
        clf.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"clips of shape \(12, 9\)"):
        clf.partial_fit(X[:, :, :9], y)
    clf.predict(X)  # what was refused has harmed nothing
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        make_clf().partial_fit(X, y)
    names = np.array(["a", "b", "c"], dtype=np.dtypes.StringDType())
    clf = make_clf().partial_fit(X, names[y], classes=names)
    assert clf.classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"classes holds several values .* \['b', 'c'\]"):
        make_clf().partial_fit(X, names[y], classes=["a", ["b", "c"]])
    with pytest.raises(ValueError, match="class_weight='balanced' needs all clips"):
        make_clf(class_weight="balanced").partial_fit(X, y, classes=[0, 1])


class Interrupt(Callback):
    """The user presses Ctrl-C in the last of three epochs."""

    armed = True

    def on_batch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        if self.armed and len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("again", [False, True])
def test_interrupt_leaves_the_classifier_unfitted(data: Data, again: bool) -> None:
    X, y = data
    interrupt = Interrupt()
    clf = make_clf(callbacks=[interrupt])
    if again:
        clf.set_params(max_epochs=2).fit(X, y).set_params(max_epochs=3)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    assert not [name for name in vars(clf) if name.endswith("_")]
    interrupt.armed = False
    clf.fit(X, y).predict(X)


def test_grid_search(data: Data) -> None:
    search = GridSearchCV(make_clf(max_epochs=1), {"lr": [1e-3, 1e-2], "channels": [(4,)]}, cv=2)
    search.fit(*data)
    assert search.best_params_["channels"] == (4,)
    search.predict(data[0])


def test_classes_that_make_no_sense(data: Data) -> None:
    X, y = data
    with pytest.raises(ValueError, match="not in class_weight"):
        make_clf(class_weight={np.unique(y).tolist()[0]: 1.0, "polka": 2.0}).fit(X, y)
    make_clf(class_weight={**dict.fromkeys(np.unique(y).tolist(), 1.0), "polka": 2.0}).fit(X, y)
    with pytest.raises(ValueError, match="one class"):
        make_clf().partial_fit(X[:2], np.array([y[0], y[0]]), classes=[y[0]])
