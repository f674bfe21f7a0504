"""The cache notices when source or parameters of an own domain change, and only then."""

import importlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sklearn_genremoe import DomainUnion, LogMelSpectrogram
from sklearn_genremoe.domains import BaseDomain
from sklearn_genremoe.domains._plan import code_of, fingerprint

MODULE = """
from functools import lru_cache
from sklearn_genremoe.domains import BaseDomain

STATE = [{state}]

def helper(x):
    return x + {helper}

def added(constant):
    def method(self, x):
        return x + constant
    return method

class Parent(BaseDomain):
    level = {level}
    memo = {{}}

    @staticmethod
    def weigh(x, power={default}):
        return x ** power

    @classmethod
    def name(cls):
        return "abc" if cls in {{"a", "b", "{name}"}} else [n for n in range({inner})]

    @property
    @lru_cache
    def shift(self):
        return {shift}

    add = added({closed})

class Own(Parent):
    def features(self, analysis):
        return self.weigh(helper(analysis.amplitude(1024, 512)[:1])) + {own}
"""

NAMES = "state", "helper", "level", "default", "name", "inner", "shift", "closed", "own"
# Functions that a class calls, and what modules hold.
NOT_LOOKED_AT = NAMES[:2]


def load(folder, **changes):
    """Write and import a module with some values changed."""
    (folder / "own.py").write_text(MODULE.format(**{**dict.fromkeys(NAMES, 1), **changes}), "utf-8")
    sys.modules.pop("own", None)
    importlib.invalidate_caches()
    return importlib.import_module("own").Own


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    sys.modules.pop("own", None)


@pytest.mark.parametrize("name", NAMES)
def test_what_counts_of_the_code(folder, name):
    before = code_of(load(folder))
    assert (code_of(load(folder, **{name: 7})) == before) == (name in NOT_LOOKED_AT)
    assert code_of(load(folder)) == before


def test_of_an_edited_module_what_was_imported_counts(folder):
    own, expected = load(folder), code_of(load(folder))
    load(folder, own=7)
    assert code_of(own) == expected


def test_the_same_in_each_process(folder):
    program = (
        f"from {__name__} import *\nfrom own import Own\n"
        "print([code_of(Own), *(fingerprint(make(1)) for make in PARAMETERS.values())])"
    )
    expected = [code_of(load(folder)), *(fingerprint(make(1)) for make in PARAMETERS.values())]
    paths = [str(folder), str(Path(__file__).parent), *sys.path]
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(expected)


def test_classes_without_a_source():
    codes = []
    for level in (1, 1, 2):
        namespace = {"__name__": "a notebook"}
        exec(
            "from sklearn_genremoe.domains import BaseDomain\n"
            f"class Own(BaseDomain):\n    level = {level}\n"
            "    def features(self, analysis):\n        return self.level * analysis.waveform\n",
            namespace,
        )
        codes.append(code_of(namespace["Own"]))
    assert codes[0] == codes[1] != codes[2]


MEMO = {}


class Stateful(BaseDomain):
    normalize, output_ndim = None, 1
    calls = 0

    def features(self, analysis):
        type(self).calls += 1
        MEMO.setdefault(len(MEMO), analysis.waveform)
        return np.ones(1)


def test_state_does_not_keep_the_cache_from_being_hit(tmp_path):
    X = np.random.default_rng(0).normal(size=(2, 4410))
    for _ in range(3):
        DomainUnion([("stateful", Stateful())], memory=tmp_path).transform(X)
    assert Stateful.calls == 2
    assert len(list(tmp_path.glob("*/Stateful-*"))) == 1


def made_by_a_factory(factor):
    class Made(BaseDomain):
        normalize, output_ndim = None, 1

        def features(self, analysis):
            return factor * np.ones(1)

    return Made()


def test_classes_of_a_factory_do_not_share_a_folder(tmp_path):
    for factor in (1, 100, 1):
        union = DomainUnion([("made", made_by_a_factory(factor))], memory=tmp_path)
        assert union.transform(np.ones((1, 4410)))["made"] == factor
    assert len(list(tmp_path.glob("*/Made-*"))) == 2


def test_classes_of_the_package_count_by_their_name():
    assert code_of(LogMelSpectrogram) == ""


def times(factor):
    return lambda x: x * factor


class Weighted:
    """Looks the same whatever it holds."""

    def __init__(self, weight):
        self.weight = weight

    def __repr__(self):
        return "Weighted()"


def sparse_tensor(value):
    import torch

    tensor = torch.zeros(2000)  # whose repr is shortened
    tensor[1000] = value
    return tensor


ZERO, ONE = np.zeros(3), np.ones(3)
PARAMETERS = {
    "list": lambda value: [1, value],
    "dict": lambda value: {"a": value},
    "shared arrays": lambda value: {"a": ZERO, "b": ONE, "c": (ZERO, ONE)[value - 1]},
    "array": lambda value: np.append(np.zeros(5000), value),
    "array of objects": lambda value: np.array([None, value], dtype=object),
    "strided array": lambda value: np.arange(8.0).reshape(2, 4).T[:: 3 - value],
    "lambda in a list": lambda value: [times(value)],
    "closure": times,
    "partial": lambda value: partial(np.add, value),
    "method": lambda value: Weighted(value).__repr__,
    "object": Weighted,
    "estimator": lambda value: PCA(1).fit([[0.0, 1.0], [value, 3.0]]),
    "tensor": sparse_tensor,
    "path": lambda value: Path(str(value)),
    "type": lambda value: {1: np.float32, 2: np.float64}[value],
    "generator of numbers": np.random.RandomState,
}


class Parametrised(BaseDomain):
    duration = 0.2
    normalize = None

    def __init__(self, how):
        self.how = how

    def features(self, analysis):
        return analysis.amplitude(1024, 512)[:4]


@pytest.mark.parametrize("kind", PARAMETERS)
class TestParametersOfEveryKind:
    def test_are_told_from_others_by_their_content(self, kind):
        make = PARAMETERS[kind]
        assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))
        assert hash(fingerprint(make(1))) == hash(fingerprint(make(1)))

    def test_make_a_domain(self, kind, tmp_path):
        make = PARAMETERS[kind]
        X = np.random.default_rng(0).normal(size=(2, 4410))
        domain = Parametrised(make(1))
        batch = DomainUnion([("a", domain), ("b", Parametrised(make(2)))]).fit_transform(X)
        assert batch.name_of(Parametrised(make(1))) == "a"
        assert batch.name_of(Parametrised(make(2))) == "b"
        for value in (1, 1, 2):
            DomainUnion([("a", Parametrised(make(value)))], memory=tmp_path).transform(X)
        folders = list(tmp_path.glob("*/Parametrised-*"))
        assert len(folders) == 2  # one each, whatever they look like


def test_a_parameter_that_nobody_can_tell_from_others():
    domain = Parametrised(iter_ := (i for i in range(3)))
    with pytest.raises(ValueError, match=r"Parametrised: the parameter how=<generator .* pickled"):
        DomainUnion([("a", domain)]).transform(np.ones((1, 4410)))
    assert next(iter_) == 0
