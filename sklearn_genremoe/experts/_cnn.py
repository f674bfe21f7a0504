"""The CNN expert as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Integral, Real
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.callbacks import Callback, LRScheduler

from .._checks import (
    check_classes,
    check_groups,
    check_labels,
    single_column,
    unchanged_on_error,
)
from .._clips import MAX_AMPLITUDE, check_finite, kind_of_clips, without_torch
from .._compat import Interval, _check_partial_fit_first_call
from .._fields import Count, NonNegative, Positive, with_init
from ..domains import DomainBatch
from ..networks import (
    K2C2,
    ClipDataset,
    GenreNet,
    LearningRate,
    NetEstimator,
    ValidationStopping,
    merge_duplicates,
    resolve_pool_sizes,
    split_validation,
)

Share = Annotated[float, Interval(Real, 0, 1, closed="left")]

# Epochs without improvement that early_stopping=True waits for.
_PATIENCE = 10


@with_init
class CNNClassifier(ClassifierMixin, NetEstimator):
    r"""Convolutional network that tells genres apart in one kind of spectrogram.

    The paper's expert [1]_, "k2c2": blocks of convolution 3 x 3, batch normalisation, ELU and
    max-pooling, then one dense layer with softmax, :math:`h(x) \in [0, 1]^K`. It is trained to
    minimise :math:`-\log h_y(x)` by Adam (epsilon 1e-7) with the learning rate

    .. math:: \eta_t = \frac{\eta_0}{1 + d\,t}

    for update :math:`t = 0, 1, \ldots` A skorch net does the training and stays at hand as
    ``net_``.

    That is the paper's recipe. :func:`~sklearn_genremoe.default_experts` has another one, for a
    few hundred clips, which begins with ``architecture="statistics_pooling"``.

    Training is defined on the *multiset* of clips. The order of the clips in `X` doesn't matter,
    a clip that is there twice counts as one with weight two, and one with weight zero as absent.

    Parameters
    ----------
    channels : sequence of int, default=(64, 128, 128, 192, 256)
        Filters of each block; their number is the number of blocks.
    pool_sizes : "auto" or sequence of (int, int), default="auto"
        Pooling over bins and frames in each block. "auto" gives the paper's pools for the
        paper's three shapes (96 x 1292, 96 x 646, 60 x 1292) and a reduction of any other shape
        to one value per filter. For statistics over time, "auto" halves the frames in each
        block, and no block pools over frames that would leave a single one. For mixed channels,
        "auto" is (1, 1), (2, 2), and then (4, 1).
    architecture : {"k2c2", "statistics_pooling", "channel_mixing"}, default="k2c2"
        The paper's network, or one for few clips: each bin of each channel is shifted and scaled
        to mean 0 and deviation 1 over the training clips; convolutions are padded; blocks pool
        before they normalise, so that what ELU sees has mean zero, with running statistics that
        settle ten times faster. With "statistics_pooling" the dense layer sees mean, maximum and
        deviation over time of each filter. "channel_mixing" is for clips with channels, such as
        those of a filter bank: the convolution of the first block is 1 x 1, and the dense layer
        sees mean and deviation over time of each filter in each of the bins that are left.
    center_bins : bool, default=False
        Whether to take the mean over time off each bin of a clip (spectral mean subtraction),
        and with it the colour of the recording. Of a clip of a single frame nothing would be
        left: it stays as it is.
    crop_frames : int or None, default=None
        Train on random stretches of that many frames, drawn anew in every epoch, and average the
        probabilities of windows of that length, overlapping by half, in prediction. None, or
        more than there are, takes whole clips.
    dropout : float, default=0.0
        Share of the inputs of the dense layer that is set to zero in training, in [0, 1).
    lr : float, default=5e-3
        Learning rate of the first update.
    lr_decay : float, default=1e-2
        Decay per update.
    schedule : {"inverse_time", "one_cycle"}, default="inverse_time"
        Learning rate over the updates: as above, or up to `lr` and down to nothing once per
        fit [2]_, and `lr_decay` is not used.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW) of kernels and dense weights, as a factor of the learning
        rate.
    label_smoothing : float, default=0.0
        Share of the target that is spread over all classes, in [0, 1).
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss. "balanced" gives every class the same total weight.
    validation_fraction : float or None, default=None
        Share of the clips, between 0 and 1, that is held out to watch the loss on: stratified by
        class, and by whole groups where `fit` is given `groups`. None trains on everything.
    early_stopping : bool or int, default=False
        Whether to stop when the loss on the held-out clips has not improved for 10 epochs, or
        for the given number of epochs, and to keep the network of the best epoch. Needs
        `validation_fraction`.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Passed on to the net, after its own. A :class:`skorch.callbacks.LRScheduler` takes the
        place of `schedule`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of bins, or of channels where clips have some.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` was 2-D with names.
    input_shape_ : tuple of int
        Bins and frames, or channels, bins and frames.
    n_iter_ : int
        Number of epochs so far.

    See Also
    --------
    sklearn_genremoe.MixtureOfExpertsClassifier : Combines experts on several feature domains.
    sklearn_genremoe.paper_experts : Four of these experts, as in the paper.

    References
    ----------
    .. [1] Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music
       Genre Classification", APSIPA 2019.
    .. [2] Smith, Topin, "Super-convergence: Very fast training of neural networks using large
       learning rates", 2018.

    Examples
    --------
    Clips whose power lies in the upper or in the lower half of 16 bins:

    >>> import numpy as np
    >>> from sklearn_genremoe import CNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["high", "low"], 20)
    >>> X = rng.normal(size=(40, 16, 30))
    >>> X[:20, 8:] += 1
    >>> X[20:, :8] += 1
    >>> clf = CNNClassifier(channels=(8, 8), max_epochs=5, random_state=0).fit(X, y)
    >>> clf.predict(X[[0, -1]])
    array(['high', 'low'], dtype='<U4')
    """

    channels: Sequence[int] = (64, 128, 128, 192, 256)
    pool_sizes: Literal["auto"] | Sequence[tuple[int, int]] = "auto"
    _: KW_ONLY
    architecture: Literal["k2c2", "statistics_pooling", "channel_mixing"] = "k2c2"
    center_bins: bool = False
    crop_frames: Count | None = None
    dropout: Share = 0.0
    lr: Positive = 5e-3
    lr_decay: NonNegative = 1e-2
    schedule: Literal["inverse_time", "one_cycle"] = "inverse_time"
    weight_decay: NonNegative = 0.0
    label_smoothing: Share = 0.0
    class_weight: dict[Any, float] | Literal["balanced"] | None = None
    validation_fraction: Annotated[float, Interval(Real, 0, 1, closed="neither")] | None = None
    early_stopping: bool | Annotated[int, Interval(Integral, 0, None, closed="left")] = False
    callbacks: list[Callback] | tuple[Callback, ...] | None = None

    _network = K2C2

    # groups come without a request, as for scikit-learn's own group splitters.
    __metadata_request__fit = {"groups": True}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # networks need more than the checks' few samples
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> CNNClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_bins, n_frames), (n_clips, n_channels, n_bins, \
                n_frames) or (n_clips, n_features)
            Spectrograms, maybe of several channels; two dimensions are taken as spectrograms of
            one frame. A memory-mapped array is read batch by batch. Also a DomainBatch of one
            domain.
        y : array-like of shape (n_clips,)
            Labels, of any kind.
        sample_weight : array-like of shape (n_clips,) or None, default=None
            Weights of the clips. Zero is the same as leaving the clip out, an integer the same
            as repeating it.
        groups : array-like of shape (n_clips,) or None, default=None
            For each clip the group, for example its track or artist, that must not be divided
            by `validation_fraction`. Not used without that.

        Returns
        -------
        self : CNNClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If the clips, labels or parameters can't be used, or the training diverges.
        KeyboardInterrupt
            If the user interrupts; the classifier is unfitted then.
        """
        with unchanged_on_error(self):
            self._check_params(watch=self.validation_fraction is not None)
            clips = self._check_clips(X, reset=True)
            y, weight = check_labels(clips, y, sample_weight)
            self.classes_, self.input_shape_ = check_classes(y[weight > 0]), clips.shape[1:]
            dataset = self._distinct(clips, y, weight)
            net = self._new_net(self._module())
            validation = None
            if self.validation_fraction is not None:
                if groups is not None:
                    _, codes = np.unique(check_groups(groups, len(clips)), return_inverse=True)
                    groups = codes[dataset.rows]
                learn, watch = split_validation(
                    dataset.y, self.validation_fraction, groups, net.seed, self.classes_
                )
                dataset, validation = dataset.take(learn), dataset.take(watch)
        return self._train(net, dataset, self.max_epochs, validation)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> CNNClassifier:
        """Train one more epoch, on these clips.

        Parameters
        ----------
        X : array-like of shape (n_clips, ...)
            Spectrograms, as for `fit`.
        y : array-like of shape (n_clips,)
            Labels.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that may occur. Needed in the first call, not afterwards.
        sample_weight : array-like of shape (n_clips,) or None, default=None
            Weights of the clips.

        Returns
        -------
        self : CNNClassifier
            The classifier.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all clips at once; give partial_fit a dict."
            )
        with unchanged_on_error(self):
            if classes is not None:
                classes = single_column(classes, "classes", "one label each")
            first = _check_partial_fit_first_call(self, classes)
            check_classes(self.classes_)
            self._check_params(watch=False)
            clips = self._check_clips(X, reset=first)
            y, weight = check_labels(clips, y, sample_weight)
            unknown = np.setdiff1d(y, self.classes_)
            if len(unknown):
                known = self.classes_.tolist()
                raise ValueError(f"y has the labels {unknown.tolist()}, but classes are {known}.")
            self.input_shape_ = clips.shape[1:]
            dataset = self._distinct(clips, y, weight)
            module = self._module()
            if not first:
                before = self.net_.get_params_for("module")
                changed = [n for n in before if n != "dropout" and module[n] != before[n]]
                if changed:
                    names = ", ".join(changed).replace("input_shape", "crop_frames")
                    raise ValueError(
                        f"The training goes on with the network of before, for which {names} can't "
                        "change. Set it back, or start anew by fit."
                    )
            net = self._new_net(module) if first else self._continued(module)
        return self._train(net, dataset, 1)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, ...)
            Spectrograms, as for `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return softmax(self._predict_logits(X), axis=1)

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, ...)
            Spectrograms, as for `fit`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_clips, n_classes)
            Finite also where the probability rounds to zero.
        """
        return log_softmax(self._predict_logits(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_clips, ...)
            Spectrograms, as for `fit`.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Labels.
        """
        best = self._predict_logits(X).argmax(axis=1)
        return self.classes_[best]

    def _predict_logits(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self._logits(self._check_clips(X, reset=False))

    def _check_params(self, watch: bool) -> None:
        """Raise a ValueError if a parameter is wrong; `watch` says whether clips are held out."""
        self._validate_params()
        if self.early_stopping and self.validation_fraction is None:
            raise ValueError(
                "early_stopping watches the loss on held-out clips: set validation_fraction, for "
                "example to 0.1."
            )
        for callback in self._callbacks():
            monitor = getattr(callback, "monitor", None)
            if not watch and isinstance(monitor, str) and monitor.startswith("valid_"):
                raise ValueError(
                    f"callbacks hold {type(callback).__name__}, which watches {monitor!r}, but no "
                    "clips are held out: use fit with validation_fraction, for example 0.1, or "
                    "watch 'train_loss'."
                )

    def _callbacks(self) -> list[Any]:
        """Return the user's callbacks without their names."""
        entries = self.callbacks or ()
        return [e[1] if isinstance(e, tuple) and len(e) == 2 else e for e in entries]

    def _check_clips(self, X: Any, reset: bool) -> NDArray[Any]:
        """Return finite spectrograms (n_clips, [n_channels,] n_bins, n_frames), best not copied."""
        name = type(self).__name__
        if isinstance(X, DomainBatch):
            if len(X.names) != 1:
                raise ValueError(
                    f"{name} takes one domain: pass batch[{X.names[0]!r}] or another of {X!r}."
                )
            X = X[X.names[0]]
        X = without_torch(X)
        is_numeric = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
        if not is_numeric and kind_of_clips(X) == "paths":
            raise ValueError(
                f"X holds paths, but {name} starts from spectrograms: put a domain before it, for "
                f"example make_pipeline(LogMelSpectrogram(), {name}())."
            )
        if not reset and self.input_shape_[-1] > 1 and np.shape(X) == self.input_shape_:
            raise ValueError(
                f"X has the shape {self.input_shape_} of a single clip, but {name} is expecting "
                "several: give X[np.newaxis]."
            )
        X = validate_data(self, X, reset=reset, allow_nd=True, ensure_all_finite=False)
        X = X[:, :, np.newaxis] if X.ndim == 2 else X
        found = f"X has {X.ndim} dimensions, with clips of shape {X.shape[1:]}, but {name} is"
        if X.ndim not in (3, 4) or 0 in X.shape:
            raise ValueError(
                f"{found} expecting spectrograms, ([channels,] bins, frames), or a table, with at "
                "least one bin and frame."
            )
        if not reset and X.shape[1:] != self.input_shape_:
            raise ValueError(f"{found} expecting clips of shape {self.input_shape_} as in fit.")
        peak = check_finite(X)
        if peak > MAX_AMPLITUDE:
            raise ValueError(
                f"X holds values of up to {peak:.1e}, too large to be squared in single precision; "
                "give spectrograms in dB or scaled, or leave damaged clips out."
            )
        return X

    def _module(self) -> dict[str, Any]:
        """Return the arguments of the network, whose pools are resolved."""
        *before, n_frames = self.input_shape_
        shape = (*before, min(n_frames, self.crop_frames or n_frames))
        pools = resolve_pool_sizes(shape, self.channels, self.pool_sizes, self.architecture)
        return {
            "n_classes": len(self.classes_),
            "input_shape": shape,
            "channels": tuple(int(count) for count in self.channels),
            "pool_sizes": pools,
            "dropout": self.dropout,
            "architecture": self.architecture,
            "center_bins": self.center_bins,
        }

    def _net_settings(self, module: dict[str, Any]) -> dict[str, Any]:
        callbacks: list[Any] = list(self.callbacks or [])
        kinds = [each if isinstance(each, type) else type(each) for each in self._callbacks()]
        if self.early_stopping:
            patience = _PATIENCE if self.early_stopping is True else int(self.early_stopping)
            stopping = ValidationStopping(patience=patience, threshold=0, load_best=True)
            callbacks.insert(0, stopping)
        if not any(issubclass(kind, LRScheduler) for kind in kinds):
            decay = None if self.schedule == "one_cycle" else self.lr_decay
            callbacks.insert(0, LearningRate(self.lr, decay))
        return {
            "callbacks": callbacks,
            "criterion": torch.nn.CrossEntropyLoss,
            "criterion__reduction": "none",
            "criterion__label_smoothing": self.label_smoothing,
            "optimizer__param_groups": [
                (name, {"weight_decay": self.weight_decay})
                for name in ("blocks.*.conv.weight", "head.weight")
            ],
            "classes": range(module["n_classes"]),
            "crop_frames": module["input_shape"][-1],
        }

    def _distinct(
        self, clips: NDArray[Any], y: NDArray[Any], weight: NDArray[np.float64]
    ) -> ClipDataset:
        """Return the distinct clips with their weights."""
        n_classes = len(self.classes_)
        # Labels of clips without weight may be unknown; those clips drop out below.
        encoded = np.minimum(np.searchsorted(self.classes_, y), n_classes - 1)
        if self.class_weight == "balanced":
            totals = np.bincount(encoded, weight, n_classes)
            weight = weight * (totals.sum() / (n_classes * totals))[encoded]
        elif self.class_weight is not None:
            factors = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_
            )
            if not 0 <= factors.min() <= factors.max() < np.inf:
                raise ValueError(
                    f"class_weight={self.class_weight} has to hold finite factors >= 0."
                )
            weight = weight * factors[encoded]
        rows, weights = merge_duplicates([clips], encoded, weight)
        if not len(rows):
            raise ValueError("class_weight leaves no clip with a weight above zero.")
        return ClipDataset(clips, encoded[rows], rows, weights)

    def _train(
        self, net: GenreNet, dataset: ClipDataset, epochs: int, validation: Any = None
    ) -> CNNClassifier:
        """Train, and be unfitted if that doesn't come to its end."""
        try:
            scaling = cast(K2C2, net.module_).scaling
            if scaling is not None:
                scaling.observe(*dataset.bin_statistics())
            net.train(dataset.on(net.device), epochs, validation)
        except BaseException:
            for name in [name for name in vars(self) if name.endswith("_")]:
                delattr(self, name)
            raise
        self.net_ = net
        self.history_ = net.history
        self.n_iter_ = len(net.history)
        return self
