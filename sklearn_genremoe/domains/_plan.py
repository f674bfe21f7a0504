"""Which domains are computed, and what tells one from others: class, parameters, and code."""

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

import joblib
import numpy as np

from .._clips import without_torch

# Classes of these are versioned by their packages.
_PACKAGES = {"builtins", "sklearn", "sklearn_genremoe"}
_CONSTANTS = (str, bytes, int, float, complex)


class Plan:
    """Domains by name, with their parameters checked and their keys, for one public call.

    Who is called by the user makes it and hands it down: nobody below checks parameters or asks
    again what a domain computes. ``keys`` are equal for domains that compute the same; ``distinct``
    holds the first of these, and ``entries`` its name for each. ``with_mixer`` says whether a mixer
    sees the clips, ``mixer`` in which domain, if one is extracted.
    """

    def __init__(self, domains: Mapping[str, Any]):
        self.domains = dict(domains)
        for domain in self.domains.values():
            domain._check_params()
        self.keys = {n: (type(domain), domain.signature) for n, domain in self.domains.items()}
        first: dict[tuple, str] = {}
        self.entries = {name: first.setdefault(key, name) for name, key in self.keys.items()}
        self.distinct = {name: self.domains[name] for name in first.values()}
        self.mixer: str | None = None
        self.with_mixer = False

    def see_by(self, name: str) -> None:
        """Let the mixer see a domain, under the name of an equal one if there is one."""
        self.mixer = self.entries[name]
        if self.mixer != name:
            for table in (self.domains, self.keys, self.entries):
                del table[name]

    @property
    def n_samples(self) -> int:
        """Samples per clip that a file stands for."""
        return next(iter(self.domains.values())).n_samples

    @property
    def end(self) -> float:
        """Second up to which files are read."""
        return max(domain.offset + domain.duration for domain in self.domains.values())

    def check_rates(self) -> None:
        """Raise if waveforms, which have one sample rate, don't suit all domains."""
        rates = {name: domain.sample_rate for name, domain in self.domains.items()}
        if len(set(rates.values())) > 1:
            advice = "give the domains one sample_rate, or pass paths"
            raise ValueError(
                f"waveforms have one sample rate, the domains expect {rates}; {advice}"
            )


def fingerprint(value: Any) -> str:
    """Return a text that is equal for parameters with which the same is computed.

    Numbers, text, paths and sequences of them are legible, as 30 for 30 and 30.0; anything else is
    known by its type and the hash of its content, which is the same in each process.

    >>> fingerprint([1, 2.5, np.ones(3)]) == fingerprint((1.0, 2.5, np.ones(3)))
    True
    """
    value = without_torch(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, _CONSTANTS):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(fingerprint, value))})"
    if type(value) in (np.ndarray, np.memmap):
        value = np.ascontiguousarray(value)  # joblib tells arrays by their strides too
    try:
        content = _code(value, fingerprint) if isinstance(value, FunctionType) else value
        return f"{type(value).__module__}.{type(value).__qualname__} {joblib.hash(content)}"
    except Exception as error:  # whatever pickling raises
        found = f"{value!r} can't be told from others of its kind ({error})"
        raise ValueError(f"{found}; expected numbers, text, or what can be pickled") from error


@lru_cache(maxsize=256)
def code_of(cls: type) -> str:
    """Return a hash of the code of a user's class, empty for a class of a package.

    That is the methods of the class and of those that it inherits from, with the constants that
    they enclose, and attributes that are constants, as they are when a process first asks. It is
    the bytecode, which is what runs, where a source may have been edited since.
    """
    parts = [
        f"{base.__name__}.{name} {_code(value, _constant)}"
        for base in cls.__mro__
        if base.__module__.partition(".")[0] not in _PACKAGES
        for name, value in vars(base).items()
        if not name.startswith("__") or isinstance(value, FunctionType)
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest() if parts else ""


def _code(value: Any, known: Callable) -> Any:
    """Return what a function does, the same in each process, with what is `known` of its values.

    That is of its defaults, of what it encloses, and of an attribute that is no function.
    """
    if isinstance(value, property):
        value = value.fget
    value = inspect.unwrap(getattr(value, "__func__", value))
    if not isinstance(value, FunctionType):
        return known(value)
    enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
    values = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *enclosed]
    return _bytecode(value.__code__), *map(known, values)


def _constant(value: Any) -> str | None:
    """Return a fingerprint, but None of what may change while a program runs."""
    is_constant = value is None or isinstance(value, (*_CONSTANTS, np.ndarray))
    is_fixed = isinstance(value, tuple) and all(map(_constant, value))
    return fingerprint(value) if is_constant or is_fixed else None


def _bytecode(code: Any) -> str:
    """Return what code does, or a constant of it, the same in each process."""
    if isinstance(code, CodeType):
        constants = [*map(_bytecode, code.co_consts)]
        return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"
    return repr(sorted(code, key=repr) if isinstance(code, frozenset) else code)
