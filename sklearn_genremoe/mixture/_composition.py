"""The experts and the mixer as parts of one estimator: parameters, metadata, seeds, display."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .._sklearn_compat import _BaseComposition, _routing_enabled, _VisualBlock
from ..domains import BaseDomain
from ..experts import default_experts
from ._base import BaseMixer
from ._checks import MIXERS, make_mixer
from ._cross_fitting import group_params, seed_missing, weight_params


def _names_of(experts: Any) -> list[str]:
    """Return the names of experts, none for what isn't a list of pairs."""
    pairs = experts if isinstance(experts, (list, tuple)) else []
    return [pair[0] for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) == 2]


class ExpertComposition(_BaseComposition):
    """What an estimator that holds experts and a mixer owes to scikit-learn."""

    experts: Any
    mixer: Any
    cv: Any
    random_state: Any

    # Experts, mixer and cv have checks of their own.
    _parameter_constraints: dict[str, list[Any]] = {
        "mixer_domain": [BaseDomain, str, None],
        "refit": ["boolean"],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Groups reach fit without a request, as they reach scikit-learn's group splitters.
    __metadata_request__fit = {"groups": True}

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

    def set_params(self, **params: Any) -> ExpertComposition:
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
            params["experts"] = default_experts()
        mixer = params.get("mixer", self.mixer)
        nested = any(name.startswith("mixer__") for name in params)
        if nested and isinstance(mixer, str) and mixer in MIXERS:
            params["mixer"] = make_mixer(mixer)
        own = sorted(self.get_params(deep=False))
        names = _names_of(params.get("experts", self.experts))
        unknown = sorted(heads - {*own, *names})
        if unknown:
            raise ValueError(
                f"Invalid parameter {unknown[0]!r} for {type(self).__name__}: its experts are "
                f"{names}, its own parameters {own}."
            )
        self._set_params("experts", **params)
        return self

    def _experts(self) -> Any:
        return default_experts() if self.experts is None else self.experts

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
            return {
                **{name: routed[name]["fit"] for name, _ in experts},
                "cv": routed["cv"]["split"],
            }
        if params:
            raise TypeError(
                f"fit got the unexpected arguments {sorted(params)}; other metadata than "
                "sample_weight and groups needs sklearn.set_config(enable_metadata_routing=True)."
            )
        if isinstance(self.cv, str) and self.cv == "prefit":
            weight = None
        of_experts = {
            name: {**weight_params(name, expert, weight), **group_params(expert, groups)}
            for name, expert in experts
        }
        return {**of_experts, "cv": {}}

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
