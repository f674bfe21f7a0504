"""Every public name is documented as numpydoc and scikit-learn ask for it."""

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import sklearn_genremoe

# Left out, as scikit-learn does: RT02 wants return types without names, GL01 and GL02 are about
# line breaks around the quotes.
IGNORED = {"RT02", "GL01", "GL02"}
# Owed by classes only: an extended summary, "See Also" and examples.
OF_CLASSES = {"ES01", "SA01", "EX01"}
# A property has no signature to compare with.
OF_CALLABLES = {"PR02", "GL08"}


def public_objects() -> dict[str, Any]:
    """Dotted names and objects of everything that a room exports."""
    found = {}
    for info in pkgutil.iter_modules(sklearn_genremoe.__path__):
        # Networks are parts of experts and gates, which are what users meet.
        if not info.name.startswith("_") and info.name != "networks":
            module = importlib.import_module(f"sklearn_genremoe.{info.name}")
            for name in module.__all__:
                found[f"sklearn_genremoe.{info.name}.{name}"] = getattr(module, name)
    return found


def documented_members(cls: type) -> list[str]:
    """Public methods and properties that the package itself defines on a class."""
    return [
        name
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        # Where there is no other, the site and help() show the docstring of the base class.
        and not (member.__doc__ is None and inspect.getdoc(getattr(cls, name)))
        and (member.fget if isinstance(member, property) else member).__module__.startswith(
            "sklearn_genremoe"
        )
    ]


OBJECTS = public_objects()
MEMBERS = [
    (f"{path}.{name}", cls, name)
    for path, cls in OBJECTS.items()
    if inspect.isclass(cls)
    for name in documented_members(cls)
]


def is_exception(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, (Exception, Warning))


def complaints(path: str, ignored: set[str]) -> list[str]:
    return [
        f"{code}: {message}"
        for code, message in validate(path)["errors"]
        if code not in IGNORED | ignored
    ]


@pytest.mark.parametrize("path", OBJECTS)
def test_docstring_of_a_public_name(path: str) -> None:
    thing = OBJECTS[path]
    as_class = inspect.isclass(thing) and not is_exception(thing)
    assert not complaints(path, set() if as_class else OF_CLASSES)


@pytest.mark.parametrize("path", OBJECTS)
def test_public_name_shows_an_example(path: str) -> None:
    thing = OBJECTS[path]
    if is_exception(thing):
        return  # raised and caught, never called
    text = NumpyDocString(inspect.getdoc(thing) or "")["Examples"]
    assert any(line.lstrip().startswith(">>>") for line in text)


@pytest.mark.parametrize(("path", "cls", "name"), MEMBERS, ids=[row[0] for row in MEMBERS])
def test_docstring_of_a_public_method(path: str, cls: type, name: str) -> None:
    is_property = isinstance(getattr(cls, name), property)
    assert not complaints(path, OF_CLASSES | (OF_CALLABLES if is_property else set()))


@pytest.mark.parametrize("path", [path for path in OBJECTS if inspect.isclass(OBJECTS[path])])
def test_parameters_are_documented_in_the_order_of_the_signature(path: str) -> None:
    cls = OBJECTS[path]
    documented = [
        name.strip()
        for parameter in NumpyDocString(inspect.getdoc(cls) or "")["Parameters"]
        for name in parameter.name.split(",")
    ]
    if is_exception(cls):
        return
    assert documented == list(inspect.signature(cls).parameters)
