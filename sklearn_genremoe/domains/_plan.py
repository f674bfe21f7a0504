"""Which domains are computed, and what tells one from others: class, parameters, and code."""

import contextlib
import hashlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from numbers import Number, Real
from types import CodeType, FunctionType, MethodType
from typing import Any

import joblib
import numpy as np

from .._clips import without_torch

# What lies here is versioned by its packages, ours included.
_INSTALLED = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OURS = __name__.partition(".")[0]


class Plan:
    """Domains by name, with their parameters checked and their keys, for one public call.

    Who is called by the user makes it and hands it down: nobody below checks parameters or asks
    again what a domain computes.

    Parameters
    ----------
    domains : mapping of str to BaseDomain
        Names of entries and domains.

    Attributes
    ----------
    domains : dict of str to BaseDomain
        As given.
    signatures : dict of str to tuple
        What each domain computes.
    keys : dict of str to tuple
        Class and parameters of each domain: equal for domains that compute the same.
    distinct : dict of str to BaseDomain
        The first of the domains that compute the same.
    entries : dict of str to str
        For each domain, the name of that first one.
    mixer : str or None
        The name of the domain in which a mixer sees the clips.
    """

    def __init__(self, domains: Mapping[str, Any]):
        self.domains = dict(domains)
        for domain in self.domains.values():
            domain._check_params()
        self.signatures = {name: domain.signature for name, domain in self.domains.items()}
        self.keys = {
            name: (type(domain), text_of(self.signatures[name]))
            for name, domain in self.domains.items()
        }
        first: dict[tuple, str] = {}
        self.entries = {name: first.setdefault(key, name) for name, key in self.keys.items()}
        self.distinct = {name: self.domains[name] for name in first.values()}
        self.mixer: str | None = None

    def see_by(self, name: str) -> None:
        """Let the mixer see a domain, under the name of an equal one if there is one."""
        self.mixer = self.entries[name]
        if self.mixer != name:
            for table in (self.domains, self.signatures, self.keys, self.entries):
                del table[name]

    def check_rates(self) -> None:
        """Raise if waveforms, which have one sample rate, don't suit all domains."""
        rates = {name: domain.sample_rate for name, domain in self.domains.items()}
        if len(set(rates.values())) > 1:
            raise ValueError(
                f"waveforms have one sample rate, but the domains expect {rates}; give the domains "
                "one sample_rate, or pass paths"
            )


def fingerprint(value: Any) -> Hashable:
    """Return what is equal for values of a parameter with which the same is computed.

    Parameters
    ----------
    value : object
        The value: a number, string, array, function, fitted estimator ...

    Returns
    -------
    fingerprint : hashable
        Numbers and text as they are, sequences as tuples, paths as text; of all else the type and
        a hash of the content, which is the same in each process.

    Raises
    ------
    ValueError
        If it can't be pickled, so that its content is unknown.

    Examples
    --------
    >>> fingerprint([1, 2.5, None])
    (1, 2.5, None)
    >>> fingerprint(np.ones(3)) == fingerprint(np.ones(3)) != fingerprint(np.zeros(3))
    True
    """
    value = without_torch(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufcUS":
        value = value.item()
    if value is None or isinstance(value, (str, bytes, Number)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(fingerprint, value))
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: repr(item[0]))
        return ("dict", *((fingerprint(key), fingerprint(entry)) for key, entry in items))
    if isinstance(value, partial):
        return ("partial", *map(fingerprint, (value.func, value.args, value.keywords)))
    if isinstance(value, MethodType):
        return ("method", fingerprint(value.__func__), fingerprint(value.__self__))
    if isinstance(value, np.ma.MaskedArray):
        return ("masked", fingerprint(value.data), fingerprint(np.ma.getmaskarray(value)))
    if type(value) in (np.ndarray, np.memmap):
        value = np.ascontiguousarray(value)  # joblib tells arrays by their strides too
    try:
        if isinstance(value, FunctionType):
            inner = inspect.unwrap(value)
            content = (
                code_of(value),
                fingerprint(_enclosed(inner)),
                fingerprint(inner.__defaults__),
            )
        else:
            content = value
        return f"{type(value).__module__}.{type(value).__qualname__} {joblib.hash(content)}"
    except Exception as error:  # whatever pickling raises
        raise ValueError(
            f"{value!r} can't be told from others of its kind ({error}): give a number, a string, "
            "an array, a function, or an object that can be pickled"
        ) from error


def text_of(value: Any) -> str:
    """Return a fingerprint as text: equal for 30, 30.0 and for NaN, not for 1 and True."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return repr(int(value))  # type: ignore[call-overload]
    return repr(value)


@lru_cache(maxsize=256)
def code_of(item: Any) -> str:
    """Return a hash of the code of a user's class or function, and of what it refers to.

    That is the classes that it inherits from, the functions and classes of the user's that its
    code names, and constants: defaults, what functions enclose, and attributes of classes, all
    as they are when a process first asks. Not looked at are variables of modules, whose state may
    change, and what is installed.

    Parameters
    ----------
    item : type or function
        The class or function.

    Returns
    -------
    digest : str
        The hash; empty for what belongs to a package.
    """
    found: dict[Any, str] = {}
    _collect(item, found)
    return hashlib.sha256("\0".join(found.values()).encode()).hexdigest() if found else ""


def _collect(item: Any, found: dict[Any, str]) -> None:
    """Add the code of a class or function, and of those that it refers to."""
    if isinstance(item, property):
        item = item.fget
    item = inspect.unwrap(getattr(item, "__func__", item))
    if not isinstance(item, (type, FunctionType)) or item in found or _is_installed(item):
        return
    if isinstance(item, type):
        own = {n: v for n, v in vars(item).items() if not n.startswith("__") and _is_constant(v)}
        found[item] = f"{item.__qualname__} {text_of(fingerprint(own))}"
        further: Iterable[Any] = (*item.__bases__, *vars(item).values())
    else:
        enclosed = _enclosed(item)
        given = [*map(fingerprint, filter(_is_constant, (*(item.__defaults__ or ()), *enclosed)))]
        found[item] = f"{item.__qualname__} {_bytecode(item.__code__)} {given}"
        further = (*enclosed, *(item.__globals__.get(name) for name in _names(item.__code__)))
    for part in further:
        _collect(part, found)


def _enclosed(function: FunctionType) -> list[Any]:
    """Return what a function encloses; cells may be empty."""
    filled = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            filled.append(cell.cell_contents)
    return filled


def _is_constant(value: Any) -> bool:
    """Tell whether a value is one that code doesn't change in place."""
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, (str, bytes, Number, np.ndarray))


def _bytecode(code: CodeType) -> str:
    """Return what code does, the same in each process."""
    constants = [
        _bytecode(value)
        if isinstance(value, CodeType)
        else repr(sorted(value, key=repr) if isinstance(value, frozenset) else value)
        for value in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that code refers to, those of functions inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_installed(item: Any) -> bool:
    """Tell whether a class or function comes from a package, not from the user."""
    module = item.__module__ or ""
    if module == "__main__":
        return False
    if module == "builtins" or module.partition(".")[0] == _OURS:
        return True
    if isinstance(item, FunctionType):
        return item.__code__.co_filename.startswith(_INSTALLED)
    return (getattr(sys.modules.get(module), "__file__", None) or "").startswith(_INSTALLED)
