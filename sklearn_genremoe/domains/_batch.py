"""Clips as extracted domains."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from .._clips import without_torch
from .._compat import get_namespace
from .._rows import Rows, join_rows
from ._plan import Plan


@dataclass(frozen=True)
class Entry:
    """What a batch holds under a name: rows of features, and what is known of them.

    ``key`` tells what was computed, even if a file of weights is another one by tomorrow;
    ``columns`` are the names of a data frame. What was extracted here is finite but for bad clips.
    """

    rows: Rows
    domain: Any = None
    key: tuple | None = None
    columns: list[str] | None = None
    is_extracted: bool = False

    def table(self):
        """Return the features: a data frame where the columns have names, else an array."""
        if self.columns is None:
            return self.rows.array()
        import pandas  # slow, where nothing else has imported it

        return pandas.DataFrame(self.rows.array(), columns=self.columns, copy=False)


class DomainBatch:
    """Clips, each seen through several feature domains.

    Behaves like a 1-D array of clips, so that scikit-learn's splitters can index it, and like
    a mapping from domain names to spectrograms: ``batch[rows]`` is a smaller batch,
    ``batch["harmonic"]`` the array of a domain, read-only. It is no array of numbers: estimators
    that know nothing of batches refuse it. :func:`numpy.concatenate` joins batches of the same
    domains.

    Parameters
    ----------
    arrays : mapping of str to array-like
        For each domain spectrograms of shape (n_clips, n_bins, n_frames) or (n_clips, n_channels,
        n_bins, n_frames), or a table of shape (n_clips, n_features), such as embeddings computed
        elsewhere. Shapes may differ in all but the number of clips. The names of the columns of a
        data frame are kept for the experts.
    domains : mapping of str to BaseDomain, default=None
        The domains that computed the arrays, where known. An expert then finds its array by
        what it computes instead of by name.
    bad_clips : mapping of int to str, default=None
        Rows that could not be extracted, and why. Their features are NaN.
    paths : sequence of str, default=None
        The files of the clips, where they are known: data frames with an index of paths are
        put into their order.

    Attributes
    ----------
    entries : dict of str to Entry
        The rows of each domain, of which none is copied yet, and what is known of them.
    bad_clips : dict of int to str
        The bad rows as given.
    paths : ndarray of shape (n_clips,) or None
        The files as given.

    See Also
    --------
    sklearn_genremoe.DomainUnion : Extracts domains into a batch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.domains import DomainBatch
    >>> batch = DomainBatch({"original": np.zeros((5, 96, 40))})
    >>> batch[[0, 2]]
    DomainBatch(2 clips; original: 96 x 40)
    >>> batch["original"].shape
    (5, 96, 40)

    Entries of other origin go beside those that are there, with ``|`` as in a dict:

    >>> batch | {"mert": np.zeros((5, 768))}
    DomainBatch(5 clips; original: 96 x 40, mert: 768)
    """

    # What scikit-learn asks of an array of clips.
    ndim = 1
    dtype = np.dtype(np.float32)

    def __init__(self, arrays, domains=None, *, bad_clips=None, paths=None):
        if not isinstance(arrays, Mapping) or not arrays:
            found = f"arrays is {type(arrays).__name__}; expected a mapping with at least one entry"
            raise ValueError(f"{found}, {{'name': array of shape (n_clips, n_bins, n_frames)}}")
        plan = Plan(domains or {})
        unknown = sorted(set(plan.domains) - set(arrays))
        if unknown:
            raise ValueError(f"domains names {unknown}, which arrays lacks: it has {[*arrays]}")
        self.entries = {name: _entry_of(name, array, plan) for name, array in arrays.items()}
        counts = {name: len(entry.rows) for name, entry in self.entries.items()}
        self.bad_clips = dict(bad_clips or {})
        self.paths = None
        if paths is not None:
            self.paths = np.array([os.fsdecode(path) for path in paths], dtype=object)
            counts["paths"] = len(self.paths)
        if len(set(counts.values())) > 1:
            found = f"there are different numbers of clips: {counts}"
            raise ValueError(f"{found}; every domain and paths need one row per clip")

    @property
    def names(self) -> list[str]:
        """Names of the domains."""
        return list(self.entries)

    @property
    def domains(self) -> dict[str, Any]:
        """Copies of the domains that computed entries, where they are known."""
        return {name: x.domain for name, x in self.entries.items() if x.domain is not None}

    @property
    def shape(self) -> tuple[int]:
        """Number of clips, as the shape of a 1-D array."""
        return (len(self),)

    def __len__(self) -> int:
        return len(next(iter(self.entries.values())).rows)

    def __contains__(self, name) -> bool:
        return name in self.entries

    def __iter__(self):
        return (self[[row]] for row in range(len(self)))

    def __getitem__(self, key):
        """Return the array of a domain, read-only, or the batch of some clips."""
        if isinstance(key, str):
            if key not in self.entries:
                raise KeyError(f"no domain {key!r}; the batch holds {self.names}")
            return self.entries[key].rows.array()
        try:
            rows = np.arange(len(self))[key]
            if rows.ndim != 1:
                raise IndexError(f"which gives {rows.ndim} dimensions")
        except IndexError as error:
            advice = "use a slice, a 1-D sequence of row numbers or a mask, or the name of a domain"
            raise IndexError(f"cannot index clips by {key!r:.80}: {error}; {advice}") from None
        bad = {i: self.bad_clips[row] for i, row in enumerate(rows) if row in self.bad_clips}
        picked = {n: replace(x, rows=x.rows.pick(rows)) for n, x in self.entries.items()}
        paths = None if self.paths is None else self.paths[rows]
        return type(self)(picked, bad_clips=bad, paths=paths)

    def __or__(self, other) -> "DomainBatch":
        """Return a batch with the entries of another one, or of a mapping of arrays, beside these.

        What the domains are and which clips are bad is kept. A data frame with an index of paths
        is put into the order of this batch.
        """
        if not isinstance(other, (DomainBatch, Mapping)):
            advice = "give the array a name, batch | {'name': array}"
            raise TypeError(f"a {type(other).__name__} can't stand beside a batch; {advice}")
        if isinstance(other, Mapping):
            other = DomainBatch({name: self._aligned(name, x) for name, x in other.items()})
        twice = [name for name in other.names if name in self]
        if twice:
            raise ValueError(f"both have entries {twice}; give them other names in one of the two")
        bad = other.bad_clips | self.bad_clips
        paths = other.paths if self.paths is None else self.paths
        return DomainBatch(self.entries | other.entries, bad_clips=bad, paths=paths)

    __ror__ = __or__

    def _aligned(self, name, table):
        """Return a data frame in the order of the batch; raise if its index is of other clips."""
        if not hasattr(table, "select_dtypes") or not len(table):  # of pandas
            return table
        if table.index.dtype.kind in "iu" and table.index.is_monotonic_increasing:
            return table
        labels = [os.fsdecode(x) if isinstance(x, os.PathLike) else x for x in table.index]
        known = [] if self.paths is None else list(self.paths)
        missing = sorted(set(known) - set(labels))
        if not known or missing or len(set(labels)) < len(labels):
            raise ValueError(
                f"the index of the table {name!r} begins with {labels[:2]}; expected the paths of "
                f"the clips, each once: {len(known)} are known, of which it lacks {len(missing)}, "
                f"{missing[:1]}. For rows in the order of the batch: table.reset_index(drop=True); "
                "for rows of NaN where a clip is missing: table.reindex(batch.paths)"
            )
        return table.set_axis(labels).loc[known]

    def __array_namespace__(self, *, api_version=None):
        # With array_api_dispatch on, scikit-learn picks clips by this namespace's take.
        return get_namespace(np.empty(0))[0]

    def __array_function__(self, func, types, args, kwargs):
        if func in (np.concatenate, np.hstack):
            return _concatenate(list(args[0]))
        if func is np.take:
            return args[0][args[1]]
        return func._implementation(*args, **kwargs)

    def find(self, domain, name=None) -> np.ndarray:
        """Return the array that a domain would compute for these clips.

        Parameters
        ----------
        domain : BaseDomain
            The domain asked for.
        name : str, default=None
            The entry to fall back on where the batch was made by hand and does not know what
            computed its arrays. None accepts the only entry of such a batch.

        Returns
        -------
        array : ndarray of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            The features, read-only.

        Raises
        ------
        ValueError
            The batch does not hold this domain, or holds it with other parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import MFCC
        >>> DomainBatch({"mfcc": np.zeros((2, 60, 40))}).find(MFCC()).shape
        (2, 60, 40)
        """
        return self[self.name_of(domain, name)]

    def name_of(self, domain, name=None, key=None) -> str:
        """Return the name of the entry that holds what a domain computes.

        Parameters
        ----------
        domain, name : BaseDomain and str
            As in :meth:`find`.
        key : tuple, default=None
            The key of the domain in a plan that was made before; None computes it.

        Returns
        -------
        name : str
            The name of its entry.
        """
        key = key or Plan({"domain": domain}).keys["domain"]
        keys: dict = {entry: x.key for entry, x in self.entries.items()}
        if not domain._is_complete:  # the key of lost weights is their path, no longer a hash
            keys = Plan(self.domains).keys
        for entry, stored in keys.items():
            if stored == key:
                return entry
        if name is None and len(self.names) == 1:
            name = self.names[0]
        if name in self and name not in self.domains:
            shape, expected = self.entries[name].rows.shape, 1 + domain.output_ndim
            if len(shape) == expected:
                return name
            found = f"the entry {name!r} has {len(shape)} dimensions, {shape}"
            advice = "rename it, or let its expert begin without a domain"
            raise ValueError(f"{found}, but {domain} computes {expected}; {advice}")
        held = ", ".join(f"{entry} = {self.domains.get(entry, 'unknown')}" for entry in self.names)
        raise ValueError(
            f"the DomainBatch does not hold {domain}; it holds {held}. Extract it with a "
            "DomainUnion (for the experts of a mixture: clf.extract(X)), or pass paths or waveforms"
        )

    def pick_domains(self, plan) -> "DomainBatch":
        """Return a batch of the domains of a plan, found by what they compute.

        Parameters
        ----------
        plan : Plan
            The domains and their names in the new batch.

        Returns
        -------
        batch : DomainBatch
            The same clips; arrays are shared, not copied.
        """
        picked = {}
        is_one_of_one = len(plan.domains) == len(self.entries) == 1  # whatever they are called
        for name, domain in plan.domains.items():
            wanted = None if is_one_of_one else name
            entry = self.entries[self.name_of(domain, wanted, plan.keys[name])]
            picked[name] = replace(entry, domain=clone(domain), key=plan.keys[name])
        return DomainBatch(picked, bad_clips=self.bad_clips, paths=self.paths)

    def __array__(self, dtype=None, copy=None):
        """Return all domains side by side, for tests that compare batches and for numpy.ravel.

        Refused to all others: estimators would take the numbers for waveforms.
        """
        caller = sys._getframe(1)
        compares = caller.f_globals["__name__"].startswith(("numpy.testing", "sklearn.utils._test"))
        if not compares and caller.f_code.co_name != "ravel":
            advice = f"batch[{self.names[0]!r}], or a MixtureOfExpertsClassifier in its place"
            raise ValueError(f"{self!r} is no array of numbers; give this estimator {advice}")
        flat = [self[name].reshape(len(self), -1) for name in self.names]
        return np.concatenate(flat, axis=1, dtype=dtype or self.dtype)

    def __repr__(self) -> str:
        shapes = {name: " x ".join(map(str, x.rows.shape[1:])) for name, x in self.entries.items()}
        return f"DomainBatch({len(self)} clips; {', '.join(map(': '.join, shapes.items()))})"


class DomainView(DomainBatch):
    """The one entry that was picked for an expert: its leading domain lets it through as it is."""

    @classmethod
    def of_rows(cls, rows) -> "DomainView":
        """Return a view of some rows."""
        return cls({"domain": Entry(rows)})


def _concatenate(batches) -> DomainBatch:
    """Join batches of the same domains: in memory, or where they are if that is one file."""
    kinds = sorted({type(batch).__name__ for batch in batches})
    if not all(isinstance(batch, DomainBatch) for batch in batches):
        raise ValueError(f"expected DomainBatch, and nothing else, got {', '.join(kinds)}")
    first = batches[0]
    bad: dict[int, str] = {}
    n_clips = 0
    for batch in batches:
        if _kinds(batch) != _kinds(first):
            found = f"the batches hold different domains, {first!r} and {batch!r}"
            raise ValueError(f"{found}; extract all by the same DomainUnion")
        bad |= {n_clips + row: reason for row, reason in batch.bad_clips.items()}
        n_clips += len(batch)
    entries = {}
    for name, entry in first.entries.items():
        parts = [batch.entries[name] for batch in batches]
        rows = join_rows([part.rows for part in parts])
        is_extracted = all(part.is_extracted for part in parts)
        entries[name] = replace(entry, rows=rows, is_extracted=is_extracted)
    known = [batch.paths for batch in batches if batch.paths is not None]
    paths = np.concatenate(known) if len(known) == len(batches) else None
    return type(first)(entries, bad_clips=bad, paths=paths)


def _kinds(batch) -> dict:
    return {name: (x.rows.shape[1:], x.key, x.columns) for name, x in batch.entries.items()}


def _entry_of(name, array, plan) -> Entry:
    """Return what a user gave as an entry: an array, a tensor, a data frame, a list of arrays."""
    if isinstance(array, Entry):
        return array
    kind, columns = type(array).__name__, None
    if hasattr(array, "select_dtypes"):  # of pandas
        from pandas.api.types import is_numeric_dtype

        frame = array.infer_objects()
        others = [n for n, dtype in frame.dtypes.items() if not is_numeric_dtype(dtype)]
        if others:
            found = f"the columns {others} of the table {name!r} hold no numbers"
            raise ValueError(f"{found}; leave them out, frame.drop(columns={others})")
        if all(isinstance(column, str) for column in frame.columns):
            columns = list(frame.columns)
        array = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    array = without_torch(array)
    if not isinstance(array, (list, tuple)):
        array = np.asanyarray(array)
    if isinstance(array, (list, tuple)) or (array.dtype == object and array.ndim == 1):
        try:
            array = np.asarray([without_torch(row) for row in array])
        except ValueError as error:
            found = f"the clips of domain {name!r} have different shapes"
            raise ValueError(f"{found}; expected one: cut or fill them up") from error
    is_numeric = array.dtype.kind in "biuf"
    if not is_numeric or array.ndim not in (2, 3, 4) or 0 in array.shape[1:]:
        found = (
            f"domain {name!r} is of the type {kind} and holds {array.dtype} of shape {array.shape}"
        )
        expected = "(n_clips[, n_channels], n_bins, n_frames) or (n_clips, n_features)"
        raise ValueError(f"{found}; expected numbers of shape {expected}")
    domain = clone(plan.domains[name]) if name in plan.domains else None
    return Entry(Rows(array), domain, plan.keys.get(name), columns)
