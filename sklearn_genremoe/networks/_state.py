"""A fitted net as numbers and arrays, and back: what travels in pickle, joblib and skops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ._net import GenreNet, resolve_device


def net_state(net: GenreNet) -> dict[str, Any]:
    """Return what a fitted net consists of as lists, dicts, numbers and arrays.

    Parameters
    ----------
    net : GenreNet
        An initialized net.

    Returns
    -------
    state : dict
        The arguments of its module, the module's parameters and buffers, what the optimizer
        remembers of each parameter, the history and the seed. Arrays are copies.
    """
    remembered = net.optimizer_.state
    return {
        "module": net.get_params_for("module"),
        "parameters": {name: _array(value) for name, value in net.module_.state_dict().items()},
        "optimizer": {
            name: {key: _array(value) for key, value in remembered[parameter].items()}
            for name, parameter in net.module_.named_parameters()
            if parameter in remembered
        },
        "history": [dict(epoch) for epoch in net.history],
        "seed": net.seed,
    }


def restore_net(net: GenreNet, state: dict[str, Any]) -> GenreNet:
    """Initialize a net from the state of another.

    Parameters
    ----------
    net : GenreNet
        A net that is not initialized. What it trains by stays as it is; the arguments of its
        module and its seed become those of the state. If this machine lacks its device, it goes
        to the CPU.
    state : dict
        As :func:`net_state` returns it. Only "module" and "parameters" have to be there.

    Returns
    -------
    net : GenreNet
        The net; it predicts, and goes on to train, as the other one would.

    Raises
    ------
    ValueError
        If the parameters are not those of the module.
    """
    try:
        device = resolve_device(net.device)
    except ValueError:
        device = torch.device("cpu")
    arguments = {f"module__{name}": value for name, value in state["module"].items()}
    net.set_params(device=str(device), seed=state.get("seed", net.seed), **arguments)
    with torch.device("meta"):  # where it takes no memory, however large it claims to be
        _require_shapes(net.module(**net.get_params_for("module")), state["parameters"])
    net.initialize()
    # A copy: torch would write into the array, which may be read-only.
    tensors = {name: torch.tensor(value) for name, value in state["parameters"].items()}
    net.module_.load_state_dict(tensors)
    for name, remembered in state.get("optimizer", {}).items():
        parameter = net.module_.get_parameter(name)
        net.optimizer_.state[parameter] = {
            # Adam counts its steps on the CPU.
            key: torch.tensor(value, device=device if np.ndim(value) else "cpu")
            for key, value in remembered.items()
        }
    net.history.extend(dict(epoch) for epoch in state.get("history", []))
    net.module_.eval()
    return net


def _require_shapes(module: torch.nn.Module, parameters: dict[str, Any]) -> None:
    """Raise a ValueError that names what differs from the parameters of a module."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: np.shape(array) for name, array in parameters.items()}
    differing = sorted(
        f"{name}: found {found.get(name, 'none')}, expected {wanted.get(name, 'none')}"
        for name in found.keys() | wanted.keys()
        if found.get(name) != wanted.get(name)
    )
    if differing:
        raise ValueError(
            f"The parameters don't fit the network: {'; '.join(differing[:3])} "
            f"({len(differing)} differ in all)."
        )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), order="C")
