"""Estimators whose constructor and parameter checks follow from their fields."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, dataclass_transform, get_origin, get_type_hints

from ._compat import Interval, StrOptions, validate_params

Count = Annotated[int, Interval(Integral, 1, None, closed="left")]
Positive = Annotated[float, Interval(Real, 0, None, closed="neither")]
NonNegative = Annotated[float, Interval(Real, 0, None, closed="left")]
Verbosity = Annotated[int, "verbose"]
OnError = Literal["raise", "warn"]

# What scikit-learn checks of a parameter instead of its type.
_CHECKS = {int: Integral, float: Real, bool: "boolean", NoneType: None, Sequence: "array-like"}

_SECTIONS = {
    title: re.compile(rf"{title}\n----------\n.*?(?=\n\n\S|\Z)", re.DOTALL)
    for title in ("Parameters", "Attributes")
}
_ENTRY = re.compile(r"^\w+ : .*(?:\n+ +.*)*", re.MULTILINE)


@dataclass_transform(eq_default=False)
def with_init(cls):
    """Give an estimator an ``__init__`` of its fields and those that it inherits, and their texts.

    Of the sections Parameters and Attributes of its docstring, each entry holds for the classes
    that inherit from it as well, unless they have one of the same name. So do the constraints.
    """
    cls = with_checks(dataclass(eq=False, repr=False)(cls))
    cls.__dask_tokenize__ = _dask_token
    docs = [inspect.cleandoc(vars(base).get("__doc__") or "") for base in reversed(cls.__mro__)]
    whole, own = [], docs[-1]
    for title, section in _SECTIONS.items():
        found = [found for doc in docs for found in section.findall(doc)]
        entries = {e.split()[0]: e for text in found for e in _ENTRY.findall(text)}
        if title == "Parameters":
            entries = {n: entries[n] for n in inspect.signature(cls).parameters if n in entries}
        if entries:
            whole.append("\n".join([title, "-" * 10, *entries.values()]))
        if title == "Attributes":
            own = section.sub("", own)
    cls.__doc__ = _SECTIONS["Parameters"].sub(lambda _: "\n\n".join(whole), own)
    return cls


def with_checks(cls):
    """Let scikit-learn check the parameters of an estimator by the types of its attributes.

    Unless it has ``_parameter_constraints`` of its own; those that it inherits hold as well.
    """
    parts = [vars(base).get("_parameter_constraints", {}) for base in reversed(cls.__mro__)]
    if not parts[-1]:
        hints = get_type_hints(cls, include_extras=True)
        own = [name for name in inspect.get_annotations(cls) if not name.startswith("_")]
        parts[-1] = {n: _checks_of(hints[n]) for n in own if hints[n] is not Any}
    cls._parameter_constraints = {n: checks for part in parts for n, checks in part.items()}
    return cls


def checked(function):
    """Let scikit-learn check the arguments of a function that have a type, by it."""
    hints = get_type_hints(function, include_extras=True)
    checks = {name: _checks_of(hint) for name, hint in hints.items() if name != "return"}
    return validate_params(checks, prefer_skip_nested_validation=False)(function)


def _checks_of(hint) -> list:
    """Return what scikit-learn checks of a parameter of some type, any of which must hold."""
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return [check for part in hint.__args__ for check in _checks_of(part)]
    if kind is Annotated:
        return list(hint.__metadata__)
    return [StrOptions(set(hint.__args__)) if kind is Literal else _CHECKS.get(kind, kind)]


def _dask_token(self):
    """Tell one estimator from another for dask, which would compare a dataclass by its fields."""
    from dask.base import normalize_token  # it asks, so it is there

    return normalize_token((type(self), self.__getstate__()))
