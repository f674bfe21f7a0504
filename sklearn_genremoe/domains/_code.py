"""What tells parameters and code of a user's domain from others: its cache has to notice."""

import copyreg
import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Hashable, Iterator
from functools import partial
from numbers import Number
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .._clips import without_torch

# What lies here is versioned by its packages, ours included.
_INSTALLED = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OURS = __name__.partition(".")[0]


def code_of(cls: type) -> str:
    """Return a hash of a class that a user wrote, and of what its methods refer to.

    That is the code of functions and classes, and the values of constants, wherever the user
    defined them; what is installed counts by its name only.

    Parameters
    ----------
    cls : type
        The class.

    Returns
    -------
    digest : str
        The hash; empty for a class of this package.
    """
    if _is_installed(cls):
        return ""
    digest = hashlib.sha256()
    for part in _parts(cls, {}):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def frozen(value: Any) -> Hashable:
    """Return what is equal for values of a parameter with which the same is computed.

    Parameters
    ----------
    value : object
        The value: a number, string, array, function, fitted estimator ...

    Returns
    -------
    frozen : hashable
        Numbers and text as they are, sequences as tuples, paths as text; of all else the type and
        a hash of the content, which is the same in each process.

    Raises
    ------
    ValueError
        If nobody can tell what the value consists of.

    Examples
    --------
    >>> frozen([1, 2.5, None])
    (1, 2.5, None)
    >>> frozen(np.ones(3)) == frozen(np.ones(3)) != frozen(np.zeros(3))
    True
    """
    if isinstance(value, np.generic) and value.dtype.kind in "biufcUS":
        value = value.item()
    if value is None or isinstance(value, (str, bytes, Number)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(frozen, value))
    digest = hashlib.sha256()
    try:
        for part in _parts(value, {}, strict=True):
            digest.update(part.encode() + b"\0")
    except Exception as error:  # whatever taking it apart raises
        raise ValueError(
            f"{value!r} can't be told from others of its kind ({error}): give a number, a string, "
            "an array, a function, or an object that can be pickled"
        ) from error
    return f"{type(value).__module__}.{type(value).__qualname__} {digest.hexdigest()}"


def _parts(item: Any, seen: dict[int, Any], strict: bool = False) -> Iterator[str]:
    """Yield what an object consists of, in an order that is the same in each process.

    What can't be taken apart counts by its name where it is a part of code, and raises if `strict`.
    """
    if isinstance(item, (str, bytes, int, float, complex, type(None), type(Ellipsis))):
        yield repr(item)
        return
    if id(item) in seen:
        yield "seen"
        return
    seen[id(item)] = item  # which also keeps its id from being given to another
    further: Any = ()
    if isinstance(item, CodeType):
        yield item.co_code.hex()
        further = (item.co_names, item.co_varnames, item.co_consts)
    elif isinstance(item, (staticmethod, classmethod)):
        further = (item.__func__,)
    elif isinstance(item, MethodType):
        further = (item.__func__, *([item.__self__] if strict else []))
    elif isinstance(item, property):
        further = (item.fget, item.fset)
    elif isinstance(item, FunctionType):
        yield from _parts_of_function(item, seen, strict)
    elif isinstance(item, type):
        yield f"{item.__module__}.{item.__qualname__}"
        if not _is_installed(item):
            own = {name: value for name, value in vars(item).items() if name not in _NOT_CODE}
            further = (item.__bases__, own)
    elif isinstance(item, ModuleType):
        yield item.__name__
    elif isinstance(item, dict):
        for key in sorted(item, key=repr):
            yield repr(key)
            yield from _parts(item[key], seen, strict)
    elif isinstance(item, (set, frozenset)):
        yield from sorted(map(repr, item))
    elif isinstance(item, (list, tuple)):
        yield str(len(item))
        further = item
    elif type(item) in (np.ndarray, np.memmap):
        yield f"{item.dtype} {item.shape}"
        if item.dtype.hasobject:
            further = item.tolist()
        else:
            yield hashlib.sha256(item.tobytes()).hexdigest()
    elif hasattr(item, "__wrapped__"):  # by functools.lru_cache, for example
        further = (item.__wrapped__,)
    elif isinstance(item, partial):
        further = (item.func, item.args, item.keywords)
    else:
        try:
            further = _reduced(item)
        except Exception:
            if strict:
                raise
            yield re.sub(r" at 0x[0-9a-fA-F]+", "", repr(item))
    for part in further:
        yield from _parts(part, seen, strict)


def _reduced(item: Any) -> tuple[Any, ...]:
    """Return what pickle would keep of an object; of a tensor its numbers."""
    array = without_torch(item)
    if array is not item:
        return (str(item.dtype), array)
    registered = copyreg.dispatch_table.get(type(item))
    reduced = registered(item) if registered else item.__reduce_ex__(4)
    if isinstance(reduced, str):
        return (type(item).__name__, getattr(item, "__module__", None), reduced)
    return tuple(list(part) if isinstance(part, Iterator) else part for part in reduced)


# Attributes of a class that say nothing of what it computes.
_NOT_CODE = {
    "__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__annotations__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "_sklearn_auto_wrap_output_keys",
}  # fmt: skip


def _parts_of_function(function: FunctionType, seen: dict[int, Any], strict: bool) -> Iterator[str]:
    yield f"{function.__module__}.{function.__qualname__}"
    if _is_installed(function):
        return
    yield from _parts(function.__code__, seen)
    for given in (function.__defaults__, function.__kwdefaults__):
        yield from _parts(given, seen, strict)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen, strict)
    names = sorted(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        yield from _parts(value, seen)
        if isinstance(value, ModuleType) and not _is_installed(value):
            yield from _parts({attr: getattr(value, attr, None) for attr in names}, seen)


def _names(code: CodeType) -> set[str]:
    """Return the names that code refers to, that of functions inside it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_installed(item: Any) -> bool:
    """Tell whether a class, function or module comes from a package, not from the user."""
    module = (item.__name__ if isinstance(item, ModuleType) else item.__module__) or ""
    if module == "builtins" or module.partition(".")[0] == _OURS:
        return True
    if isinstance(item, FunctionType):
        return item.__code__.co_filename.startswith(_INSTALLED)
    return (getattr(sys.modules.get(module), "__file__", None) or "").startswith(_INSTALLED)
