"""The mixture of experts as a scikit-learn classifier."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import KW_ONLY
from numbers import Real
from typing import Annotated, Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import Bunch, check_array, check_random_state
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted, validate_data

from .._checks import check_classes, unchanged_on_error, unfitted_on_error
from .._clips import check_clips, check_finite, kind_of_clips, without_torch
from .._compat import (
    Interval,
    StrOptions,
    _BaseComposition,
    _check_feature_names_in,
    _VisualBlock,
)
from .._diagram import DiagramMixin
from .._fields import OnError, Verbosity, with_init
from .._rows import Rows
from ..audio import BadClipWarning
from ..domains import BaseDomain, DomainBatch, Plan
from ..experts import default_experts
from ..networks import resolve_device
from ._answers import ClipClassifierMixin, rows_to_score, score_table
from ._cross_fit import (
    TrainingClips,
    classes_of_prefit,
    fit_experts,
    make_splits,
    networks_in,
    require_known,
    route_fit,
    rows_of_cv,
    seed_missing,
)
from ._experts import check_experts, expert_proba_of, extract_domains, plan_experts, view_clips
from ._gates import CNNMixer, RNNMixer
from ._mixers import BalancedMixer, BaseMixer, LogPoolMixer, StackingMixer

# Arguments of scikit-learn's beside which experts stand by their names, and other rows of scores.
_RESERVED = ["self", "method_mapping", "mixture", "oracle"]
# Prediction on fewer clips than this is short work, which shows no progress bar.
_MANY_CLIPS = 100

Folds = Annotated[
    Any, "cv_object", Interval(Real, 0, 1, closed="neither"), StrOptions({"train", "prefit"})
]
MIXERS: dict[str, type[BaseMixer]] = {
    "balanced": BalancedMixer,
    "cnn": CNNMixer,
    "rnn": RNNMixer,
    "log_pool": LogPoolMixer,
    "stacking": StackingMixer,
}


def make_mixer(mixer: Any) -> BaseMixer:
    """Return a new, unfitted mixer for a name or a mixer."""
    if isinstance(mixer, str) and mixer in MIXERS:
        return MIXERS[mixer]()
    if isinstance(mixer, BaseMixer):
        return clone(mixer)
    raise ValueError(
        f"mixer={mixer!r} is not known; expected one of {', '.join(map(repr, MIXERS))}, or an "
        "instance of a mixer, such as RNNMixer(max_epochs=20) or a subclass of BaseMixer."
    )


@with_init
class MixtureOfExpertsClassifier(
    DiagramMixin, ClipClassifierMixin, TransformerMixin, MetaEstimatorMixin, _BaseComposition
):
    r"""Several experts, each with its own view of a clip, and a mixer that weighs them.

    .. math:: y(x) = g(h_1(x), \ldots, h_M(x); x)

    The experts :math:`h_m` are trained on the clips, usually convolutional networks on
    different feature domains; the mixer :math:`g` decides how much to trust each of them, for all
    clips alike (stacking, the default), or clip by clip, as the paper's gates do. Whatever the
    number of experts, each clip is decoded and analysed once.

    Parameters
    ----------
    experts : list of (str, estimator), default=None
        Names and classifiers with ``predict_proba``, usually pipelines that begin with a
        feature domain. ``"drop"`` in place of a classifier leaves it out. None means
        :func:`~sklearn_genremoe.default_experts`: small networks and linear models;
        :func:`~sklearn_genremoe.paper_experts` are those of the paper.
    mixer : {"balanced", "cnn", "rnn", "log_pool", "stacking"} or mixer, default="stacking"
        How the predicted probabilities of the experts become one: the plain average (the
        paper's MoEB), a gate that sees the clip (MoEC, MoER), the geometric mean, or
        logistic regression.
    mixer_domain : BaseDomain, str or None, default=None
        In which domain a gate sees the clips: a domain, or the name of an expert (that
        expert's domain) or of an entry of a DomainBatch. None is the original spectrogram, or
        `X` itself if it holds spectrograms.
    cv : int, float, "train", "prefit", splitter, iterable or None, default=5
        Which predictions of the experts the mixer learns from.

        - int, 5 for None: out-of-fold predictions. Each expert is trained on all folds but one
          and predicts that one; stratified, and with `groups` no group stands on both sides.
        - splitter or iterable of (train, test) rows: likewise. A genre that is missing among
          the clips that an expert learned from gets the probability zero.
        - float: experts are trained on a part, and predict a share of that size that is held
          out; stratified, groups kept whole.
        - "train": the experts predict the clips that they were trained on, as in the paper.
          They look better there than they are, and the mixer believes it.
        - "prefit": the experts come fitted, and predict the clips given to ``fit``.

        Mixers that learn nothing skip this.
    refit : bool, default=True
        Whether experts are trained on all clips after they were cross-fitted. If not, the
        models of the folds are kept: the prediction of an expert is their average, or that of
        the one model that was trained without the hold-out.
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or report all of them in
        one :class:`~sklearn_genremoe.audio.BadClipWarning` and go on. ``fit`` then leaves those
        clips out, with their genres, weights and groups; probabilities and weights are NaN in
        their rows; ``predict`` raises, unless it is told what to answer for them.
    memory : str, Path or joblib.Memory, default=None
        Where to keep extracted features. See :class:`~sklearn_genremoe.DomainUnion`.
    n_jobs : int, default=None
        Number of jobs for the extraction and for the training of experts and folds. None is 1
        unless in a :func:`joblib.parallel_config` context, -1 means all cores.
    random_state : int, RandomState instance or None, default=None
        Determines every `random_state` that is None in experts and mixer, and the hold-out.
        With an int, two fits are equal, whatever `n_jobs`, unless `cv` is a splitter that shuffles
        without a seed of its own.
    verbose : int, default=0
        Above zero, show a progress bar for each phase of ``fit``: extraction, experts, mixer.
        Prediction shows one from 100 clips on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The genres, sorted.
    experts_ : list of estimators
        The fitted experts, without those dropped. Each also predicts by itself.
    named_experts_ : Bunch
        The fitted experts by name.
    mixer_ : BaseMixer
        The fitted mixer.
    bad_clips_ : dict of int to str
        The rows of the last call that could not be used, and why; empty unless
        ``on_error="warn"``.
    n_features_in_ : int
        Samples per clip, or bins of spectrograms; not set by fitting on a DomainBatch.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` was a data frame whose columns have names.

    See Also
    --------
    paper_experts : The paper's four experts.
    sklearn.ensemble.StackingClassifier : Mixes without looking at the clip.

    Notes
    -----
    Sample weights go to every expert and to the mixer; a clip of weight zero counts as absent, but
    for a splitter in `cv`, which divides all clips that are given.

    Experts and mixer are by default what was best on real clips, see the reproduction report. The
    paper's system is ``MixtureOfExpertsClassifier(paper_experts(), "rnn", cv="train")``.

    References
    ----------
    .. [1] Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for
       Music Genre Classification", APSIPA 2019.
    .. [2] Jacobs, R. A., M. I. Jordan, S. J. Nowlan, G. E. Hinton, "Adaptive mixtures of local
       experts", Neural Computation 3(1), 1991.

    Examples
    --------
    Experts need not be networks:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_genremoe import MixtureOfExpertsClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> experts = [("forest", RandomForestClassifier()), ("bayes", GaussianNB())]
    >>> moe = MixtureOfExpertsClassifier(experts, mixer="stacking", random_state=0).fit(X, y)
    >>> moe.score(X, y) > 0.95
    True
    >>> moe.expert_predict_proba(X).shape
    (178, 2, 3)
    >>> moe.mixture_weights(X).shape
    (178, 2)
    """

    experts: Any = None
    mixer: Any = "stacking"
    _: KW_ONLY
    mixer_domain: BaseDomain | str | None = None
    cv: Folds = 5
    refit: bool = True
    on_error: OnError = "raise"
    memory: str | os.PathLike | joblib.Memory | None = None
    n_jobs: int | None = None
    random_state: Annotated[Any, "random_state"] = None
    verbose: Verbosity = 0

    # Fitting.

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **params: Any,
    ) -> MixtureOfExpertsClassifier:
        """Train the experts, and the mixer on their predictions.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips: paths, waveforms (n_clips, n_samples), spectrograms (n_clips, n_bins,
            n_frames), or extracted domains. From a DomainBatch an expert takes the domain that
            it begins with, or the entry of its name or, where several experts begin with the same
            domain, of one of their names.
        y : array-like of shape (n_clips,)
            The genres.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, for experts and mixer.
        groups : array-like of shape (n_clips,), default=None
            What must stay together when clips are held out, for example artists or albums.
        **params : dict
            With metadata routing enabled, more metadata for experts and splitter.

        Returns
        -------
        self : MixtureOfExpertsClassifier
            The fitted mixture.

        Raises
        ------
        ValueError
            If a parameter of the mixture or the mixer, an expert, or `cv` isn't accepted, there
            are fewer clips of a genre than folds, all clips are of one genre, or a clip can't be
            read. What is refused before any training leaves the model of an earlier fit as it is.
        TypeError
            If an expert isn't a classifier with ``predict_proba``.
        """
        prefit = self._is_prefit
        with unchanged_on_error(self):
            self._validate_params()
            experts = self._check_experts()
            for cnn in networks_in(experts):
                resolve_device(cnn.device)
            mixer = make_mixer(self.mixer)
            mixer._validate_params()
            if not prefit:
                experts = [(name, clone(expert)) for name, expert in experts]
            X, plan = self._check_X(X, experts, mixer.needs_clips, reset=True)
            clips = TrainingClips.check(X, y, sample_weight, groups)
            to_fit = [] if prefit else experts
            clips.params = route_fit(self, to_fit, clips.weight, clips.groups, params)
            out_of_fold = mixer.needs_fit and not isinstance(self.cv, str)
            split_seed = self._seed(to_fit, mixer)
            cv = rows_of_cv(5 if self.cv is None else self.cv, clips) if out_of_fold else None
            clips = clips.present()

            def split(clips: TrainingClips) -> tuple[NDArray, list[Any]]:
                if prefit:
                    return classes_of_prefit(experts, clips.y), []
                classes = check_classes(clips.y)
                return classes, make_splits(cv, clips, split_seed) if out_of_fold else []

            classes, splits = split(clips)
            views, of_mixer, good, bad = view_clips(
                self, clips.X, experts, plan, self.on_error, self.verbose
            )
            bad = self._leave_out(clips, bad)
            if bad:
                clips = clips.take(good)
                classes, splits = split(clips)
        with unfitted_on_error(self):
            self.bad_clips_ = bad
            if not prefit:
                experts, proba, held_out = fit_experts(self, experts, views, clips, classes, splits)
            if mixer.needs_fit:
                if not splits:
                    proba = expert_proba_of(experts, views, classes)
                    held_out = np.arange(len(clips.y))
                if self.verbose and getattr(mixer, "verbose", None) == 0:
                    mixer.set_params(verbose=self.verbose)
                mixer.fit(
                    proba,
                    np.searchsorted(classes, clips.y[held_out]),
                    None if of_mixer is None else Rows(of_mixer, held_out).array(),
                    sample_weight=None if clips.weight is None else clips.weight[held_out],
                )
            self._assemble(experts, mixer, classes)
        return self

    def extract(self, X: Any) -> DomainBatch:
        """Extract the domains of exactly these experts, once for many fits.

        What comes back is taken by ``fit``, ``predict`` and all the others in place of the clips,
        and can be indexed by clips, so that everything in scikit-learn that splits data takes it.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            Paths or waveforms; of a DomainBatch, these domains are picked, and the entries of
            experts that begin with none.

        Returns
        -------
        batch : DomainBatch
            One entry for each expert that begins with a domain, by its name; and "mixer", if the
            mixer needs one that no expert has. Tables for other experts go beside them,
            ``batch | {"name of the expert": table}``.

        Raises
        ------
        ValueError
            If no expert begins with a domain, or a clip can't be used.

        Examples
        --------
        >>> from sklearn_genremoe import MixtureOfExpertsClassifier
        >>> from sklearn_genremoe.datasets import make_genre_clips
        >>> X, y = make_genre_clips(6, random_state=0)
        >>> batch = MixtureOfExpertsClassifier().extract(X)
        >>> batch.names[:2], len(batch)
        (['original', 'mfcc'], 6)
        """
        self._validate_params()
        experts = self._check_experts()
        with_mixer = make_mixer(self.mixer).needs_clips
        plan = plan_experts(experts, "paths", with_mixer, self.mixer_domain)
        if not plan.domains:
            raise ValueError(
                "no expert begins with a feature domain, so there is nothing to extract: pass X to "
                "fit as it is, or let the experts begin with domains, for example "
                "make_pipeline(LogMelSpectrogram(), CNNClassifier())."
            )
        if isinstance(X, DomainBatch):  # of which the mixer's domain is picked too
            batch = X.pick_domains(plan)
            others = {n: X.entries[n] for n, _ in experts if n in X and n not in batch}
            return batch | others if others else batch
        clips = check_clips(copy.copy(self), X, path_samples=plan.n_samples, reset=True)
        batch = extract_domains(self, clips, plan, self.on_error, self.verbose, self.memory)
        if batch.bad_clips:
            warnings.warn(BadClipWarning(batch.bad_clips), stacklevel=2)
        return batch

    # Prediction.

    def expert_predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return each expert's probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_experts, n_classes)
            Probabilities, experts in the order of ``experts_``.
        """
        [proba], bad = self._judge(X, self.on_error, "experts")
        self._report(bad)
        return proba

    def mixture_weights(self, X: Any) -> NDArray[np.float64]:
        """Return how much each expert counts, clip by clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        weights : ndarray of shape (n_clips, n_experts)
            Weights, zero or above; rows sum to one. What they mean is up to the mixer: see its
            documentation.
        """
        [weights], bad = self._judge(X, self.on_error, "weights")
        self._report(bad)
        return weights

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities by the experts side by side.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_experts * n_classes)
            The probabilities by the first expert, then those by the second, and so on.
        """
        proba = self.expert_predict_proba(X)
        return proba.reshape(len(proba), proba.shape[1] * proba.shape[2])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Return the names of the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Accepted if equal to ``feature_names_in_``, and otherwise not used.

        Returns
        -------
        names : ndarray of str
            The name of an expert, an underscore and a genre each.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        names = [f"{name}_{genre}" for name, _ in self._fitted() for genre in self.classes_]
        return np.asarray(names, dtype=object)

    def score_experts(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Compare the experts, the mixture and an oracle on clips with known genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes; best clips that weren't trained on.
        y : array-like of shape (n_clips,)
            Their genres, all among ``classes_``.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips.

        Returns
        -------
        scores : pandas.DataFrame
            A row per expert, one for the mixture and one for the oracle, which is right where
            any expert is. The columns: accuracy; log_loss; disagreement, the share of clips on
            which the expert's answer isn't the mixture's; weight, the mean weight of the expert;
            and ``weight[<genre>]``, its mean weight on clips of each genre. NaN where a column
            means nothing. ``scores.attrs["mean_disagreement"]`` is the share of clips on which
            two experts give different answers, mean over pairs.

        Raises
        ------
        ValueError
            If `y` has genres that were not seen in ``fit``.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> X, y = load_wine(return_X_y=True)
        >>> experts = [("bayes", GaussianNB()), ("neighbours", KNeighborsClassifier())]
        >>> moe = MixtureOfExpertsClassifier(experts, "stacking").fit(X[::2], y[::2])
        >>> moe.score_experts(X[1::2], y[1::2])["accuracy"].round(2)
        expert
        bayes         0.93
        neighbours    0.73
        mixture       0.94
        oracle        0.98
        Name: accuracy, dtype: float64
        """
        check_is_fitted(self)
        true = TrainingClips.check(X, y, sample_weight, None, self.classes_)
        require_known(true.y, self.classes_)
        answers, bad = self._judge(X, self.on_error, "experts", "predict_proba", "weights")
        good = rows_to_score(true, bad)
        true = true.take(good)
        self._report(bad, "left out of the scores")
        expert_proba, proba, weights = (answer[good] for answer in answers)
        everyone = np.concatenate([expert_proba, proba[:, None]], axis=1)
        names = [name for name, _ in self._fitted()]
        y = np.searchsorted(self.classes_, true.y)
        return score_table(everyone, weights, y, self.classes_, names, true.weight)

    # From the user's clips to the predictions of the experts.

    def _check_X(
        self, X: Any, experts: list[Any], with_mixer: bool, *, reset: bool
    ) -> tuple[Any, Plan]:
        """Return clips validated, as Clips if they are audio, and which domains see them."""
        X = without_torch(X)
        kind = "batch" if isinstance(X, DomainBatch) else kind_of_clips(X)
        plan = plan_experts(experts, kind, with_mixer, self.mixer_domain)
        if reset and kind in ("batch", "paths"):  # which have no columns, and a batch no width
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
        if kind == "batch":
            return X, plan
        if kind == "paths" or plan.domains:  # which start from audio
            n_samples = plan.n_samples if plan.domains else 661_500
            return check_clips(self, X, kind=kind, path_samples=n_samples, reset=reset), plan
        if hasattr(X, "columns"):  # experts may choose columns by their names
            X = validate_data(self, X, reset=reset, skip_check_array=True)
            numbers = X.select_dtypes("number") if hasattr(X, "select_dtypes") else X  # not text
            numbers = check_array(numbers, ensure_all_finite=False, ensure_min_features=0)
            check_finite(numbers)
            return X, plan
        X = validate_data(self, X, allow_nd=True, reset=reset, ensure_all_finite=False)
        check_finite(X)
        return X, plan

    def _judge(
        self, X: Any, on_error: str, *questions: str
    ) -> tuple[list[NDArray[np.float64]], dict[int, str]]:
        """Return what the mixer ("predict_proba", "weights") or the "experts" say about each clip.

        In rows of bad clips it is NaN; and the bad clips.
        """
        check_is_fitted(self)
        self._validate_params()
        experts = self._fitted()
        with_mixer = self.mixer_.needs_clips and questions != ("experts",)
        X, plan = self._check_X(X, experts, with_mixer, reset=False)
        verbose = self.verbose if len(X) >= _MANY_CLIPS else 0
        views, of_mixer, good, bad = view_clips(self, X, experts, plan, on_error, verbose)
        shape = len(experts), len(self.classes_)
        shapes = {"experts": shape, "weights": shape[:1], "predict_proba": shape[1:]}
        answers = [np.full((len(X), *shapes[question]), np.nan) for question in questions]
        if len(good):
            proba = expert_proba_of(experts, views, self.classes_)
            for question, answer in zip(questions, answers):
                ask = None if question == "experts" else getattr(self.mixer_, question)
                answer[good] = ask(proba, of_mixer) if ask else proba
        return answers, bad

    def _fitted(self) -> list[tuple[str, Any]]:
        return [(n, e) for n, e in self.named_experts_.items() if not isinstance(e, str)]

    def _assemble(self, experts: Any, mixer: BaseMixer, classes: NDArray) -> Any:
        """Become a fitted mixture of these parts."""
        named = dict(experts)
        self.experts_ = list(named.values())
        self.named_experts_ = Bunch(**{n: named.get(n, "drop") for n, _ in self._experts()})
        self.classes_ = classes
        self.mixer_ = mixer
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixer_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        # A few clips don't train a network.
        tags.classifier_tags.poor_score = True
        return tags

    # Experts and mixer as parts of one estimator: parameters, metadata, seeds, display.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return self._get_params("experts", deep=deep and not isinstance(self.experts, dict))

    def set_params(self, **params: Any) -> MixtureOfExpertsClassifier:
        """Set parameters of the mixture, its experts and its mixer.

        Parameters
        ----------
        **params : dict
            Names and values, for example ``harmonic__cnnclassifier__lr=1e-3``,
            ``harmonic="drop"`` or ``mixer__max_epochs=10``. Setting something inside a default
            (the experts None, the mixer a name) puts the objects that it stands for in its place.

        Returns
        -------
        self : MixtureOfExpertsClassifier
            The mixture.
        """
        if isinstance(params.get("experts", self.experts), tuple):  # scikit-learn replaces in lists
            params["experts"] = list(params.get("experts", self.experts))
        heads = {name.partition("__")[0] for name in params}
        if params.get("experts", self.experts) is None and heads - {*self.get_params(deep=False)}:
            params["experts"] = default_experts()
        mixer = params.get("mixer", self.mixer)
        if isinstance(mixer, str) and any(name.startswith("mixer__") for name in params):
            params["mixer"] = make_mixer(mixer)
        self._set_params("experts", **params)
        return self

    @property
    def _is_prefit(self) -> bool:
        """Whether the experts come fitted."""
        return isinstance(self.cv, str) and self.cv == "prefit"

    def _experts(self) -> Any:
        return default_experts() if self.experts is None else self.experts

    def _check_experts(self) -> list[tuple[str, Any]]:
        """Return the experts that aren't dropped; raise if these or their names make no sense."""
        experts = self._experts()
        kept = check_experts(experts)
        names = [name for name, _ in experts]
        self._validate_names(names)
        if {*names} & {*_RESERVED}:
            raise ValueError(f"experts are named {names}; names must not be among {_RESERVED}.")
        return kept

    def _seed(self, experts: list[tuple[str, Any]], mixer: BaseMixer) -> int | None:
        """Hand `random_state` on to experts and mixer; return the seed of the hold-out."""
        if self.random_state is None:
            return None
        rng = check_random_state(self.random_state)
        names = [name for name, _ in self._experts()]
        # An expert's seed depends on its place alone: dropping another one leaves it unchanged.
        seeds = dict(zip(names, rng.randint(np.iinfo(np.int32).max, size=len(names))))
        for name, expert in experts:
            seed_missing(expert, seeds[name])
        seed_missing(mixer, rng.randint(np.iinfo(np.int32).max))
        return int(rng.randint(np.iinfo(np.int32).max))

    def get_metadata_routing(self) -> MetadataRouter:
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        for name, expert in [] if self._is_prefit else check_experts(self._experts()):
            router.add(**{name: expert}, method_mapping=to_fit)
        return router.add(
            cv=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split")
        )

    def _sk_visual_block_(self) -> _VisualBlock:
        given = self._experts() if isinstance(self.experts, (list, tuple, type(None))) else []
        pairs = [pair for pair in given if isinstance(pair, (list, tuple))]
        names, experts = zip(*pairs) if pairs else ((), ())
        return _VisualBlock(
            "serial",
            (
                _VisualBlock("parallel", experts, names=names, dash_wrapped=False),
                _VisualBlock("parallel", [self.mixer], names=["mixer"], dash_wrapped=False),
            ),
            dash_wrapped=False,
        )
