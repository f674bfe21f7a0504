"""Clips as extracted domains."""

import math
from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse

from .._clips import without_torch
from .._compat import get_namespace
from .._rows import Rows, join_rows

# They would lose what a batch is without a word.
_OTHER_JOINTS = (np.append, np.stack, np.vstack, np.dstack, np.column_stack, np.block)


class DomainBatch:
    """Clips, each seen through several feature domains.

    Behaves like a 1-D array of clips, so that scikit-learn's splitters can index it, and like
    a mapping from domain names to spectrograms: ``batch[rows]`` is a smaller batch,
    ``batch["harmonic"]`` the array of a domain.

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
    first_row : int, default=0
        Where the batch is a part of a longer list: the number in it of the first clip, from which
        `bad_clips` is numbered.

    Attributes
    ----------
    domains : dict of str to BaseDomain
        The domains as given.
    bad_clips : dict of int to str
        The bad rows as given.
    first_row : int
        The number of the first clip as given.

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

    #: As an array, a batch is 1-D and its clips, flattened, are float32.
    ndim = 1
    dtype = np.dtype(np.float32)

    def __init__(self, arrays, domains=None, *, bad_clips=None, first_row=0):
        if not isinstance(arrays, Mapping) or not arrays:
            kind = "empty" if isinstance(arrays, Mapping) else type(arrays).__name__
            raise ValueError(
                f"arrays is {kind}; expected a mapping with at least one entry, "
                "from names to arrays of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)"
            )
        self._columns = {
            name: columns for name, array in arrays.items() if (columns := _columns_of(array))
        }
        self._rows = {name: _as_rows(name, array) for name, array in arrays.items()}
        counts = {name: len(rows) for name, rows in self._rows.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"the domains hold different numbers of clips: {counts}; every domain needs one "
                "row per clip"
            )
        self.domains = dict(domains or {})
        unknown = sorted(set(self.domains) - set(self._rows))
        if unknown:
            raise ValueError(f"domains names {unknown}, which arrays lacks: it has {self.names}")
        # What was computed, even if a file of weights is another one tomorrow.
        self._signatures = {name: domain.signature for name, domain in self.domains.items()}
        self.bad_clips = dict(bad_clips or {})
        self.first_row = first_row

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
        """Return the array of a domain, or the batch of some clips."""
        if isinstance(key, str):
            if key not in self._rows:
                raise KeyError(f"no domain {key!r}; the batch holds {self.names}")
            return self._rows[key].array()
        key = _resolve_rows(key)
        numbers = self.first_row + np.arange(len(self))[key]
        bad = {i: self.bad_clips[row] for i, row in enumerate(numbers) if row in self.bad_clips}
        picked = {name: rows.pick(key) for name, rows in self._rows.items()}
        return self._with(picked, bad)

    def __getstate__(self) -> dict:
        # A clip that is sent to a worker stays small.
        optional = ("_signatures", "_columns")
        return {name: v for name, v in self.__dict__.items() if v or name not in optional}

    def __setstate__(self, state) -> None:
        self.__dict__ |= {"_signatures": {}, "_columns": {}, **state}

    def _with(self, rows, bad_clips, first_row=0) -> "DomainBatch":
        """Return a batch of these entries with other rows."""
        batch = DomainBatch(rows, bad_clips=bad_clips, first_row=first_row)
        batch.domains = dict(self.domains)
        batch._signatures, batch._columns = self._signatures, self._columns
        return batch

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
        import pandas  # somebody had it

        return pandas.DataFrame(array, columns=self._columns[name], copy=False)

    def __or__(self, other) -> "DomainBatch":
        """Return a batch with the entries of another one, or of a mapping of arrays, beside these.

        What the domains are and which clips are bad is kept.
        """
        if not isinstance(other, (DomainBatch, Mapping)):
            raise TypeError(
                f"a batch takes other batches and mappings of names to arrays beside it, not "
                f"{type(other).__name__}; give the array a name, batch | {{'name': array}}"
            )
        if isinstance(other, Mapping):
            other = DomainBatch(other)
        twice = [name for name in other.names if name in self]
        if twice:
            raise ValueError(f"both have entries {twice}; give them other names in one of the two")
        shift = self.first_row - other.first_row
        bad = {row + shift: reason for row, reason in other.bad_clips.items()}
        batch = self._with(self._rows | other._rows, bad | self.bad_clips, self.first_row)
        batch.domains = self.domains | other.domains
        batch._signatures = self._signatures | other._signatures
        batch._columns = self._columns | other._columns
        return batch

    __ror__ = __or__

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

    def take_domains(self, domains) -> "DomainBatch":
        """Return a batch of the domains asked for, found by what they compute.

        Parameters
        ----------
        domains : mapping of str to BaseDomain
            The domains and their names in the new batch.

        Returns
        -------
        batch : DomainBatch
            The same clips; arrays are shared, not copied.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import MFCC
        >>> batch = DomainBatch({"a": np.zeros((2, 60, 4))}, {"a": MFCC()})
        >>> batch.take_domains({"mfcc": MFCC()}).names
        ['mfcc']
        """
        rows = {name: self._rows_of(domain, name) for name, domain in domains.items()}
        return DomainBatch(rows, domains, bad_clips=self.bad_clips, first_row=self.first_row)

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
        bad: dict[int, str] = {}
        start = 0
        for batch in batches:
            shift = start - batch.first_row
            bad |= {shift + row: reason for row, reason in batch.bad_clips.items()}
            start += len(batch)
        joined: dict[tuple, Rows] = {}  # names that share an array go on sharing it
        arrays = {}
        for name in batches[0].names:
            parts = [batch._rows[name] for batch in batches]
            key = tuple((id(p.base), p.index is not None and p.index.tobytes()) for p in parts)
            if key not in joined:
                joined[key] = join_rows(parts)
            arrays[name] = joined[key]
        return batches[0]._with(arrays, bad)

    def _contents(self) -> dict:
        """Return what tells one kind of batch from another: what is in it, and of which shape."""
        return {
            name: (rows.shape[1:], self._signatures.get(name), self._columns.get(name))
            for name, rows in self._rows.items()
        }

    def __array_function__(self, func, types, args, kwargs):
        if func in (np.concatenate, np.hstack):
            return DomainBatch.concatenate(args[0])
        if func in _OTHER_JOINTS:
            raise TypeError(
                f"numpy.{func.__name__} would make numbers of the batches; join them by "
                "numpy.concatenate, or take the array of a domain from each, batch[name]"
            )
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
            The features.

        Raises
        ------
        ValueError
            The batch does not hold this domain, or holds it with other parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import MFCC
        >>> batch = DomainBatch({"mfcc": np.zeros((2, 60, 40))})
        >>> batch.find(MFCC(), "mfcc").shape
        (2, 60, 40)
        """
        return self._rows_of(domain, name).array()

    def _rows_of(self, domain, name=None) -> Rows:
        """Return what :meth:`find` does, not yet gathered."""
        return self._rows[self.name_of(domain, name)]

    def name_of(self, domain, name=None) -> str:
        """Return the name of the entry that :meth:`find` returns.

        Parameters
        ----------
        domain : BaseDomain
            The domain asked for.
        name : str, default=None
            The entry to fall back on, as in :meth:`find`.

        Returns
        -------
        name : str
            The name of its entry.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import MFCC
        >>> DomainBatch({"a": np.zeros((2, 60, 4))}, {"a": MFCC()}).name_of(MFCC())
        'a'
        """
        signature = domain.signature
        computed = self._signatures
        if not domain._is_complete:  # lost weights are told by their path, no longer by content
            computed = {entry: stored.signature for entry, stored in self.domains.items()}
        for entry, stored in computed.items():
            if stored == signature:
                return entry
        if name is None and len(self.names) == 1:
            name = self.names[0]
        if name in self and name not in self.domains:
            n_dim = self._ndim_of(name) - 1
            if n_dim != domain.output_ndim:
                raise ValueError(
                    f"the entry {name!r} is {_kind_of(n_dim)}, but {domain} computes "
                    f"{_kind_of(domain.output_ndim)}; give the entry another name, or leave the "
                    "domain out of the expert that is to take it"
                )
            return name
        held = ", ".join(f"{entry} = {self.domains.get(entry, 'unknown')}" for entry in self.names)
        raise ValueError(
            f"the DomainBatch does not hold {domain}; it holds {held}. Extract it with a "
            "DomainUnion that includes this domain with the same parameters (for the experts "
            "of a mixture clf: clf.extract(X)), or pass paths or waveforms"
        )

    def _ndim_of(self, name) -> int:
        """Return the dimensions of an entry, 2 to 4, without gathering its rows."""
        return len(self._rows[name].shape)

    def rows_without_numbers(self, name) -> list[int]:
        """Return the clips for which an entry holds NaN or infinity.

        Parameters
        ----------
        name : str
            The entry.

        Returns
        -------
        rows : list of int
            The clips. Where it is known which domain computed the entry, bad clips only, which hold
            nothing else, so that their first number tells.

        Examples
        --------
        >>> import numpy as np
        >>> DomainBatch({"mert": [[0.1, 0.2], [np.nan, 0.3]]}).rows_without_numbers("mert")
        [1]
        """
        return self._rows[name].without_numbers(throughout=name in self.domains)

    def bad_rows(self) -> dict[int, str]:
        """Return the bad clips by their rows in this batch, which may be a part of a list.

        Returns
        -------
        bad_rows : dict of int to str
            The rows, counted from 0, and why.

        Examples
        --------
        >>> import numpy as np
        >>> mel = np.full((2, 3, 4), np.nan)
        >>> part = DomainBatch({"mel": mel}, bad_clips={8: "holds no samples"}, first_row=8)
        >>> part.bad_rows()
        {0: 'holds no samples'}
        """
        return {row - self.first_row: why for row, why in self.bad_clips.items()}

    def __array__(self, dtype=None, copy=None):
        """Return all domains side by side, (n_clips, n_features)."""
        flat = [
            rows.array().reshape(len(self), math.prod(rows.shape[1:]))
            for rows in self._rows.values()
        ]
        return np.concatenate(flat, axis=1, dtype=dtype or self.dtype)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name}: {' x '.join(map(str, rows.shape[1:]))}" for name, rows in self._rows.items()
        )
        return f"DomainBatch({len(self)} clips; {shapes})"


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


def _as_rows(name, array) -> Rows:
    if isinstance(array, Rows):
        return array
    if issparse(array):
        raise ValueError(
            f"domain {name!r} is a sparse {type(array).__name__}, which a batch doesn't hold; make "
            "a table of it by .toarray(), or a narrow one by sklearn.decomposition.TruncatedSVD"
        )
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
            f"domain {name!r} holds {array.dtype}, expected numbers: one row per clip, extracted "
            "by a domain or loaded with numpy.load"
        )
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"domain {name!r} has shape {array.shape}; expected (n_clips, n_bins, n_frames), "
            "(n_clips, n_channels, n_bins, n_frames), or (n_clips, n_features) for a table"
        )
    if array.ndim == 2 and not array.shape[1]:
        raise ValueError(f"domain {name!r} is a table without columns, of shape {array.shape}")
    return Rows(array)


def _as_array(array) -> np.ndarray:
    """Return what holds the features as an array, be it a tensor or a column of arrays."""
    array = without_torch(array)
    if isinstance(array, np.ndarray) and array.dtype != object:
        return array
    if not isinstance(array, (list, tuple)):
        array = np.asarray(array)
        if array.dtype != object or array.ndim != 1:
            return array
    return np.asarray([without_torch(row) for row in array])


def _numbers_of_frame(name, frame) -> np.ndarray:
    """Return the numbers of a pandas frame, NaN where they are missing."""
    frame = frame.infer_objects()
    no_numbers = frame.select_dtypes(exclude=["number", "bool", "boolean"])
    others = [*no_numbers.columns, *frame.select_dtypes(include="timedelta").columns]
    if others:
        raise ValueError(
            f"the columns {others} of the table {name!r} hold no numbers; leave them out, "
            f"frame.drop(columns={others}), or make numbers of them"
        )
    numbers = frame.to_numpy()
    if numbers.dtype != object:
        return numbers
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def _columns_of(array) -> list[str] | None:
    """Return the names of the columns of a pandas frame; None where they are numbers or none."""
    columns = list(array.columns) if _is_pandas(array) else []
    return columns if columns and all(isinstance(name, str) for name in columns) else None


def _is_pandas(array) -> bool:
    return hasattr(array, "select_dtypes")


def _kind_of(n_dim) -> str:
    return {
        1: "a table (n_clips, n_features)",
        2: "spectrograms (n_clips, n_bins, n_frames)",
        3: "spectrograms with channels (n_clips, n_channels, n_bins, n_frames)",
    }[n_dim]
