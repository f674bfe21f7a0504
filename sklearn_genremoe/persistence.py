"""A model as a file that runs no code when it is loaded, and back."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.metadata_routing import MetadataRequest

from ._files import pack, unpack, user_path, write_atomically
from ._versions import versions
from .domains import BaseDomain, DomainBatch

__all__ = ["load_model", "save_model"]

_FORMAT = 1
_METADATA, _SCHEMA = "sklearn_genremoe.json", "schema.json"
_MIN_PROTOCOL = 2

# Classes of these modules may be loaded, beside estimators: the parts that they consist of; and
# functions of these.
_PARTS = {
    "sklearn.calibration",
    "sklearn.metrics._scorer",
    "sklearn.model_selection._split",
    "sklearn.utils._bunch",
    "sklearn.utils._metadata_requests",
}
_FUNCTIONS = {
    "sklearn.metrics._classification",
    "sklearn.metrics._ranking",
    "sklearn.metrics._scorer",
    "sklearn_genremoe.domains._summaries",
}


def save_model(model, file, *, compression=6):
    """Save a model in a file that runs no code when it is loaded.

    The file is one of skops, a zip with arrays and JSON, with an entry for versions, classes,
    domains and a SHA-256. What :func:`load_model` makes of it predicts the same, bit by bit, also
    in another process, or without the GPU that it was trained on.

    Parameters
    ----------
    model : estimator
        Any estimator of this package or of scikit-learn, fitted or not. What it holds of other
        packages or your own is saved by its name only, and :func:`load_model` asks for it in
        `trusted`, as it does for the trees of scikit-learn.
    file : str, Path or binary file object
        Where to save it, by convention ``*.skops``. An old file is replaced by a whole new one.
    compression : int, default=6
        From 0, fast, to 9, small.

    Raises
    ------
    ValueError
        If the model holds something that could not be loaded again, such as a lambda, a torch
        module, or a dict whose keys are True and False.
    FileNotFoundError
        If the folder doesn't exist.

    Warns
    -----
    UserWarning
        If the model holds types that :func:`load_model` will ask for in `trusted`.

    See Also
    --------
    load_model : Loads it.

    Notes
    -----
    Of the weights of an embedding the file holds the name or path, and the hash. Where they have
    moved, give ``load_model(file, weights=...)`` the new path.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_genremoe import MFCC, load_model, save_model
    >>> with TemporaryDirectory() as folder:
    ...     save_model(MFCC(n_mfcc=13), f"{folder}/mfcc.skops")
    ...     load_model(f"{folder}/mfcc.skops")
    MFCC(n_mfcc=13)
    """
    import skops.io

    if compression not in range(10):
        raise ValueError(f"compression={compression!r} is not accepted; expected 0 to 9.")
    path = None if hasattr(file, "write") else user_path(file)
    if path and path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file, for example model.skops.")
    if path and not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first.")
    if inspect.isclass(model) or isinstance(model, DomainBatch):
        advice = "Keep features of clips in a folder, DomainUnion(..., memory=folder)"
        raise ValueError(f"model is {model!r:.80}; expected an estimator. {advice}.")
    try:
        with _owners_by_name(model):
            entries = unpack(io.BytesIO(skops.io.dumps(model)))
        schema = json.dumps(_tidy(json.loads(entries.pop(_SCHEMA)), set()))
        entries = {name: entries[name] for name in sorted(entries) if f'"{name}"' in schema}
        entries[_SCHEMA] = schema.encode()
        asked = skops.io.get_untrusted_types(data=pack(entries))
        for name in asked:
            pkgutil.resolve_name(name)
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} holds something that can't be saved without pickle or loaded "
            "again, such as a lambda or what else is defined within a function, a torch module, a "
            f"generator or an open file ({error}). Leave it out, or put it at the top of a module."
        ) from error
    classes = np.asarray(getattr(model, "classes_", []), dtype=object)
    metadata = {
        "format": _FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": type(model).__name__,
        "versions": versions(),
        "classes": [str(one) for one in classes.ravel()],
        "domains": sorted({repr(part) for part in _walk(model) if isinstance(part, BaseDomain)}),
        "weights": [one._file.sha256 if one._file else None for one in _embeddings(model)],
    }
    metadata["sha256"] = _digest(metadata, entries)
    data = pack({_METADATA: json.dumps(metadata, indent=1).encode(), **entries}, compression)
    if path:
        write_atomically(path, data)
    else:
        try:
            file.write(data)
        except TypeError:
            raise ValueError("file is open for text; open it for bytes: 'wb'.") from None
    unknown = sorted(name for name in asked if not _is_ours(name))
    if unknown:
        advice = f"it will take load_model(file, trusted={unknown})"
        found = f"{_name_of(file)} holds types that aren't trusted by themselves"
        warnings.warn(f"{found}: {advice}.", UserWarning, stacklevel=2)


def load_model(file, *, trusted=(), weights=None):
    """Load a model that :func:`save_model` has saved.

    Nothing in the file is executed. It may name only estimators and their parts of this package
    and of scikit-learn, and arrays, numbers and texts; a file that names another type is refused,
    unless `trusted` has that name. So is one with scikit-learn's trees: one made for the purpose
    could crash the process.

    Parameters
    ----------
    file : str, Path or binary file object
        The file; a file object is read from its beginning.
    trusted : list of str or type, default=()
        What else the file may name, for example ``["my_package.MyDomain"]``. These are imported
        and called: trust what you know, not whatever a file asks for.
    weights : str or Path, or a list of them, default=None
        Where the weights of the model's embeddings are now, if they were given by a path and aren't
        there any more. None means where they were.

    Returns
    -------
    model : estimator
        The model. It uses a GPU if it was told to and there is one.

    Raises
    ------
    ValueError
        If the file was not written by :func:`save_model`, is truncated, was changed since, is of a
        newer format, or names a type that isn't trusted; or if `weights` are other ones.
    FileNotFoundError
        If there is no such file.

    Warns
    -----
    UserWarning
        If the versions of libraries differ, or weights are not where they were.

    See Also
    --------
    save_model : Saves it.

    Examples
    --------
    >>> from sklearn_genremoe import load_model
    >>> clf = load_model("genres.skops")  # doctest: +SKIP
    >>> clf.predict(["song.mp3"])  # doctest: +SKIP
    array(['folk'], dtype='<U7')
    """
    import skops.io

    path = _name_of(file)
    names = _names(trusted)
    metadata, data = _read(path, file)
    try:
        asked = set(skops.io.get_untrusted_types(data=data))
        known = names | {name for name in asked if _is_ours(name)}
        if not (unknown := asked - known):
            with warnings.catch_warnings():
                # We say ourselves, and once, which versions differ.
                warnings.simplefilter("ignore", InconsistentVersionWarning)
                model = skops.io.loads(data, trusted=sorted(known))
    except Exception as error:
        raise ValueError(
            f"{path} can't be loaded: {type(error).__name__}: {error}. It is damaged, or needs a "
            f"module or a version that isn't here; it was saved with {metadata['versions']}."
        ) from error
    if unknown:
        found = f"{path} names types that aren't trusted by themselves. Nothing was loaded"
        advice = f"If you trust it, pass load_model(file, trusted={sorted(names | unknown)})"
        raise ValueError(f"{found}. {advice}.")
    now = versions()
    differing = [
        f"{name} {version}, here {now.get(name, 'missing')}"
        for name, version in metadata["versions"].items()
        if version and now.get(name, "").split(".")[:2] != version.split(".")[:2]
    ]
    notes = [f"It was saved with {'; '.join(differing)}."] if differing else []
    if notes := notes + _find_weights(path, metadata["weights"], model, weights):
        advice = "Compare its predictions on clips that you know."
        warnings.warn(f"{path}: {' '.join(notes)} {advice}", UserWarning, stacklevel=2)
    return model


# What is in the file.


def _name_of(file: Any) -> str:
    """Return what messages call a file."""
    if hasattr(file, "read") or hasattr(file, "write"):
        return f"the file object {getattr(file, 'name', type(file).__name__)}"
    return str(user_path(file))


def _read(path: str, file: Any) -> tuple[dict[str, Any], bytes]:
    """Return what a file says about itself, and the file, after all checks but of types."""
    try:
        is_open = hasattr(file, "read")
        if is_open and file.seekable():
            file.seek(0)
        data = file.read() if is_open else Path(path).read_bytes()
        entries = unpack(io.BytesIO(data))
        for content in entries.values():
            if content[:2] == b"PK":  # sparse arrays are zips in the zip
                unpack(io.BytesIO(content))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give one that save_model wrote.") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read ({error.strerror or error}).") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} {error}; it is not a model that save_model wrote.") from error
    if not {_METADATA, _SCHEMA} <= set(entries):
        found = f"{path} is not a model that save_model wrote"
        raise ValueError(f"{found}; what skops wrote, skops.io.load loads.")
    try:
        metadata = json.loads(entries.pop(_METADATA))
        format_, digest = int(metadata["format"]), metadata.pop("sha256")
        is_whole = digest == _digest(metadata, entries)
        # Older protocols of skops let older, laxer readers in; no file of ours has them.
        is_whole &= int(json.loads(entries[_SCHEMA])["protocol"]) >= _MIN_PROTOCOL
    except Exception:
        format_, is_whole = 0, False
    if format_ > _FORMAT:
        found = f"{path} is of format {format_}, read are those up to {_FORMAT}"
        raise ValueError(f"{found}: pip install --upgrade sklearn-genremoe.")
    if not is_whole:
        raise ValueError(f"{path} was changed since it was saved, or is damaged; get it again.")
    return metadata, data


def _digest(metadata: dict[str, Any], entries: dict[str, bytes]) -> str:
    """Return the SHA-256 of what a file says about itself and of all its other entries."""
    parts = {name: hashlib.sha256(entries[name]).hexdigest() for name in sorted(entries)}
    return hashlib.sha256(json.dumps([metadata, parts], sort_keys=True).encode()).hexdigest()


@contextmanager
def _owners_by_name(model: Any) -> Iterator[None]:
    """Let requests of metadata know their estimators by name only: skops can't follow a circle."""
    requests = [one for one in _walk(model) if isinstance(one, MetadataRequest)]
    owned = [one for request in requests for one in (request, *vars(request).values())]
    owners = [(one, one.owner) for one in owned if hasattr(one, "owner")]
    try:
        for one, owner in owners:
            one.owner = owner if isinstance(owner, str) else type(owner).__name__
        yield
    finally:
        for one, owner in owners:
            one.owner = owner


def _tidy(state: Any, seen: set[int]) -> Any:
    """Return the state of an object as skops has it, each object once and fit to travel."""
    if isinstance(state, list):
        return [_tidy(item, seen) for item in state]
    if not isinstance(state, dict):
        return state
    loader, name = state.get("__loader__"), (state.get("__module__"), state.get("__class__"))
    if loader == "ObjectNode":
        if state["__id__"] in seen:  # skops knows it again by its id
            return {key: value for key, value in state.items() if key.startswith("__")}
        seen.add(state["__id__"])
    elif loader == "ConstructorFromReduceNode" and name[1] in ("PosixPath", "WindowsPath"):
        state = {**state, "__module__": "pathlib", "__class__": "Path"}
    elif loader == "NdArrayNode" and name == ("numpy", "memmap"):
        state = {**state, "__class__": "ndarray"}
    elif loader == "DictNode" and "bool" in {k["__class__"] for k in state["key_types"]["content"]}:
        raise ValueError("the keys True and False of a dict; use others, such as 0 and 1 or texts")
    return {key: _tidy(value, seen) for key, value in state.items()}


# Whom to trust.


def _is_ours(name: str) -> bool:
    """Tell whether a name is that of a harmless type of this package or of scikit-learn.

    Skops calls what is trusted: functions must only compute something from their arguments.
    """
    module_name, _, attribute = name.rpartition(".")
    package = module_name.partition(".")[0]
    if package not in ("sklearn_genremoe", "sklearn"):
        return name == "pathlib.Path"
    try:
        if package == "sklearn_genremoe":  # skops has imported what has estimators of the other
            importlib.import_module(module_name)
        thing = vars(sys.modules[module_name])[attribute]
    except (ImportError, KeyError):
        return False
    if getattr(thing, "__module__", None) != module_name:
        return False  # from elsewhere
    if not inspect.isclass(thing):
        return inspect.isfunction(thing) and module_name in _FUNCTIONS
    # A model keeps what networks consist of, not the networks.
    is_network = module_name.startswith("sklearn_genremoe.networks.")
    return module_name in _PARTS or (issubclass(thing, BaseEstimator) and not is_network)


def _names(trusted: Any) -> set[str]:
    """Return the names of what the user trusts."""
    listed = [trusted] if isinstance(trusted, str | type) else trusted
    try:
        return {x if isinstance(x, str) else f"{x.__module__}.{x.__name__}" for x in listed}
    except (TypeError, AttributeError):
        found = f"trusted={trusted!r} is not accepted"
        raise ValueError(f"{found}; expected a list of types or of their names.") from None


# What the file says about the model.


def _walk(part: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield a model and all that it consists of, each once."""
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    yield part
    children: Any = part if isinstance(part, (list, tuple)) else ()
    if isinstance(part, dict):
        children = part.values()
    elif isinstance(part, np.ndarray) and part.dtype == object:
        children = part.ravel()
    elif hasattr(part, "get_metadata_routing") and not inspect.isclass(part):
        children = vars(part).values()  # estimators, splitters and scorers
    for child in children:
        yield from _walk(child, seen)


def _embeddings(model: Any) -> list[Any]:
    """Return the domains within a model whose weights may be in a file."""
    parts = [x for x in _walk(model) if isinstance(getattr(x, "weights", 0), str | os.PathLike)]
    return [x for x in parts if hasattr(x, "_file")]


def _find_weights(path: str, saved: list[Any], model: Any, weights: Any) -> list[str]:
    """Let embeddings whose weights have moved take the given ones; return what is still wrong."""
    embeddings = _embeddings(model)
    if weights is not None and not embeddings:
        raise ValueError(f"{path} holds no embedding; leave weights={str(weights)!r} out.")
    files = weights if isinstance(weights, (list, tuple)) else [] if weights is None else [weights]
    paths = [path for path in map(user_path, files) if path.is_file()]
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
    notes = set()
    for embedding, known in zip(embeddings, saved):
        now, name = embedding._file, repr(str(embedding.weights))
        if now and now.sha256 == known:
            continue
        if not files:
            found = "not those that it was saved with" if now else "not there"
            notes.add(
                f"The weights of its {type(embedding).__name__}, {name}, are {found}: put the file "
                "back, or give its new place, load_model(file, weights='/path/to/file.pt')."
            )
        elif known and known not in by_hash:
            found = (
                f"weights={str(weights)!r} is not the file that {path} was saved with for {name}"
            )
            raise ValueError(f"{found}, by its SHA-256, or there is no such file.")
        else:
            embedding.weights = by_hash.get(known, files[0])
    return sorted(notes)
