"""Estimators whose constructor follows from their fields, which those that inherit share."""

import inspect
import re
from dataclasses import dataclass
from typing import dataclass_transform

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
    cls = dataclass(eq=False, repr=False)(cls)
    cls.__dask_tokenize__ = _dask_token
    constraints = [vars(base).get("_parameter_constraints", {}) for base in reversed(cls.__mro__)]
    cls._parameter_constraints = {n: known for part in constraints for n, known in part.items()}
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


def _dask_token(self):
    """Tell one estimator from another for dask, which would compare a dataclass by its fields."""
    from dask.base import normalize_token  # it asks, so it is there

    return normalize_token((type(self), self.__getstate__()))
