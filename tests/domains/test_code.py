"""The cache notices when the code that an own domain consists of changes, and only then."""

import subprocess
import sys

import pytest

from sklearn_genremoe import LogMelSpectrogram
from sklearn_genremoe.domains._code import code_of

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
SOURCE = "from {module} import Own\nfrom sklearn_genremoe.domains._code import code_of\n"


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


CHANGES = {**{name: 7 for name in VALUES if name not in ("unrelated", "doc")}, "name": "e"}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_what_is_referred_to(code, name):
    before = code()
    assert code(**{name: CHANGES[name]}) != before
    assert code() == before


def test_what_is_not_referred_to_does_not_count(code):
    assert code(unrelated=2) == code()


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


def test_classes_of_the_package_count_by_their_name():
    assert code_of(LogMelSpectrogram) == ""
