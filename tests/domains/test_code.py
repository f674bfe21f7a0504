"""The cache notices when source or parameters of an own domain change, and only then."""

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

HELPERS = """
FACTOR = {factor}

def scaled(x):
    return FACTOR * x
"""

MODULE = """
import math
import numpy as np
from functools import lru_cache, partial
from sklearn_genremoe.domains import BaseDomain
import {helpers}
from {helpers} import scaled

WEIGHTS = np.array([{weight}, 2.0])
NAMES = {{"a", "b", "c", "{name}"}}
UNRELATED = {unrelated}

def helper(x, power={default}):
    \"\"\"{doc}\"\"\"
    return inner(x) ** power

def inner(x):
    return x + {inner}

def recursive(n):
    return recursive(n - 1) if n else {inner}

@lru_cache
def table():
    return {table}

def make(constant):
    def features_of(x):
        return x + constant
    return features_of

closure = make({closed})
bound = partial(helper, power={partial})

class Scale:
    factor = {attribute}
    def __call__(self, x):
        return x * self.factor

class Parent(BaseDomain):
    level = {level}
    @staticmethod
    def weigh(x):
        return x * WEIGHTS[0]
    @property
    def shift(self):
        return {shift}

class Own(Parent):
    def features(self, analysis):
        x = analysis.amplitude(1024, 512)[:1]
        assert "{name}" in NAMES and math.pi > 3
        y = helper(x) + self.weigh(x) + self.shift + {helpers}.scaled(x) + scaled(x)
        return [z + table() + recursive(3) + Scale()(z) + bound(z) + closure(z) for z in (y,)][0]
"""

VALUES = {
    "weight": 1.0, "name": "d", "unrelated": 1, "default": 2, "doc": "A helper.", "inner": 1,
    "table": 1, "closed": 1, "partial": 1, "attribute": 1, "level": 1, "shift": 1, "factor": 1,
}  # fmt: skip
SOURCE = "from {module} import Own\nfrom sklearn_genremoe.domains._plan import code_of\n"


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A function that writes the module with some values changed and returns its hash."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(number=0, **changes):
        values = {**VALUES, "helpers": f"helpers_{number}", **changes}
        (tmp_path / f"helpers_{number}.py").write_text(HELPERS.format(**values), encoding="utf-8")
        (tmp_path / f"own_{number}.py").write_text(MODULE.format(**values), encoding="utf-8")

    def load(**changes):
        for name in [name for name in sys.modules if name in ("own_0", "helpers_0")]:
            del sys.modules[name]
        write(**changes)
        import importlib

        importlib.invalidate_caches()
        return code_of(importlib.import_module("own_0").Own)

    yield load
    for name in ("own_0", "helpers_0"):
        sys.modules.pop(name, None)


# What modules hold may change while a program runs, and so isn't looked at.
STATE = ("weight", "name", "unrelated", "doc", "partial", "factor")
CHANGES = {name: 7 for name in VALUES if name not in STATE}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_what_is_referred_to(code, name):
    before = code()
    assert code(**{name: CHANGES[name]}) != before
    assert code() == before


@pytest.mark.parametrize("name", [name for name in STATE if name not in ("doc", "name")])
def test_the_state_of_modules_does_not_count(code, name):
    assert code(**{name: 7}) == code()


def test_the_same_in_each_process(code, tmp_path):
    expected = code()
    for seed in ("1", "2"):  # of the order of sets
        run = subprocess.run(
            [sys.executable, "-c", SOURCE.format(module="own_0") + "print(code_of(Own))"],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == expected


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
    "masked array": lambda value: np.ma.array([1, 2], mask=[value == 1, True]),
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


def test_parameters_are_the_same_in_each_process():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_code import *\n"
        "for kind, make in PARAMETERS.items(): print(kind, fingerprint(make(1)))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().count("\n") == len(PARAMETERS)


def test_a_parameter_that_nobody_can_tell_from_others():
    domain = Parametrised(iter_ := (i for i in range(3)))
    with pytest.raises(ValueError, match=r"Parametrised: the parameter how=<generator .* pickled"):
        DomainUnion([("a", domain)]).transform(np.ones((1, 4410)))
    assert next(iter_) == 0
