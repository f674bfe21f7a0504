"""What a mixture accepts as its parts: experts and a mixer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sklearn.base import clone, is_classifier

from ._base import BaseMixer
from ._gates import CNNMixer, RNNMixer
from ._pools import BalancedMixer, LogPoolMixer
from ._stacking import StackingMixer

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
        "instance of a mixer, for example RNNMixer(max_epochs=20) or one of your own (a subclass "
        "of BaseMixer)."
    )


# Arguments of scikit-learn's beside which experts stand by their names, and other rows of scores.
_RESERVED = ("self", "method_mapping", "mixture", "oracle")


def check_experts(experts: Any, reserved: Collection[str] = ()) -> list[tuple[str, Any]]:
    """Return the experts that aren't dropped, or raise if the list makes no sense."""
    expected = "a list of (name, classifier) such as paper_experts() gives"
    if not isinstance(experts, (list, tuple)):
        raise ValueError(f"experts is {experts!r}; expected {expected}.")
    if not experts:
        raise ValueError(f"experts is empty; expected {expected}, with at least one entry.")
    for entry in experts:
        if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not isinstance(entry[0], str):
            raise ValueError(f"experts holds {entry!r}; expected {expected}.")
    names = [name for name, _ in experts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"The expert names {twice} stand for several experts; names are unique.")
    odd = sorted(name for name in names if "__" in name or name in {*reserved, *_RESERVED})
    if odd:
        raise ValueError(
            f"The expert names {odd} stand for something else in set_params: names must not "
            "contain '__' nor be one of the mixture's own parameters or of "
            f"{', '.join(map(repr, _RESERVED))}."
        )
    for name, expert in experts:
        if isinstance(expert, str) and expert == "drop":
            continue
        if isinstance(expert, type):
            raise TypeError(
                f"The expert {name!r} is the class {expert.__name__}; expected an instance, "
                f"{expert.__name__}()."
            )
        if not hasattr(expert, "fit") or not is_classifier(expert):
            raise TypeError(f"The expert {name!r} is {expert!r}; expected a classifier, or 'drop'.")
        if not hasattr(expert, "predict_proba"):
            raise TypeError(
                f"The expert {name!r}, {expert!r}, has no predict_proba, and a mixer needs "
                "probabilities: switch them on, or wrap the expert in CalibratedClassifierCV."
            )
    kept = [(name, expert) for name, expert in experts if not isinstance(expert, str)]
    if not kept:
        raise ValueError(f"All experts ({', '.join(names)}) are dropped; keep at least one.")
    return kept
