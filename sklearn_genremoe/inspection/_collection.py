"""What is wrong in a collection of labelled clips: one report, as data frames and as a page."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.utils import check_consistent_length

from .._checks import check_groups, check_targets
from .._files import user_path, write_atomically
from . import _out_of_fold as out_of_fold
from . import _plotting as plotting
from . import _statistics as statistics
from ._page import page_of, summary_of

# What is said of labels, where there are any.
_OF_LABELS = ["proba_genre", "suspicion", "issue", "votes_for_genre"]


@dataclass(repr=False, eq=False)
class CollectionReport:
    """What cross-fitted predictions say about a collection: its labels, files and genres.

    Which labels are probably wrong, which genres are confused, which clips are there twice, which
    files can't be used: as data frames, figures, and a page to click and listen through
    (:meth:`save`). Make one with :meth:`from_cross_validation` or :meth:`from_predictions`.

    Parameters
    ----------
    proba : ndarray of shape (n_clips, n_classes)
        The probabilities; rows of NaN for clips that can't be used.
    classes : ndarray of shape (n_classes,)
        The genres of the columns, sorted.
    y : ndarray of shape (n_clips,), default=None
        The label of each clip; None where none is known.
    groups : ndarray of shape (n_clips,), default=None
        What was kept together in the folds, for example artists; intervals draw these.
    paths : sequence of str, default=None
        The files; None numbers the clips.
    expert_proba : ndarray of shape (n_clips, n_experts, n_classes), default=None
        The probabilities by each expert.
    expert_names : sequence of str of length n_experts, default=()
        Names of the experts.
    weights : ndarray of shape (n_clips, n_experts), default=None
        How much each expert was trusted.
    features : ndarray of shape (n_clips, n_features), default=None
        What tells which clips sound alike, for example embeddings.
    feature_entries : sequence of str, default=()
        The entries of a DomainBatch that `features` sums up.
    errors : dict of int to str, default={}
        The rows that can't be used, and why.
    baselines : dict of str to ndarray of shape (n_clips, n_classes), default={}
        Answers by simpler methods: 1 for the genre, 0 for the others.
    models : list of estimators, default=()
        The fitted models of the folds, which :meth:`next_to_label` asks.
    curve : list of (int, float), default=()
        Accuracy of a plain classifier by the number of clips that it learned from.
    same_recording : float, default=0.8
        The cosine of standardised `features` from which clips are taken for the same recording.

    See Also
    --------
    compare : Several estimators on the same folds.
    apply_corrections : What was marked in the page, as labels.

    Notes
    -----
    Suspicious labels are found by confident learning [1]_: a label is doubted if another genre is
    the most probable of those whose probability reaches the mean that clips with that label have.
    They are ranked by the probability of the label.

    Methods that compare with labels raise a ValueError where none are known. Figures need
    matplotlib, and the page jinja2 (the extra ``[report]``).

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.

    Examples
    --------
    >>> from sklearn_genremoe.inspection import CollectionReport
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9]]
    >>> y = ["folk", "folk", "rock", "rock", "rock"]
    >>> report = CollectionReport.from_predictions(y, proba, classes=["folk", "rock"])
    >>> report.label_issues()[["clip", "genre", "predicted", "margin"]]
         clip genre predicted  margin
    2  clip 2  rock      folk    -0.8
    """

    proba: NDArray[np.float64]
    classes: NDArray
    y: NDArray | None = None
    groups: NDArray | None = None
    paths: Sequence[str] | None = None
    expert_proba: NDArray[np.float64] | None = None
    expert_names: Sequence[str] = ()
    weights: NDArray[np.float64] | None = None
    features: NDArray | None = None
    feature_entries: Sequence[str] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    baselines: dict[str, NDArray] = field(default_factory=dict)
    models: Sequence[Any] = ()
    curve: Sequence[tuple[int, float]] = ()
    same_recording: float = out_of_fold.TABLES_ALIKE

    @classmethod
    def from_cross_validation(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        cv: Any = 5,
        n_jobs: int | None = None,
        paths: Sequence[Any] | None = None,
    ) -> "CollectionReport":
        """Let an estimator judge each clip after learning from the other folds.

        Features are extracted once. Groups are kept together when clips are held out, and again
        inside each fit of a mixture.

        Parameters
        ----------
        estimator : MixtureOfExpertsClassifier or classifier with ``predict_proba``
            What judges; it is cloned.
        X : sequence of str or Path, array-like or DomainBatch
            The clips. Files that can't be used stay as rows, and a warning lists them.
        y : array-like of shape (n_clips,)
            Their labels.
        groups : array-like of shape (n_clips,), default=None
            What must stay together, for example artists: else clips of one album judge each other.
        cv : int, splitter or iterable of (train, test) rows, default=5
            The folds, by groups where it is an int. Each clip must be tested once.
        n_jobs : int, default=None
            Folds fitted at the same time; joblib's meaning.
        paths : sequence of str or Path, default=None
            The files behind `X`, if that holds waveforms, or is a DomainBatch that doesn't know.

        Returns
        -------
        report : CollectionReport
            The report.

        Raises
        ------
        ValueError
            If the folds don't test each clip once, no clip can be used, or a fit is refused.

        Examples
        --------
        >>> from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
        >>> from sklearn_genremoe.datasets import load_mini_genres
        >>> from sklearn_genremoe.inspection import CollectionReport
        >>> clips = load_mini_genres()
        >>> quick = default_experts(10.0, networks=False)
        >>> clf = MixtureOfExpertsClassifier(quick, cv=3)
        >>> labels = clips.target, clips.groups
        >>> report = CollectionReport.from_cross_validation(clf, clips.data, *labels, cv=4)
        >>> report.summary()[0]
        '48 clips of 4 genres in 41 groups.'
        """
        y = check_targets(X, y)
        together = check_groups(groups, len(y))
        names = out_of_fold.paths_of(X, paths)
        [model], task = out_of_fold.prepare([estimator], X, y, together, cv)
        found = out_of_fold.cross_fit(model, task, n_jobs)
        found |= out_of_fold.sound_features(task, found)
        found |= {"baselines": out_of_fold.baselines(task), "errors": task.errors}
        return cls(classes=task.classes, y=y, groups=together, paths=names, **found)

    @classmethod
    def from_predictions(
        cls,
        y: ArrayLike | None,
        proba: ArrayLike,
        *,
        classes: Sequence[Any] | None = None,
        groups: ArrayLike | None = None,
        paths: Sequence[Any] | None = None,
        expert_proba: ArrayLike | None = None,
        expert_names: Sequence[str] | None = None,
        features: ArrayLike | None = None,
        errors: Mapping[int, str] | None = None,
    ) -> "CollectionReport":
        """Report on given probabilities, best of clips that the model didn't learn from.

        Parameters
        ----------
        y : array-like of shape (n_clips,) or None
            The label of each clip; None if none is known: there are no scores then.
        proba : array-like of shape (n_clips, n_classes)
            The probabilities; rows of NaN for clips that can't be used.
        classes : sequence of length n_classes, default=None
            The genres of the columns. None takes the names of the columns of a data frame, else
            the genres in `y`, sorted.
        groups, paths, features : array-like of length n_clips, default=None
            As in the class.
        expert_proba : array-like of shape (n_clips, n_experts, n_classes), default=None
            The probabilities by each expert.
        expert_names : sequence of str of length n_experts, default=None
            Names of the experts; None numbers them.
        errors : dict of int to str, default=None
            Why rows of `proba` are NaN.

        Returns
        -------
        report : CollectionReport
            The report.

        Raises
        ------
        ValueError
            If the parts don't fit each other, or `proba` doesn't hold probabilities.
        """
        table = plotting.check_proba(proba, "proba", "allow-nan")
        check_consistent_length(table, expert_proba, features)
        labels: Any = None if y is None else check_targets(table, y)
        genres: Any = getattr(proba, "columns", None) if classes is None else classes
        if genres is None and labels is None:
            raise ValueError("classes is None and so is y; name the genre of each column.")
        genres = np.asarray(np.unique(labels) if genres is None else genres)
        if genres.shape != (table.shape[1],) or len(np.unique(genres)) != len(genres):
            raise ValueError(
                f"classes is {genres.tolist()}; {table.shape[1]} columns need one genre for each."
            )
        if not np.isin(genres if labels is None else labels, genres).all():
            found = np.unique(labels).tolist()
            raise ValueError(f"y has the genres {found}, but proba is about {genres.tolist()}.")
        order = np.argsort(genres)
        if expert_proba is not None:
            expert_proba = plotting.check_expert_proba(expert_proba, len(genres))[:, :, order]
            expert_names = plotting.check_names(expert_names, expert_proba.shape[1])
        return cls(
            table[:, order],
            genres[order],
            y=labels,
            groups=check_groups(groups, len(table)),
            paths=out_of_fold.paths_of(table, paths),
            expert_proba=expert_proba,
            expert_names=expert_names or (),
            features=None if features is None else np.asarray(features, dtype=np.float32),
            errors=errors or {},
        )

    # A row per clip.

    def frame(self) -> Any:
        """Return a row per clip, in the order given.

        Returns
        -------
        frame : pandas.DataFrame
            The columns: clip, its path or number; group; genre, its label; predicted;
            proba_genre and proba_predicted, the probabilities of both; margin, that of the label
            minus the largest of the others; suspicion, the rank by proba_genre, 1 for the most
            suspicious label; issue, whether the label is doubted;
            votes_for_genre, how many experts say what the label says; ``expert[<name>]``, what each
            says; duplicates and similar, lists of clips, from :meth:`duplicates` and
            :meth:`similar`; error. Columns of which nothing is known are left out.
        """
        frame, names = self._judgements.copy(), self.names
        if self.features is not None:
            copies: list[list[str]] = [[] for _ in names]
            similar: list[list[str]] = [[] for _ in names]
            for first, second in self.duplicates().index:
                copies[first].append(names[second])
                copies[second].append(names[first])
            for row, others in self._pairs.groupby("row")["other_row"]:
                similar[row] = [names[other] for other in others[:3]]
            frame["duplicates"], frame["similar"] = copies, similar
        frame["error"] = [self.errors.get(row, "") for row in range(len(names))]
        return frame

    def label_issues(self, n: int | None = None) -> Any:
        """Return the suspicious labels, the most suspicious first.

        Parameters
        ----------
        n : int, default=None
            How many to return, doubted or not; None returns those that are doubted.

        Returns
        -------
        issues : pandas.DataFrame
            Rows of :meth:`frame`, without what sounds alike.
        """
        frame = self._judged.sort_values("suspicion")
        return frame[frame["issue"]] if n is None else frame.head(n)

    def similar(self, clip: Any, n: int = 3) -> Any:
        """Return the clips that sound most like one.

        Parameters
        ----------
        clip : str, Path or int
            A path of the collection, or the number of a row.
        n : int, default=3
            How many.

        Returns
        -------
        similar : pandas.DataFrame with the columns clip, genre and similarity
            The most similar first; similarity is the cosine of the standardised features, 1 for
            the same.

        Raises
        ------
        ValueError
            If the clip isn't in the collection or can't be used, or there are no features.
        """
        names, vectors = self.names, self._vectors
        is_row = isinstance(clip, (int, np.integer))
        try:
            row = range(len(names))[clip] if is_row else names.index(os.fspath(clip))
            place = self._usable.tolist().index(row)
        except (IndexError, ValueError):
            raise ValueError(
                f"{clip} is not in the collection of {len(names)}, or can't be used; pass one of "
                "its paths, or a row."
            ) from None
        others = self._judgements.filter(["clip", "genre"]).iloc[self._usable]
        others = others.assign(similarity=(vectors @ vectors[place]).astype(float)).drop(row)
        return others.sort_values("similarity", ascending=False, kind="stable").head(n)

    def duplicates(self, threshold: float | None = None) -> Any:
        """Return pairs of clips that are probably the same recording, however it is encoded.

        Parameters
        ----------
        threshold : float, default=None
            The least cosine of their standardised features. None is 0.8 for tables such as
            embeddings, and 0.95 for mean and deviation of spectrograms, which are more alike.

        Returns
        -------
        pairs : pandas.DataFrame
            The columns clip and other; similarity; same_genre and same_group, where genres and
            groups are known. The index numbers the rows of both.
        """
        least = self.same_recording if threshold is None else threshold
        pairs = self._pairs[self._pairs["similarity"] >= least]
        pairs = pairs.sort_values("similarity", ascending=False, kind="stable")
        first, second = np.sort(pairs[["row", "other_row"]].to_numpy(), axis=1).T
        names = np.asarray(self.names, dtype=object)
        columns = {"row": first, "other_row": second, "clip": names[first], "other": names[second]}
        columns["similarity"] = pairs["similarity"].to_numpy()
        for name, known in (("same_genre", self.y), ("same_group", self.groups)):
            if known is not None:
                columns[name] = known[first] == known[second]
        index = ["row", "other_row"]  # the same for both directions of a pair
        return pd.DataFrame(columns).drop_duplicates(index).set_index(index)

    # The collection as a whole.

    def scores(self) -> Any:
        """Return how good the mixture is, beside its experts and simpler methods.

        Returns
        -------
        scores : pandas.DataFrame with the columns value, low and high
            Values, and intervals of 95 % by drawing groups (without groups: clips) anew. The index
            has two levels: the classifier (mixture, the experts by name, and the baselines: the
            most frequent genre, and a support vector machine on features), and the measure:
            accuracy, balanced_accuracy, log_loss, calibration_error (expected, ten bins), and for
            the mixture ``recall[<genre>]`` and ``precision[<genre>]``. NaN where it has no meaning.
        """
        judged = self._judged
        codes = np.searchsorted(self.classes, np.asarray(self.y)[judged.index])
        answers = {"mixture": self.proba}
        if self.expert_proba is not None:
            answers |= dict(zip(self.expert_names, self.expert_proba.swapaxes(0, 1)))
        found = {}
        for name, proba in (answers | self.baselines).items():
            genres = list(self.classes) if name == "mixture" else ()
            known = proba[judged.index]
            found[name] = statistics.measures(codes, known, judged.get("group"), genres)
            if name in self.baselines:
                found[name].loc[["log_loss", "calibration_error"]] = np.nan
        return pd.concat(found, names=["classifier", "measure"])

    def confusion(self) -> Any:
        """Return how many clips of each genre are taken for which.

        Returns
        -------
        confusion : pandas.DataFrame of shape (n_classes, n_classes)
            Numbers of clips; rows are labels, columns predictions.
        """
        counts = pd.crosstab(self._judged["genre"], self._judged["predicted"])
        return counts.reindex(index=self.classes, columns=self.classes, fill_value=0)

    def calibration(self) -> Any:
        """Return whether clips are as often right as their probability says.

        Returns
        -------
        calibration : pandas.DataFrame
            A row for each tenth between 0 and 1 in which probabilities of predicted genres lie,
            with the columns clips, their number; confidence, their mean probability; accuracy, with
            low and high, its interval of 95 %. Its ``attrs["expected_calibration_error"]`` is the
            mean distance of confidence and accuracy over the clips.
        """
        sure, groups = self._judged["proba_predicted"], self._judged.get("group")
        bins = statistics.confidence_bins(sure.to_numpy())
        hits = bins * self._is_right.to_numpy()[:, np.newaxis]
        frame = sure.groupby(bins.argmax(axis=1)).agg(clips="size", confidence="mean")
        intervals = statistics.ratio(hits, bins, groups)[:, frame.index]
        frame["accuracy"], frame["low"], frame["high"] = intervals
        frame = frame.reset_index(drop=True)
        gap = (frame["confidence"] - frame["accuracy"]).abs()
        frame.attrs["expected_calibration_error"] = float(np.average(gap, weights=frame["clips"]))
        return frame

    def coverage(self) -> Any:
        """Return how often the surest answers are right.

        Returns
        -------
        coverage : pandas.DataFrame
            A row per usable clip, the surest first, with the columns coverage, the share of clips
            that are at least as sure; threshold, the probability of its predicted genre; and
            accuracy, the share of those that are right.
        """
        threshold = self._judged["proba_predicted"].sort_values(ascending=False, kind="stable")
        accuracy = self._is_right[threshold.index].expanding().mean()
        coverage = np.arange(1, len(threshold) + 1) / len(threshold)
        columns = {"coverage": coverage, "threshold": threshold, "accuracy": accuracy}
        return pd.DataFrame(columns)

    def rejection_threshold(self, false_refusals: float = 0.05) -> float:
        """Return below which probability an answer should be refused.

        ``proba.max(axis=1) < threshold`` tells "none of these" of new clips, at the price that
        `false_refusals` of the clips that are answered rightly are refused too. It helps with music
        of other genres; noise needs :meth:`judge`, since classifiers are often sure of it.

        Parameters
        ----------
        false_refusals : float, default=0.05
            The share, above 0 and below 1.

        Returns
        -------
        threshold : float
            The quantile of the probability of rightly predicted genres, out of fold.

        Raises
        ------
        ValueError
            If no answer is right, or the share isn't between 0 and 1.
        """
        right = self._rightly_answered(false_refusals)
        return float(right["proba_predicted"].quantile(false_refusals))

    def judge(self, X: Any, false_refusals: float = 0.05) -> Any:
        """Say what new clips are, or that they are none of the genres.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            New clips.
        false_refusals : float, default=0.05
            The share of the collection's clips that are answered rightly and would be refused.

        Returns
        -------
        answers : pandas.DataFrame
            A row per clip that can be used, numbered as in `X`. The columns: clip; predicted, by
            the mean of the models of the folds; probability; margin, that to the second genre;
            distance, the mean square of the standardised features, 1 for what is usual in the
            collection, NaN if the report has no features; refused, whether the probability is too
            low or the distance too large. Both limits are the same quantile, chosen so that
            together they refuse `false_refusals`.

        Raises
        ------
        ValueError
            If the report wasn't made by :meth:`from_cross_validation`, or no clip can be used.
        """
        right = self._rightly_answered(false_refusals)
        frame, features = self._ask(X)
        frame["distance"], own = np.nan, np.nan
        if self.features is not None:
            scaler = StandardScaler().fit(self.features[self._usable])
            frame["distance"] = (scaler.transform(features) ** 2).mean(axis=1)
            own = (scaler.transform(self.features[right.index]) ** 2).mean(axis=1)
        known = pd.DataFrame({"probability": right["proba_predicted"], "nearness": -own})
        # At which place of the clips in order both limits refuse that share together.
        places = (known.rank(method="max") - 1).min(axis=1) / max(len(known) - 1, 1)
        limits = known.quantile(places.quantile(false_refusals))
        frame["refused"] = frame["probability"] < limits["probability"]
        frame["refused"] |= frame["distance"] > -limits["nearness"]
        return frame

    def next_to_label(self, X: Any, n: int = 10) -> Any:
        """Return which unlabelled clips teach most if they are labelled next.

        They are chosen one by one for being uncertain, and for sounding unlike the clips of the
        collection and those chosen before.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            Unlabelled clips.
        n : int, default=10
            How many.

        Returns
        -------
        chosen : pandas.DataFrame with the columns clip, predicted, probability and margin
            The first to label first, as in :meth:`judge`.

        Raises
        ------
        ValueError
            If the report wasn't made by :meth:`from_cross_validation`, or no clip can be used.
        """
        frame, features = self._ask(X)
        if self.features is None:
            return frame.sort_values("margin").head(n)
        old = self.features[self._usable]
        vectors = _unit_vectors(np.vstack([old, features]))
        old, new = vectors[: len(old)], vectors[len(old) :]
        distance = 1 - _most_similar(old, 1, new)[1][:, 0]
        chosen: list[int] = []
        for _ in range(min(n, len(new))):
            score = (1 - frame["margin"].to_numpy()) * distance
            score[chosen] = -np.inf
            chosen.append(int(score.argmax()))
            distance = np.minimum(distance, 1 - new @ new[chosen[-1]])
        return frame.iloc[chosen]

    def plot(self, what: str = "scores", *, ax: Any = None) -> Any:
        """Plot one of the tables.

        Parameters
        ----------
        what : {"scores", "confusion", "calibration", "coverage"}, default="scores"
            The method whose numbers are drawn: accuracies with their intervals; the confusion
            matrix; how often clips are right against how often their probability says so, by
            scikit-learn's ``CalibrationDisplay``; or accuracy against coverage.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        ax : matplotlib.axes.Axes
            The axes.
        """
        kinds = "scores", "confusion", "calibration", "coverage"
        if what not in kinds:
            raise ValueError(f"what={what!r}; expected one of {kinds}.")
        table, colour = getattr(self, what)(), plotting.COLOURS[0]
        if ax is None:
            [ax] = plotting.new_axes("CollectionReport.plot", 6.0, 5.0)
        if what == "scores":
            plotting.plot_intervals(ax, table.xs("accuracy", level="measure")[::-1], colour)
            ax.set(xlabel="accuracy, with its interval of 95 %")
        elif what == "confusion":
            display = ConfusionMatrixDisplay(table.to_numpy(), display_labels=self.classes)
            display.plot(ax=ax, cmap="Blues", colorbar=False, xticks_rotation=45)
            ax.set(xlabel="predicted", ylabel="label")
        elif what == "calibration":
            how: dict[str, Any] = {"n_bins": statistics.N_BINS, "name": "predicted genre", "ax": ax}
            sure = self._judged["proba_predicted"]
            CalibrationDisplay.from_predictions(self._is_right, sure, **how)
            ax.set(xlabel="probability of the predicted genre", ylabel="share that is right")
        else:
            ax.plot(table["coverage"], table["accuracy"], color=colour)
            ax.set(xlabel="share of clips that are answered, the surest first", ylabel="accuracy")
            ax.set(xlim=(0, 1), ylim=(None, 1.02))
        return ax

    # In words, and as a page.

    def summary(self) -> list[str]:
        """Return the main findings, each as a sentence.

        Returns
        -------
        sentences : list of str
            What a person should know first.
        """
        return summary_of(self)

    def save(self, file: Any, *, embed: bool = False, command: str | None = None) -> Path:
        """Write the report as one page, which works without network and server.

        There clips are heard, searched, filtered and sorted, and their labels marked as right or
        wrong; marks are saved as ``corrections.csv`` for :func:`apply_corrections`.

        Parameters
        ----------
        file : str or Path
            The page to write, for example ``"report.html"``. Players refer to the clips relative
            to it.
        embed : bool, default=False
            Whether to put 10 s of clips into the page: as many as 16 MB hold.
        command : str, default=None
            How the report was made, to be shown in it.

        Returns
        -------
        path : Path
            The page.
        """
        path = user_path(file)
        write_atomically(path, page_of(self, path.absolute().parent, embed, command).encode())
        return path

    def _repr_html_(self) -> str:
        """Return the short form for notebooks."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.summary())
        if self.y is None or not len(self._usable):
            return f"<ul>{lines}</ul>"
        issues = self.label_issues(5)[["clip", "genre", "predicted", "proba_genre", "margin"]]
        table = issues.to_html(float_format="{:.2f}".format)
        return f"<ul>{lines}</ul><p>Most suspicious labels:</p>{table}"

    def __repr__(self) -> str:
        return f"<CollectionReport: {' '.join(self.summary())}>"

    # What the tables are made from.

    @property
    def names(self) -> list[str]:
        """The path of each clip, or its number."""
        numbers = [f"clip {row}" for row in range(len(self.proba))]
        return numbers if self.paths is None else list(self.paths)

    @cached_property
    def _usable(self) -> NDArray[np.intp]:
        return np.flatnonzero(~np.isnan(self.proba).any(axis=1))

    @cached_property
    def _judgements(self) -> Any:
        """The columns of frame() that don't need features."""
        rows = self._usable
        proba = self.proba[rows]
        answers = proba.argmax(axis=1)
        genres = self.classes.astype(object)  # numbers stay what they are beside missing ones
        known = {"clip": self.names, "group": self.groups, "genre": self.y}
        frame = pd.DataFrame({name: part for name, part in known.items() if part is not None})
        # The margin is that of the label, or else of the answer.
        codes: Any = answers if self.y is None else np.searchsorted(self.classes, self.y[rows])
        is_own = np.arange(len(genres)) == codes[:, np.newaxis]
        own, others = proba[is_own], np.where(is_own, -1, proba).max(axis=1)
        columns: dict[str, Any] = {"predicted": genres[answers], "proba_genre": own}
        columns |= {"proba_predicted": proba.max(axis=1), "margin": own - others}
        columns["suspicion"] = pd.Series(own).rank(method="first").astype("Int64").array
        columns["issue"] = pd.array(statistics.confident_learning(codes, proba), dtype="boolean")
        if self.expert_proba is not None:
            votes = self.expert_proba[rows].argmax(axis=2)
            agree = (votes == codes[:, np.newaxis]).sum(axis=1)
            columns["votes_for_genre"] = pd.array(agree, dtype="Int64")
            columns |= {f"expert[{n}]": genres[v] for n, v in zip(self.expert_names, votes.T)}
        frame = frame.join(pd.DataFrame(columns, index=rows))
        of_labels = [] if self.y is not None else _OF_LABELS
        return frame.drop(columns=of_labels, errors="ignore")

    @cached_property
    def _judged(self) -> Any:
        """The judgements on the clips that can be used, which have labels to compare with."""
        if self.y is None:
            raise ValueError("this report has no labels to compare with: make it with y.")
        if not len(self._usable):
            raise ValueError(f"none of the {len(self.proba)} clips can be used.")
        return self._judgements.iloc[self._usable]

    @property
    def _is_right(self) -> Any:
        return self._judged["genre"] == self._judged["predicted"]

    def _rightly_answered(self, false_refusals: float) -> Any:
        """Return the judgements of which a share may be refused."""
        if not 0 < false_refusals < 1:
            raise ValueError(f"false_refusals={false_refusals!r}; expected one between 0 and 1.")
        right = self._judged[self._is_right]
        if not len(right):
            raise ValueError("no clip is answered rightly: there is no threshold to choose.")
        return right

    def _ask(self, X: Any) -> tuple[Any, Any]:
        """Return what the models say of other clips that can be used, and these clips' features."""
        rows, proba, seen = out_of_fold.ask(self.models, self.classes, X)
        features = None
        if self.features is not None:
            features = out_of_fold.clip_vectors(seen, self.feature_entries)
        paths = out_of_fold.paths_of(X) or [f"clip {row}" for row in range(len(X))]
        names = [paths[row] for row in rows]
        answers = CollectionReport(proba, self.classes, paths=names)._judgements.set_axis(rows)
        return answers.rename(columns={"proba_predicted": "probability"}), features

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        if self.features is None:
            raise ValueError(
                "the report has no features that tell which clips sound alike: pass features, or "
                "to from_cross_validation paths and experts that begin with a domain."
            )
        return _unit_vectors(self.features[self._usable])

    @cached_property
    def _pairs(self) -> Any:
        """The rows of each usable clip and of its most similar others, and their cosines."""
        n = min(5, len(self._usable) - 1)
        near, cosines = np.empty((len(self._usable), 0), int), np.empty((len(self._usable), 0))
        if n > 0:  # else there is nothing to compare with
            near, cosines = _most_similar(self._vectors, n)
        rows, others = np.repeat(self._usable, near.shape[1]), self._usable[near].ravel()
        columns = {"row": rows, "other_row": others, "similarity": cosines.ravel()}
        return pd.DataFrame(columns)


def _unit_vectors(features: NDArray) -> NDArray[np.float32]:
    """Return features standardised over the clips and scaled to length 1."""
    return normalize(StandardScaler().fit_transform(np.asarray(features, dtype=np.float32)))


def _most_similar(vectors: NDArray, n: int, of: NDArray | None = None) -> tuple[NDArray, NDArray]:
    """Return which vectors are most similar to each, or to each of others, and their cosines."""
    finder = NearestNeighbors(n_neighbors=n, algorithm="brute").fit(vectors)
    distances, rows = finder.kneighbors(of)
    return rows, 1 - distances**2 / 2
