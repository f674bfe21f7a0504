"""What code a class of the user's consists of, for a cache that has to notice when it changes."""

import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

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


def _parts(item: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Yield what an object consists of, in an order that is the same in each process."""
    if isinstance(item, (str, bytes, int, float, complex, type(None), type(Ellipsis))):
        yield repr(item)
        return
    if id(item) in seen:
        yield "seen"
        return
    seen[id(item)] = item  # which also keeps its id from being given to another
    if isinstance(item, CodeType):
        yield item.co_code.hex()
        for constant in (item.co_names, item.co_varnames, item.co_consts):
            yield from _parts(constant, seen)
    elif isinstance(item, (staticmethod, classmethod, MethodType)):
        yield from _parts(item.__func__, seen)
    elif isinstance(item, property):
        yield from _parts((item.fget, item.fset), seen)
    elif isinstance(item, FunctionType):
        yield from _parts_of_function(item, seen)
    elif isinstance(item, type):
        yield f"{item.__module__}.{item.__qualname__}"
        if not _is_installed(item):
            yield from _parts(item.__bases__, seen)
            own = {name: value for name, value in vars(item).items() if name not in _NOT_CODE}
            yield from _parts(own, seen)
    elif isinstance(item, ModuleType):
        yield item.__name__
    elif isinstance(item, dict):
        for key in sorted(item, key=repr):
            yield repr(key)
            yield from _parts(item[key], seen)
    elif isinstance(item, (set, frozenset)):
        yield from sorted(map(repr, item))
    elif isinstance(item, (list, tuple)):
        yield str(len(item))
        for entry in item:
            yield from _parts(entry, seen)
    elif isinstance(item, np.ndarray):
        yield f"{item.dtype} {item.shape}"
        yield item.tobytes().hex() if item.dtype != object else repr(item.tolist())
    elif hasattr(item, "__wrapped__"):  # by functools.lru_cache, for example
        yield from _parts(item.__wrapped__, seen)
    elif isinstance(item, partial):
        yield from _parts((item.func, item.args, item.keywords), seen)
    else:
        yield re.sub(r" at 0x[0-9a-fA-F]+", "", repr(item))


# Attributes of a class that say nothing of what it computes.
_NOT_CODE = {
    "__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__annotations__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "_sklearn_auto_wrap_output_keys",
}  # fmt: skip


def _parts_of_function(function: FunctionType, seen: dict[int, Any]) -> Iterator[str]:
    yield f"{function.__module__}.{function.__qualname__}"
    if _is_installed(function):
        return
    yield from _parts(function.__code__, seen)
    yield from _parts((function.__defaults__, function.__kwdefaults__), seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
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
    if isinstance(item, FunctionType):
        file, module = item.__code__.co_filename, item.__module__
    else:
        module = item.__name__ if isinstance(item, ModuleType) else item.__module__
        file = getattr(sys.modules.get(module), "__file__", None)
        if module == "builtins":
            return True
    return (module or "").partition(".")[0] == _OURS or (file or "").startswith(_INSTALLED)
