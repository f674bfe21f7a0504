"""The mixture of experts as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import Bunch, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn_compat import (
    _BaseComposition,
    _check_feature_names_in,
    _check_method_params,
    _check_sample_weight,
    _routing_enabled,
    _safe_indexing,
    _VisualBlock,
)
from ..audio._clips import check_clips, kind_of_clips
from ..domains import DomainBatch
from ._base import BaseMixer
from ._checks import MIXERS, check_experts, make_mixer
from ._cross_fitting import (
    classes_of_prefit,
    fit_experts,
    opinions_of,
    seed_missing,
    weight_params,
)
from ._paper import paper_experts
from ._splits import check_cv_value, make_splits
from ._views import look_at, n_path_samples


class MixtureOfExpertsClassifier(
    ClassifierMixin, TransformerMixin, MetaEstimatorMixin, _BaseComposition
):
    r"""Several experts, each with its own view of a clip, and a mixer that weighs them.

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x)

    The experts :math:`h_m` are trained on the clips, usually convolutional networks on
    different feature domains; the mixer :math:`g` decides, clip by clip, how much to trust
    each of them. Whatever the number of experts, each clip is decoded and analysed once.

    Parameters
    ----------
    experts : list of (str, estimator), default=None
        Names and classifiers with ``predict_proba``, usually pipelines that begin with a
        feature domain. ``"drop"`` in place of a classifier leaves it out. None means
        :func:`~sklearn_genremoe.paper_experts`: original, harmonic, percussive, modulation.
    mixer : {"balanced", "cnn", "rnn", "log_pool", "stacking"} or mixer, default="rnn"
        How the opinions become one: the plain average (the paper's MoEB), a gate that looks
        at the clip (MoEC, MoER), the geometric mean, or logistic regression.
    mixer_domain : BaseDomain, str or None, default=None
        In which domain a gate looks at the clips: a domain, or the name of an expert (that
        expert's domain) or of an entry of a DomainBatch. None is the original spectrogram, or
        `X` itself if it holds spectrograms.
    cv : int, float, "train", "prefit", splitter or iterable, default=5
        Which opinions the mixer learns from.

        - int: out of fold. Each expert is trained on all folds but one and judges that one;
          stratified, and with `groups` no group stands on both sides.
        - splitter or iterable of (train, test) rows: likewise. A genre that is missing among
          the clips that an expert learned from gets the probability zero.
        - float: experts are trained on a part, and judge a share of that size that is held
          out; stratified, groups kept whole.
        - "train": the experts judge the clips that they were trained on, as in the paper.
          They look better there than they are, and the mixer believes it.
        - "prefit": the experts come fitted, and judge the clips given to ``fit``.

        Mixers that learn nothing skip this.
    refit : bool, default=True
        Whether experts are trained on all clips after they were cross-fitted. If not, the
        models of the folds are kept: the opinion of an expert is their average, or that of
        the one model that was trained without the hold-out.
    memory : str, Path or joblib.Memory, default=None
        Where to keep extracted features. See :class:`~sklearn_genremoe.DomainUnion`.
    n_jobs : int, default=None
        Number of jobs for the extraction and for the training of experts and folds. None is 1
        unless in a :func:`joblib.parallel_config` context, -1 means all cores.
    random_state : int, RandomState instance or None, default=None
        Determines every `random_state` that is None in experts and mixer, and the hold-out.
        With an int, two fits are equal, whatever `n_jobs`.
    verbose : int, default=0
        Above zero, show progress bars.

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
    n_features_in_ : int
        Samples per clip, or bins of spectrograms; not set by fitting on a DomainBatch.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, if `X` was a data frame whose columns have names.

    See Also
    --------
    paper_experts : The paper's four experts.
    sklearn.ensemble.StackingClassifier : Mixes without looking at the clip.

    Notes
    -----
    Sample weights go to every expert and to the mixer; a clip of weight zero counts as absent.

    References
    ----------
    .. [1] Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for
       Music Genre Classification", APSIPA 2019.
    .. [2] R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton, "Adaptive mixtures of local
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

    # Groups reach fit without a request, as they reach scikit-learn's group splitters.
    __metadata_request__fit = {"groups": True}

    def __init__(
        self,
        experts: Any = None,
        mixer: Any = "rnn",
        *,
        mixer_domain: Any = None,
        cv: Any = 5,
        refit: bool = True,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.experts = experts
        self.mixer = mixer
        self.mixer_domain = mixer_domain
        self.cv = cv
        self.refit = refit
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the mixture, its experts and its mixer.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the experts by name and all nested parameters.

        Returns
        -------
        params : dict
            Names and values.
        """
        return self._get_params("experts", deep=deep)

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
        heads = {name.partition("__")[0] for name in params}
        if params.get("experts", self.experts) is None and heads - {*self.get_params(deep=False)}:
            params["experts"] = paper_experts()
        mixer = params.get("mixer", self.mixer)
        nested = any(name.startswith("mixer__") for name in params)
        if nested and isinstance(mixer, str) and mixer in MIXERS:
            params["mixer"] = make_mixer(mixer)
        self._set_params("experts", **params)
        return self

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **params: Any,
    ) -> MixtureOfExpertsClassifier:
        """Train the experts, and the mixer on their opinions.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips: paths, waveforms (n_clips, n_samples), spectrograms (n_clips, n_bins,
            n_frames), or extracted domains. From a DomainBatch an expert takes the domain that
            it begins with, or the entry of its name.
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
            If an expert, the mixer or `cv` isn't known, there are fewer clips of a genre than
            folds, all clips are of one genre, or a clip can't be read.
        TypeError
            If an expert isn't a classifier with ``predict_proba``.
        """
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # an interrupted fit leaves nothing that looks fitted
        experts, mixer = check_experts(self._experts()), make_mixer(self.mixer)
        check_cv_value(self.cv)
        prefit = isinstance(self.cv, str) and self.cv == "prefit"
        X = self._check_X(X, experts, reset=True)
        y, weight, groups = _check_targets(X, y, sample_weight, groups)
        routed = self._route(experts, weight, groups, params)
        kept = None
        if weight is not None and not weight.all():
            kept = np.flatnonzero(weight)
            X = _safe_indexing(X, kept)
            routed = {name: _check_method_params(y, given, kept) for name, given in routed.items()}
            groups = None if groups is None else groups[kept]
            y, weight = y[kept], weight[kept]
        classes = classes_of_prefit(experts, y) if prefit else _classes_of(y)
        if not prefit:
            experts = [(name, clone(expert)) for name, expert in experts]
        split_seed = self._seed([] if prefit else experts, mixer)
        splits = []
        if mixer.needs_fit and not isinstance(self.cv, str):
            splits = make_splits(
                self.cv,
                X,
                y,
                groups=groups,
                params=routed["cv"],
                kept=kept,
                random_state=split_seed,
            )
        views, clips = self._look_at(X, experts, mixer.needs_clips)
        if prefit:
            fitted = [expert for _, expert in experts]
        else:
            fitted, opinions, judged = fit_experts(
                experts,
                views,
                y,
                classes,
                routed,
                splits,
                refit=self.refit,
                n_jobs=self.n_jobs,
                verbose=self.verbose,
            )
        if mixer.needs_fit:
            if not splits:
                opinions, judged = opinions_of(fitted, views, classes), np.arange(len(y))
            all_in_order = np.array_equal(judged, np.arange(len(y)))
            mixer.fit(
                opinions,
                np.searchsorted(classes, y[judged]),
                clips if clips is None or all_in_order else clips[judged],
                sample_weight=None if weight is None else weight[judged],
            )
        return self._assemble([name for name, _ in experts], fitted, mixer, classes)

    # Prediction

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the mixture's probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``; rows sum to one.
        """
        return self.mixer_.predict_proba(*self._judge(X))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the mixture's probability of each genre.

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

    def predict(self, X: Any) -> NDArray:
        """Return the most probable genre of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Genres.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

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
        return self._judge(X, with_clips=False)[0]

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
        return self.mixer_.weights(*self._judge(X))

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the opinions of the experts side by side.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        opinions : ndarray of shape (n_clips, n_experts * n_classes)
            The probabilities of the first expert, then those of the second, and so on.
        """
        opinions = self.expert_predict_proba(X)
        return opinions.reshape(len(opinions), -1)

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

    # Helpers

    def _experts(self) -> Any:
        return paper_experts() if self.experts is None else self.experts

    def _fitted(self) -> list[tuple[str, Any]]:
        return [(name, expert) for name, expert in self.named_experts_.items() if expert != "drop"]

    def _assemble(
        self, names: list[str], fitted: list[Any], mixer: BaseMixer, classes: NDArray
    ) -> MixtureOfExpertsClassifier:
        """Become a fitted mixture of these parts."""
        named = dict(zip(names, fitted))
        self.experts_ = fitted
        self.named_experts_ = Bunch(
            **{name: named.get(name, "drop") for name, _ in self._experts()}
        )
        self.classes_ = classes
        self.mixer_ = mixer
        return self

    def _check_X(self, X: Any, experts: list[tuple[str, Any]], *, reset: bool) -> Any:
        """Return paths as an array, numbers checked, and a DomainBatch as it is."""
        if isinstance(X, DomainBatch):
            if X.bad_clips:
                raise ValueError(
                    f"The DomainBatch has clips without features: {X.bad_clips}. Leave them out: "
                    "batch[rows] with the other rows, and the same rows of y."
                )
            return X
        if kind_of_clips(X) == "spectrograms":
            return validate_data(self, X, allow_nd=True, reset=reset)
        clips = check_clips(self, X, path_samples=n_path_samples(experts), reset=reset)
        if clips.paths is None:
            return clips.waveforms
        return np.array(clips.paths, dtype=object)

    def _look_at(self, X: Any, experts: list[tuple[str, Any]], with_clips: bool) -> Any:
        return look_at(
            X,
            experts,
            with_clips=with_clips,
            mixer_domain=self.mixer_domain,
            memory=self.memory,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )

    def _judge(self, X: Any, with_clips: bool = True) -> tuple[NDArray, NDArray | None]:
        """Return the opinions of the fitted experts, and the clips if the mixer looks at them."""
        check_is_fitted(self)
        experts = self._fitted()
        X = self._check_X(X, experts, reset=False)
        views, clips = self._look_at(X, experts, with_clips and self.mixer_.needs_clips)
        return opinions_of(self.experts_, views, self.classes_), clips

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

    def _route(
        self,
        experts: list[tuple[str, Any]],
        weight: NDArray | None,
        groups: NDArray | None,
        params: dict[str, Any],
    ) -> dict[str, dict[str, Any]]:
        """Return the metadata for each expert's fit, by name, and for the splitter, as "cv"."""
        if _routing_enabled():
            routed = process_routing(self, "fit", sample_weight=weight, groups=groups, **params)
            split = {key: value for key, value in routed["cv"]["split"].items() if key != "groups"}
            return {**{name: routed[name]["fit"] for name, _ in experts}, "cv": split}
        if params:
            raise TypeError(
                f"fit got the unexpected arguments {sorted(params)}; other metadata than "
                "sample_weight and groups needs sklearn.set_config(enable_metadata_routing=True)."
            )
        if isinstance(self.cv, str) and self.cv == "prefit":
            weight = None
        return {**{name: weight_params(name, expert, weight) for name, expert in experts}, "cv": {}}

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes where.

        Returns
        -------
        routing : MetadataRouter
            To the ``fit`` of each expert and the ``split`` of `cv`. The mixture itself takes
            ``sample_weight``, for the mixer, and ``groups``.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        for name, expert in self._experts():
            if not isinstance(expert, str):
                router.add(**{name: expert}, method_mapping=to_fit)
        return router.add(
            cv=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split")
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixer_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        # A few clips don't train a network.
        tags.classifier_tags.poor_score = True
        return tags

    def _sk_visual_block_(self) -> _VisualBlock:
        names, experts = zip(*self._experts())
        return _VisualBlock(
            "serial",
            (
                _VisualBlock("parallel", experts, names=names, dash_wrapped=False),
                _VisualBlock("parallel", [self.mixer], names=["mixer"], dash_wrapped=False),
            ),
            dash_wrapped=False,
        )


def _check_targets(
    X: Any, y: Any, sample_weight: Any, groups: Any
) -> tuple[NDArray, NDArray | None, NDArray | None]:
    """Return genres, weights and groups as arrays of one entry per clip."""
    if y is None:
        raise ValueError(
            "MixtureOfExpertsClassifier requires y to be passed, but the target y is None."
        )
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    check_classification_targets(y)
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
    if groups is not None:
        groups = column_or_1d(groups)
        check_consistent_length(y, groups)
    return y, weight, groups


def _classes_of(y: NDArray) -> NDArray:
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"All clips are of one class, {classes[0]!s}; a classifier needs clips of at least "
            "two genres."
        )
    return classes
