"""The mixture of experts as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Bunch

from .._memmap import Rows
from ._base import BaseMixer
from ._checks import check_experts, make_mixer
from ._composition import ExpertComposition
from ._cross_fitting import classes_of_prefit, fit_experts, opinions_of
from ._prediction import MixturePrediction
from ._splits import check_cv_value, make_splits
from ._training_clips import TrainingClips
from ._views import check_X


class MixtureOfExpertsClassifier(
    ClassifierMixin,
    MetaEstimatorMixin,
    MixturePrediction,
    ExpertComposition,
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
        :func:`~sklearn_genremoe.default_experts`: five networks and two linear models;
        :func:`~sklearn_genremoe.paper_experts` are those of the paper.
    mixer : {"balanced", "cnn", "rnn", "log_pool", "stacking"} or mixer, default="stacking"
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
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` was a data frame whose columns have names.

    See Also
    --------
    paper_experts : The paper's four experts.
    sklearn.ensemble.StackingClassifier : Mixes without looking at the clip.

    Notes
    -----
    Sample weights go to every expert and to the mixer; a clip of weight zero counts as absent.

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

    def __init__(
        self,
        experts: Any = None,
        mixer: Any = "stacking",
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
            If an expert, the mixer or `cv` isn't known, there are fewer clips of a genre than
            folds, all clips are of one genre, or a clip can't be read.
        TypeError
            If an expert isn't a classifier with ``predict_proba``.
        """
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # an interrupted fit leaves nothing that looks fitted
        experts = check_experts(self._experts(), reserved=self.get_params(deep=False))
        mixer = make_mixer(self.mixer)
        check_cv_value(self.cv)
        self._validate_params()
        prefit = isinstance(self.cv, str) and self.cv == "prefit"
        X = check_X(self, X, experts, reset=True)
        clips = TrainingClips.check(X, y, sample_weight, groups)
        clips.params = self._route(experts, clips.weight, clips.groups, params)
        clips = clips.present()
        if prefit:
            classes = classes_of_prefit(experts, clips.y)
        else:
            classes = clips.check_classes()
            experts = [(name, clone(expert)) for name, expert in experts]
        split_seed = self._seed([] if prefit else experts, mixer)
        splits = []
        if mixer.needs_fit and not isinstance(self.cv, str):
            splits = make_splits(self.cv, clips, split_seed)
        views, seen_by_mixer = self._look_at(clips.X, experts, mixer.needs_clips)
        if prefit:
            fitted = [expert for _, expert in experts]
        else:
            fitted, opinions, judged = fit_experts(
                experts, views, clips, classes, splits, self.refit, self.n_jobs, self.verbose
            )
        if mixer.needs_fit:
            if not splits:
                opinions, judged = opinions_of(fitted, views, classes), np.arange(len(clips.y))
            mixer.fit(
                opinions,
                np.searchsorted(classes, clips.y[judged]),
                None if seen_by_mixer is None else Rows(seen_by_mixer, judged).array(),
                sample_weight=None if clips.weight is None else clips.weight[judged],
            )
        return self._assemble([name for name, _ in experts], fitted, mixer, classes)

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

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixer_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        # A few clips don't train a network.
        tags.classifier_tags.poor_score = True
        return tags
