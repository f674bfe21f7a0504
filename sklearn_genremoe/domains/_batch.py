"""Clips as extracted domains."""

import os
import sys
from collections.abc import Mapping

import numpy as np
from sklearn.base import clone

from .._clips import without_torch
from .._compat import get_namespace
from .._rows import Rows, join_rows
from ._plan import Plan


class DomainBatch:
    """Clips, each seen through several feature domains.

    Behaves like a 1-D array of clips, so that scikit-learn's splitters can index it, and like
    a mapping from domain names to spectrograms: ``batch[rows]`` is a smaller batch,
    ``batch["harmonic"]`` the array of a domain. It is no array of numbers: estimators that know
    nothing of batches refuse it.

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
    domains : dict of str to BaseDomain
        Copies of the domains as given.
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
    >>> batch
    DomainBatch(5 clips; original: 96 x 40)
    >>> batch[[0, 2]].shape
    (2,)
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
            kind = "empty" if isinstance(arrays, Mapping) else type(arrays).__name__
            raise ValueError(
                f"arrays is {kind}; expected a mapping with at least one entry, "
                "from names to arrays of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)"
            )
        plan = domains if isinstance(domains, Plan) else Plan(domains or {})
        unknown = sorted(set(plan.domains) - set(arrays))
        if unknown:
            raise ValueError(f"domains names {unknown}, which arrays lacks: it has {[*arrays]}")
        tables = {name: array for name, array in arrays.items() if not isinstance(array, Rows)}
        self._columns = {n: columns for n, x in tables.items() if (columns := _columns_of(x))}
        rows = {name: _as_rows(name, array) for name, array in tables.items()}
        self._rows = _of_one_length({**arrays, **rows})
        self.domains = {name: clone(domain) for name, domain in plan.domains.items()}
        # What was computed, even if a file of weights is another one tomorrow.
        self._keys = plan.keys
        self._is_finite = frozenset(self._rows if plan is domains else ())
        self.bad_clips = dict(bad_clips or {})
        self.paths = None
        if paths is not None:
            self.paths = np.empty(len(self), dtype=object)
            self.paths[:] = [os.fsdecode(path) for path in paths]

    def _with(self, **changes) -> "DomainBatch":
        """Return a batch with other rows, bad clips and paths, or what else changes."""
        batch = object.__new__(type(self))
        batch.__dict__ |= self.__dict__ | changes
        return batch

    @property
    def names(self) -> list[str]:
        """Names of the domains."""
        return list(self._rows)

    @property
    def shape(self) -> tuple[int]:
        """Number of clips, as the shape of a 1-D array."""
        return (len(self),)

    def __len__(self) -> int:
        return len(next(iter(self._rows.values())))

    def __contains__(self, name) -> bool:
        return isinstance(name, str) and name in self._rows

    def __iter__(self):
        return (self[[row]] for row in range(len(self)))

    def __getitem__(self, key):
        """Return the array of a domain, read-only, or the batch of some clips."""
        if isinstance(key, str):
            return self.rows(key).array()
        key = _resolve_rows(key)
        numbers = np.arange(len(self))[key]
        bad = {i: self.bad_clips[row] for i, row in enumerate(numbers) if row in self.bad_clips}
        picked = {name: rows.pick(key) for name, rows in self._rows.items()}
        paths = None if self.paths is None else self.paths[key]
        return self._with(_rows=picked, bad_clips=bad, paths=paths)

    def rows(self, name) -> Rows:
        """Return the rows of an entry, of which none is copied yet.

        Parameters
        ----------
        name : str
            The entry.

        Returns
        -------
        rows : Rows
            ``rows.array()`` gathers them, ``rows.pick(numbers)`` leaves some out.
        """
        if name not in self._rows:
            raise KeyError(f"no domain {name!r}; the batch holds {self.names}")
        return self._rows[name]

    def table(self, name):
        """Return an entry as an expert takes it: a data frame where its columns have names.

        Parameters
        ----------
        name : str
            The entry.

        Returns
        -------
        table : ndarray or pandas.DataFrame
            Its numbers.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"tempo": [90.0, 120.0], "loudness": [-9.0, -14.0]})
        >>> list(DomainBatch({"handmade": frame}).table("handmade"))
        ['tempo', 'loudness']
        """
        array = self[name]
        if name not in self._columns:
            return array
        import pandas  # installed: the columns came from a pandas frame

        return pandas.DataFrame(array, columns=self._columns[name], copy=False)

    def __or__(self, other) -> "DomainBatch":
        """Return a batch with the entries of another one, or of a mapping of arrays, beside these.

        What the domains are and which clips are bad is kept. A data frame with an index of paths
        is put into the order of this batch.
        """
        if not isinstance(other, (DomainBatch, Mapping)):
            raise TypeError(
                f"a batch takes other batches and mappings of names to arrays beside it, not "
                f"{type(other).__name__}; give the array a name, batch | {{'name': array}}"
            )
        if isinstance(other, Mapping):
            other = DomainBatch({name: self._aligned(name, x) for name, x in other.items()})
        twice = [name for name in other.names if name in self]
        if twice:
            raise ValueError(f"both have entries {twice}; give them other names in one of the two")
        return self._with(
            _rows=_of_one_length(self._rows | other._rows),
            bad_clips=other.bad_clips | self.bad_clips,
            paths=other.paths if self.paths is None else self.paths,
            domains=self.domains | other.domains,
            _keys=self._keys | other._keys,
            _columns=self._columns | other._columns,
            _is_finite=self._is_finite | other._is_finite,
        )

    __ror__ = __or__

    def _aligned(self, name, table):
        """Return a data frame in the order of the batch; raise if its index is of other clips."""
        if not _is_pandas(table) or not len(table):
            return table
        index = table.index
        if index.dtype.kind in "iu" and index.is_monotonic_increasing:
            return table
        labels = [os.fsdecode(x) if isinstance(x, os.PathLike) else x for x in index]
        place = {label: row for row, label in enumerate(labels)}
        known = [] if self.paths is None else list(self.paths)
        missing = [path for path in known if path not in place]
        if not known or missing or len(place) < len(labels):
            raise ValueError(
                f"the index of the table {name!r} begins with {labels[:2]}; expected the paths of "
                f"the clips, each once: {len(known)} are known, of which it lacks {len(missing)}, "
                f"for example {missing[:1]}. If its rows are in the order of the batch, say so by "
                "table.reset_index(drop=True)"
            )
        return table.iloc[[place[path] for path in known]]

    def __array_namespace__(self, *, api_version=None):
        # With array_api_dispatch on, scikit-learn picks clips by this namespace's take.
        return get_namespace(np.empty(0))[0]

    def take(self, rows, axis=0, **kwargs) -> "DomainBatch":
        """Return some of the clips; what :func:`numpy.take` calls.

        Parameters
        ----------
        rows : sequence of int, or slice or mask
            The clips to keep, in this order.
        axis : {0, None}, default=0
            Accepted for numpy's sake: clips are the only axis.
        **kwargs : dict
            Accepted for numpy's sake.

        Returns
        -------
        batch : DomainBatch
            These clips; arrays are shared, not copied.

        Examples
        --------
        >>> import numpy as np
        >>> DomainBatch({"a": np.zeros((5, 3, 4))}).take([0, 2])
        DomainBatch(2 clips; a: 3 x 4)
        """
        return self[rows]

    @classmethod
    def concatenate(cls, batches) -> "DomainBatch":
        """Join batches, one behind the other; what :func:`numpy.concatenate` calls.

        Parameters
        ----------
        batches : sequence of DomainBatch
            Batches of the same domains.

        Returns
        -------
        batch : DomainBatch
            All clips, in memory, or where they are if all are mapped from the same files.

        Examples
        --------
        >>> import numpy as np
        >>> batch = DomainBatch({"a": np.zeros((5, 3, 4))})
        >>> DomainBatch.concatenate([batch, batch[:2]])
        DomainBatch(7 clips; a: 3 x 4)
        """
        batches = list(batches)
        if not batches or not all(isinstance(batch, cls) for batch in batches):
            kinds = sorted({type(batch).__name__ for batch in batches})
            raise ValueError(
                f"expected at least one DomainBatch, and nothing else, got {', '.join(kinds) or 0}"
            )
        contents = [batch._contents() for batch in batches]
        other = next((held for held in contents if held != contents[0]), None)
        if other:
            raise ValueError(
                f"the batches hold different domains, {batches[0]!r} and "
                f"{batches[contents.index(other)]!r}; extract all by the same DomainUnion"
            )
        starts = np.cumsum([0, *map(len, batches)])
        bad = {
            int(start) + row: reason
            for start, batch in zip(starts, batches)
            for row, reason in batch.bad_clips.items()
        }
        known = [batch.paths for batch in batches if batch.paths is not None]
        paths = np.concatenate(known) if len(known) == len(batches) else None
        joined: dict[tuple, Rows] = {}  # names that share an array go on sharing it
        arrays = {}
        for name in batches[0].names:
            parts = [batch._rows[name] for batch in batches]
            key = tuple((id(p.base), p.index is not None and p.index.tobytes()) for p in parts)
            if key not in joined:
                joined[key] = join_rows(parts)
            arrays[name] = joined[key]
        finite = frozenset.intersection(*(batch._is_finite for batch in batches))
        return batches[0]._with(_rows=arrays, bad_clips=bad, paths=paths, _is_finite=finite)

    def _contents(self) -> dict:
        """Return what tells one kind of batch from another: what is in it, and of which shape."""
        return {
            name: (rows.shape[1:], self._keys.get(name), self._columns.get(name))
            for name, rows in self._rows.items()
        }

    def __array_function__(self, func, types, args, kwargs):
        if func in (np.concatenate, np.hstack):
            return DomainBatch.concatenate(args[0])
        return func._implementation(*args, **kwargs)

    def find(self, domain, name=None) -> np.ndarray:
        """Return the array that a domain would compute for these clips.

        Parameters
        ----------
        domain : BaseDomain
            The domain asked for.
        name : str, default=None
            As in :meth:`name_of`.

        Returns
        -------
        array : ndarray of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            The features, read-only.

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
        domain : BaseDomain
            The domain asked for.
        name : str, default=None
            The entry to fall back on where the batch was made by hand and does not know what
            computed its arrays. None accepts the only entry of such a batch.
        key : tuple, default=None
            The key of the domain in a plan that was made before; None computes it.

        Returns
        -------
        name : str
            The name of its entry.

        Raises
        ------
        ValueError
            The batch does not hold this domain, or holds it with other parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import MFCC
        >>> batch = DomainBatch({"a": np.zeros((2, 60, 4))}, {"a": MFCC()})
        >>> batch[batch.name_of(MFCC())].shape
        (2, 60, 4)
        """
        if key is None:
            key = Plan({"domain": domain}).keys["domain"]
        keys = self._keys
        if not domain._is_complete:  # the key of lost weights is their path, no longer a hash
            keys = Plan(self.domains).keys
        for entry, stored in keys.items():
            if stored == key:
                return entry
        if name is None and len(self.names) == 1:
            name = self.names[0]
        if name in self and name not in self.domains:
            ndim = len(self._rows[name].shape) - 1
            if ndim != domain.output_ndim:
                raise ValueError(
                    f"the entry {name!r} is {_KINDS[ndim]}, but {domain} computes "
                    f"{_KINDS[domain.output_ndim]}; give the entry another name, or leave the "
                    "domain out of the expert that is to take it"
                )
            return name
        held = ", ".join(f"{entry} = {self.domains.get(entry, 'unknown')}" for entry in self.names)
        raise ValueError(
            f"the DomainBatch does not hold {domain}; it holds {held}. Extract it with a "
            "DomainUnion that includes this domain with the same parameters (for the experts "
            "of a mixture clf: clf.extract(X)), or pass paths or waveforms"
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
        entries = {
            name: self.name_of(domain, name, plan.keys[name])
            for name, domain in plan.domains.items()
        }
        rows = {name: self._rows[entry] for name, entry in entries.items()}
        batch = DomainBatch(rows, plan, bad_clips=self.bad_clips, paths=self.paths)
        batch._is_finite = frozenset(n for n, entry in entries.items() if entry in self._is_finite)
        return batch

    def non_finite_rows(self, name) -> list[int]:
        """Return the clips for which an entry that wasn't extracted here holds NaN or infinity.

        Parameters
        ----------
        name : str
            The entry.

        Returns
        -------
        rows : list of int
            The clips. In an extracted entry only bad clips are not finite; these aren't listed.

        Examples
        --------
        >>> import numpy as np
        >>> DomainBatch({"mert": [[0.1, 0.2], [np.nan, 0.3]]}).non_finite_rows("mert")
        [1]
        """
        return [] if name in self._is_finite else self._rows[name].non_finite()

    def __array__(self, dtype=None, copy=None):
        """Return all domains side by side, for tests that compare batches and for numpy.ravel.

        Refused to all others: estimators would take the numbers for waveforms.
        """
        caller = sys._getframe(1)
        compares = caller.f_globals["__name__"].startswith(("numpy.testing", "sklearn.utils._test"))
        if not compares and caller.f_code.co_name != "ravel":
            raise ValueError(
                f"{self!r} is no array of numbers, so this estimator or function can't take it. "
                f"Give it the array of one domain, batch[{self.names[0]!r}], or a "
                "MixtureOfExpertsClassifier or pipeline that begins with a domain in its place"
            )
        flat = [rows.array().reshape(len(self), -1) for rows in self._rows.values()]
        return np.concatenate(flat, axis=1, dtype=dtype or self.dtype)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name}: {' x '.join(map(str, rows.shape[1:]))}" for name, rows in self._rows.items()
        )
        return f"DomainBatch({len(self)} clips; {shapes})"


class DomainView(DomainBatch):
    """The one entry that was picked for an expert: its leading domain lets it through as it is."""

    @classmethod
    def of_rows(cls, rows) -> "DomainView":
        """Return a view of some rows."""
        return cls({"domain": rows})


def _resolve_rows(key):
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]  # what scikit-learn's indexing writes
    if isinstance(key, slice):
        return key
    rows = np.asarray(key)
    if rows.size == 0:
        rows = rows.astype(int)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            f"cannot index clips by {key!r}; use a slice, a 1-D sequence of row numbers or a mask, "
            "or the name of a domain"
        )
    return rows


def _of_one_length(rows: dict[str, Rows]) -> dict[str, Rows]:
    """Return entries as they are; raise if they hold different numbers of clips."""
    counts = {name: len(entry) for name, entry in rows.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"the domains hold different numbers of clips: {counts}; every domain needs one "
            "row per clip"
        )
    return rows


def _as_rows(name, array) -> Rows:
    kind = type(array).__name__
    if _is_pandas(array):
        array = _numbers_of_frame(name, array)
    try:
        array = _as_array(array)
    except ValueError as error:
        raise ValueError(
            f"the clips of domain {name!r} have different shapes; expected one: cut or fill them "
            "up (duration and fill of a domain do), or sum each clip up by one row of a table"
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"domain {name!r} is of the type {kind} and holds {array.dtype}, expected an array of "
            "numbers: one row per clip, extracted by a domain or loaded with numpy.load"
        )
    if array.ndim not in (2, 3, 4) or 0 in array.shape[1:]:
        raise ValueError(
            f"domain {name!r} has shape {array.shape}; expected (n_clips, n_bins, n_frames), "
            "(n_clips, n_channels, n_bins, n_frames), or (n_clips, n_features) for a table"
        )
    return Rows(array)


def _as_array(array) -> np.ndarray:
    """Return what holds the features as an array, be it a tensor or a column of arrays."""
    array = without_torch(array)
    if not isinstance(array, (list, tuple)):
        array = np.asanyarray(array)
        if array.dtype != object or array.ndim != 1:
            return array
    return np.asarray([without_torch(row) for row in array])


def _numbers_of_frame(name, frame) -> np.ndarray:
    """Return the numbers of a pandas frame, NaN where they are missing."""
    frame = frame.infer_objects()
    numbers = frame.select_dtypes(["number", "bool", "boolean"], exclude="timedelta")
    others = [column for column in frame if column not in numbers]
    if others:
        raise ValueError(
            f"the columns {others} of the table {name!r} hold no numbers; leave them out, "
            f"frame.drop(columns={others}), or make numbers of them"
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _columns_of(array) -> list[str] | None:
    """Return the names of the columns of a pandas frame; None where they are numbers or none."""
    columns = list(array.columns) if _is_pandas(array) else []
    return columns if columns and all(isinstance(name, str) for name in columns) else None


def _is_pandas(array) -> bool:
    return hasattr(array, "select_dtypes")


# By dimensions of a clip.
_KINDS = {
    1: "a table (n_clips, n_features)",
    2: "spectrograms (n_clips, n_bins, n_frames)",
    3: "spectrograms with channels (n_clips, n_channels, n_bins, n_frames)",
}
