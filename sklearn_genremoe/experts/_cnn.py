"""The CNN expert as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from .._validation import check_classes, check_groups, check_labels
from ..networks import (
    K2C2,
    ClipDataset,
    GenreNet,
    merge_duplicates,
    net_state,
    predict_logits,
    restore_net,
    split_validation,
)
from ._augment import Mixup
from ._checks import check_parameters, check_spectrograms
from ._recipe import make_net

Augmentation = Callable[[torch.Tensor, np.random.Generator], torch.Tensor] | Mixup


class CNNClassifier(ClassifierMixin, BaseEstimator):
    r"""Convolutional network that tells genres apart in one kind of spectrogram.

    The paper's expert [1]_, "k2c2": blocks of convolution 3 x 3, batch normalisation, ELU and
    max-pooling, then one dense layer with softmax, :math:`h(x) \in [0, 1]^K`. It is trained to
    minimise :math:`-\log h_y(x)` by Adam (epsilon 1e-7) with the learning rate

    .. math:: \eta_t = \frac{\eta_0}{1 + d\,t}

    for update :math:`t = 0, 1, \ldots` A skorch net does the training and stays at hand as
    ``net_``.

    That is the paper's recipe. The parameters from `padding` on are those of another one, for a
    few hundred clips, which :func:`~sklearn_genremoe.default_experts` puts together.

    Training is defined on the *multiset* of clips. The order of the clips in `X` doesn't matter,
    a clip that is there twice counts as one with weight two, and one with weight zero as absent.

    Parameters
    ----------
    channels : sequence of int, default=(64, 128, 128, 192, 256)
        Filters of each block; their number is the number of blocks.
    pool_sizes : "auto" or sequence of (int, int), default="auto"
        Pooling over bins and frames in each block. "auto" gives the paper's pools for the
        paper's three shapes (96 x 1292, 96 x 646, 60 x 1292) and a reduction of any other shape
        to one value per filter.
    dropout : float, default=0.0
        Share of the inputs of the dense layer that is set to zero in training, in [0, 1).
    max_epochs : int, default=50
        Passes over the clips.
    batch_size : int, default=16
        Clips per update.
    lr : float, default=5e-3
        Learning rate of the first update.
    lr_decay : float, default=1e-2
        Decay per update.
    augment : callable, sequence of callable or None, default=None
        Applied to each training batch, one after the other:
        :class:`~sklearn_genremoe.experts.TimeMask`,
        :class:`~sklearn_genremoe.experts.FrequencyMask`,
        :class:`~sklearn_genremoe.experts.Mixup`, or a function of your own,
        ``augment(clips, rng)``, which takes a float32 tensor of shape (n_clips, n_bins,
        n_frames) and a :class:`numpy.random.Generator` and returns a tensor of the same shape.
    validation_fraction : float or None, default=None
        Share of the clips, between 0 and 1, that is held out to watch the loss on: stratified by
        class, and by whole groups where `fit` is given `groups`. None trains on everything.
    early_stopping : bool or int, default=False
        Whether to stop when the loss on the held-out clips has not improved for 10 epochs, or
        for the given number of epochs, and to keep the network of the best epoch. Needs
        `validation_fraction`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss. "balanced" gives every class the same total weight.
    device : str, default="auto"
        Where to train: "auto" takes CUDA, then MPS, then the CPU; or a torch device. On a GPU of
        the Ampere generation or later the network trains in mixed precision, and the clips stay
        on the GPU if they take less than half of its free memory.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Passed on to the net, after its own.
    warm_start : bool, default=False
        Whether `fit` goes on with the network of the last fit, for another `max_epochs`. The
        other parameters of the network and of the training stay those of the first fit.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network, the order of the clips, dropout, augmentation and the
        held-out clips. The same value gives the same network, in other processes too.
    verbose : int, default=0
        Above zero, show a progress bar.
    padding : {"valid", "same"}, default="valid"
        Padding of the convolutions: none, or zeros so that they keep the size.
    pooling : {"flatten", "statistics"}, default="flatten"
        What of the last block the dense layer sees: all of it, or mean, maximum and deviation
        over time of each filter.
    norm_momentum : float, default=0.01
        Weight of the newest batch in the running statistics of batch normalisation, in (0, 1].
        The paper's value needs some hundred updates to settle.
    pool_before_norm : bool, default=False
        Whether each block pools before it normalises, so that what ELU sees has mean zero. The
        maximum of normalised values lies mostly above, where ELU changes nothing.
    scale_bins : bool, default=False
        Whether to shift and scale each bin to mean 0 and deviation 1 over the training clips.
    center_bins : bool, default=False
        Whether to take the mean over time off each bin of a clip, and with it the colour of the
        recording.
    crop_frames : int or None, default=None
        Train on random stretches of that many frames, drawn anew in every epoch, and average the
        probabilities of windows of that length, overlapping by half, in prediction. None, or
        more than there are, takes whole clips.
    schedule : {"inverse_time", "one_cycle"}, default="inverse_time"
        Learning rate over the updates: as above, or up to `lr` and down to nothing once per
        fit [2]_, and `lr_decay` is not used.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW) of kernels and dense weights, as a factor of the learning
        rate.
    label_smoothing : float, default=0.0
        Share of the target that is spread over all classes, in [0, 1).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of bins.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` was 2-D with names.
    input_shape_ : tuple of (int, int)
        Bins and frames.
    net_ : skorch.NeuralNetClassifier
        The fitted net; ``net_.module_`` is the torch module, which returns logits.
    history_ : skorch.history.History
        For each epoch its losses and time.
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

    classes_: NDArray[Any]
    input_shape_: tuple[int, int]
    net_: GenreNet

    # groups come without a request, as for scikit-learn's own group splitters.
    __metadata_request__fit = {"groups": True}

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128, 192, 256),
        pool_sizes: str | Sequence[tuple[int, int]] = "auto",
        dropout: float = 0.0,
        max_epochs: int = 50,
        batch_size: int = 16,
        lr: float = 5e-3,
        lr_decay: float = 1e-2,
        augment: Augmentation | Sequence[Augmentation] | None = None,
        validation_fraction: float | None = None,
        early_stopping: bool | int = False,
        class_weight: Mapping[Any, float] | str | None = None,
        device: str = "auto",
        callbacks: Sequence[Callback] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        *,
        padding: str = "valid",
        pooling: str = "flatten",
        norm_momentum: float = 0.01,
        pool_before_norm: bool = False,
        scale_bins: bool = False,
        center_bins: bool = False,
        crop_frames: int | None = None,
        schedule: str = "inverse_time",
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        self.channels = channels
        self.pool_sizes = pool_sizes
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_decay = lr_decay
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.device = device
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.padding = padding
        self.pooling = pooling
        self.norm_momentum = norm_momentum
        self.pool_before_norm = pool_before_norm
        self.scale_bins = scale_bins
        self.center_bins = center_bins
        self.crop_frames = crop_frames
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # networks need more than the checks' few samples
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted

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
        X : array-like of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            Spectrograms; two dimensions are taken as spectrograms of one frame. A memory-mapped
            array is read batch by batch. Also a DomainBatch of one domain.
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
        previous = (self.net_, self.classes_) if self.warm_start and self._fitted else None
        with self._unfitted_on_error():
            check_parameters(self)
            clips = check_spectrograms(self, X, self.input_shape_ if previous else None)
            y, weight = check_labels(clips, y, sample_weight)
            self.classes_ = check_classes(y[weight > 0])
            if previous and not np.array_equal(previous[1], self.classes_):
                raise ValueError(
                    f"warm_start goes on with a network for the classes {previous[1].tolist()}, "
                    f"but y has {self.classes_.tolist()}. Set warm_start=False to start anew."
                )
            self.input_shape_ = clips.shape[1:]
            dataset, position = self._distinct(clips, y, weight)
            net = self._continued() if previous else self._new_net()
            validation = None
            if self.validation_fraction is not None:
                codes = None
                if groups is not None:
                    # A clip that came in several groups belongs to the first of them.
                    codes = np.full(len(dataset), np.iinfo(np.intp).max)
                    kept = position >= 0
                    numbers = np.unique(check_groups(groups, len(y)), return_inverse=True)[1]
                    np.minimum.at(codes, position[kept], numbers[kept])
                learn, watch = split_validation(
                    dataset.y, self.validation_fraction, codes, net.seed
                )
                dataset, validation = dataset.take(learn), dataset.take(watch)
            self._train(net, dataset, self.max_epochs, validation)
        return self

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
        X : array-like of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
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
                "class_weight='balanced' needs all clips at once, which partial_fit doesn't see: "
                "give the weights of the classes as a dict."
            )
        first = not self._fitted
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = self.classes_ if classes is None else np.unique(column_or_1d(classes))
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={known.tolist()} differ from those of before, {self.classes_.tolist()}."
            )
        check_parameters(self)
        clips = check_spectrograms(self, X, None if first else self.input_shape_)
        y, weight = check_labels(clips, y, sample_weight)
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(
                f"y has the labels {unknown.tolist()}, but classes are {known.tolist()}."
            )
        with self._unfitted_on_error():
            self.classes_, self.input_shape_ = known, clips.shape[1:]
            dataset, _ = self._distinct(clips, y, weight)
            net = self._new_net() if first else self._continued()
            self._train(net, dataset, 1)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            Spectrograms, as for `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return softmax(self._logits(X), axis=1)

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            Spectrograms, as for `fit`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_clips, n_classes)
            Natural logarithms, finite also where the probability rounds to zero.
        """
        return log_softmax(self._logits(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_bins, n_frames) or (n_clips, n_features)
            Spectrograms, as for `fit`.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Labels.
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def _logits(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        clips = check_spectrograms(self, X, self.input_shape_)
        logits = predict_logits(self.net_.module_, clips, torch.device(self.net_.device))
        return logits.astype(np.float64)

    @property
    def _fitted(self) -> bool:
        return hasattr(self, "net_")

    @contextmanager
    def _unfitted_on_error(self) -> Iterator[None]:
        """Take back all that fitting has set if it doesn't come to its end."""
        try:
            yield
        except BaseException:
            for name in [name for name in vars(self) if name.endswith("_")]:
                delattr(self, name)
            raise

    def _new_net(self) -> GenreNet:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return make_net(self, len(self.classes_), int(seed)).initialize()

    def _continued(self) -> GenreNet:
        """Return the net of before, with what the parameters say now about its training."""
        return restore_net(make_net(self, len(self.classes_)), net_state(self.net_))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if self._fitted:
            state["net_"] = net_state(self.net_)
            del state["history_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        net = state.get("net_")
        super().__setstate__({name: value for name, value in state.items() if name != "net_"})
        if net is not None:
            self.net_ = restore_net(make_net(self, len(self.classes_)), net)
            self.history_ = self.net_.history

    def _distinct(
        self, clips: NDArray[Any], y: NDArray[Any], weight: NDArray[np.float64]
    ) -> tuple[ClipDataset, NDArray[np.intp]]:
        """Return the distinct clips with their weights, and where each clip went."""
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
            weight = weight * factors[encoded]
        rows, weights, position = merge_duplicates([clips], encoded, weight)
        if not len(rows):
            raise ValueError("class_weight leaves no clip with a weight above zero.")
        return ClipDataset(clips, encoded[rows], rows, weights), position

    def _train(
        self, net: GenreNet, dataset: ClipDataset, epochs: int, validation: Any = None
    ) -> None:
        if self.scale_bins and not len(net.history):
            cast(K2C2, net.module_).set_bin_statistics(*dataset.bin_statistics())
        net.train(dataset.on(net.device), epochs, validation)
        self.net_ = net
        self.history_ = net.history
        self.n_iter_ = len(net.history)
