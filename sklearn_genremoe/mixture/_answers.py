"""From probabilities to labels, tables and scores, where some rows may have none."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from .._clips import entries_of, kind_of_clips
from ..audio import BadClipError, BadClipWarning
from ..domains import DomainBatch
from ._cross_fit import TrainingClips


class ClipClassifierMixin(ClassifierMixin):
    """What a classifier of clips or tracks answers, some of which may be unusable.

    A class has ``_judge(X, on_error, "predict_proba")``, which returns the probabilities as an only
    item, NaN in the rows of bad clips, and these with reasons.
    """

    classes_: Any
    on_error: str

    # Groups reach fit without a request, as they reach scikit-learn's group splitters.
    __metadata_request__fit = {"groups": True}
    # A parameter of predict itself, nothing that belongs to the clips.
    __metadata_request__predict = {"missing": UNUSED}

    def _judge(
        self, X: Any, on_error: str, *questions: str
    ) -> tuple[list[NDArray[np.float64]], dict[int, str]]:
        raise NotImplementedError

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``; rows sum to one. With
            ``on_error="warn"``, the rows of bad clips are NaN.
        """
        [proba], bad = self._judge(X, self.on_error, "predict_proba")
        self._report(bad)
        return proba

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        log_proba : ndarray of shape (n_clips, n_classes)
            Logarithms in the order of ``classes_``; minus infinity for excluded genres.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any, *, missing: Any = None) -> NDArray:
        """Return the most probable genre of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.
        missing : object, default=None
            The label of clips that can't be used, with ``on_error="warn"``; for example
            ``"unknown"``. None refuses to answer if there are any.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Genres; of objects where some are `missing` and that is of another type.

        Raises
        ------
        BadClipError
            Some clips can't be used, and `on_error` is "raise" or `missing` is None.
        """
        [proba], bad = self._judge(X, self.on_error, "predict_proba")
        labels = labels_from_proba(proba, bad, self.classes_, missing)
        self._report(bad, f"answered by {missing!r}")
        return labels

    def predict_frame(self, X: Any) -> Any:
        """Return genre and probabilities of each clip, or why there are none, in one table.

        Safe with several threads: unlike those of ``bad_clips_``, reasons come with the answer.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        frame : pandas.DataFrame
            A row per clip. The columns: path, None where clips came otherwise; genre;
            ``probability[<genre>]`` for each genre; and error, why a clip can't be used, whatever
            `on_error` is, else None. Genre and probabilities are missing where there are none.
        """
        [proba], bad = self._judge(X, "warn", "predict_proba")
        rows = range(len(proba))
        labels = labels_from_proba(proba, bad, self.classes_, "")
        columns = {
            "path": pd.Series(paths_of(X, len(proba)), dtype=object),  # keeps None
            "genre": [None if row in bad else labels[row] for row in rows],
            **{f"probability[{genre}]": proba[:, i] for i, genre in enumerate(self.classes_)},
            "error": pd.Series([bad.get(row) for row in rows], dtype=object),
        }
        return pd.DataFrame(columns)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of clips whose genre is found.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes. With ``on_error="warn"`` those that
            can't be used are left out of the score, with a warning.
        y : array-like of shape (n_clips,)
            Their genres.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips.

        Returns
        -------
        score : float
            Accuracy, from 0 to 1.

        Raises
        ------
        BadClipError
            A clip can't be used, and `on_error` is "raise", or none can be used.
        """
        check_is_fitted(self)
        true = TrainingClips.check(X, y, sample_weight, None, self.classes_)
        [proba], bad = self._judge(X, self.on_error, "predict_proba")
        good = rows_to_score(true, bad)
        self._report(bad, "left out of the score")
        weight = None if true.weight is None else true.weight[good]
        found = self.classes_[proba[good].argmax(axis=1)]
        return float(accuracy_score(true.y[good], found, sample_weight=weight))

    def _report(
        self, bad: dict[int, str], fate: str = "whose rows are NaN", stacklevel: int = 3
    ) -> None:
        """Say once which clips were bad, and keep it."""
        if bad or getattr(self, "bad_clips_", None):
            self.bad_clips_ = bad
        if bad:
            warnings.warn(BadClipWarning(bad, fate), stacklevel=stacklevel)

    def _leave_out(self, clips: TrainingClips, bad: dict[int, str]) -> dict[int, str]:
        """Report the bad clips of a fit by their place in the user's list, and return them so."""
        if bad and len(bad) == len(clips.y):
            raise none_usable(bad)
        genres, counts = np.unique(clips.y[list(bad)], return_counts=True)
        lost = ", ".join(f"{genre} {n}" for genre, n in zip(genres, counts))
        n_others = len(clips.y) - len(bad)
        bad = {int(clips.origin[row]): why for row, why in sorted(bad.items())}
        self._report(bad, f"left out of the fit on {n_others} others ({lost})", 4)
        return bad


def paths_of(X: Any, n_clips: int) -> list[Any]:
    """Return the paths of clips, None for those that came otherwise."""
    if isinstance(X, DomainBatch):
        X = X.paths
    is_paths = X is not None and np.ndim(X) == 1 and kind_of_clips(X) == "paths"
    return [os.fsdecode(path) for path in entries_of(X)] if is_paths else [None] * n_clips


def labels_from_proba(
    proba: NDArray[np.float64], bad: dict[int, str], classes: NDArray, missing: Any
) -> NDArray:
    """Return the most probable genres, and `missing` in bad rows, which None refuses to do."""
    if bad and missing is None:
        raise BadClipError(
            f"{len(bad)} of {len(proba)} clips",
            "can't be used and have no genre; leave them out, or pass predict(X, "
            "missing='unknown'), or take predict_proba, where their rows are NaN:\n"
            + "\n".join(f"row {row}: {why}" for row, why in bad.items()),
        )
    good = ~np.isin(np.arange(len(proba)), list(bad))
    labels = classes[np.where(good[:, None], proba, 0).argmax(axis=1)]
    if not bad:
        return labels
    if np.asarray(missing).dtype.kind != classes.dtype.kind:  # keep the labels what they are
        labels = labels.astype(object)
    return np.where(good, labels, np.asarray(missing))  # an array: 1000 has no room in int8


def rows_to_score(true: TrainingClips, bad: dict[int, str]) -> NDArray[np.intp]:
    """Return the rows that aren't bad; raise if that leaves nothing to score on."""
    good = np.setdiff1d(np.arange(len(true.y)), list(bad))
    if bad and not len(good):
        raise none_usable(bad)
    if true.weight is not None and not true.weight[good].any():
        raise ValueError("No clip that can be used has a weight above zero, so there is no score.")
    return good


def none_usable(bad: dict[int, str]) -> BadClipError:
    """Return the error for clips that are all bad."""
    return BadClipError(f"all {len(bad)} clips", "none can be used:\n" + "\n".join(bad.values()))


# A genre that was excluded costs this much at most: -log(1e-15) = 34.5.
_FLOOR = 1e-15


def score_table(
    everyone: NDArray, weights: NDArray, y: NDArray, classes: NDArray, names: list[str], weight: Any
) -> Any:
    """Compare experts, mixture and oracle on clips with known genre: see ``score_experts``.

    `everyone` holds the probabilities of the experts and, last, of the mixture.
    """
    rows = np.arange(len(y))
    answers = everyone.argmax(axis=2)
    right, differs = answers == y[:, None], answers != answers[:, -1:]
    loss = -np.log(np.maximum(everyone[rows, :, y], _FLOOR))
    oracle = right[:, :-1].any(axis=1, keepdims=True)

    def mean(values: NDArray, of: NDArray = rows) -> Any:
        chosen = None if weight is None else weight[of]
        return np.average(values[of], axis=0, weights=chosen)

    experts = range(len(names))
    pairs = [mean(answers[:, a] != answers[:, b]) for a in experts for b in range(a)]
    columns: dict[str, Any] = {
        "accuracy": [*mean(right), *mean(oracle)],
        "log_loss": [*mean(loss), np.nan],
        "disagreement": [*mean(differs), np.nan],
        "weight": [*mean(weights), np.nan, np.nan],
    }
    for number, genre in enumerate(classes):
        of_genre = np.flatnonzero(y == number)
        known = len(of_genre) > 0 and (weight is None or weight[of_genre].any())
        of_experts = mean(weights, of_genre) if known else np.full(len(names), np.nan)
        columns[f"weight[{genre}]"] = [*of_experts, np.nan, np.nan]
    index = pd.Index([*names, "mixture", "oracle"], name="expert")
    table = pd.DataFrame(columns, index=index, dtype=float)
    table.attrs["mean_disagreement"] = float(np.mean(pairs)) if pairs else 0.0
    return table
