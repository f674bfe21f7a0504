"""A bidirectional GRU layer that runs thousands of frames fast on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .._parallel import one_torch_thread
from ._gru_kernels import run_backward, run_forward, run_prediction

_T = TypeVar("_T")

# The compiled kernels take clips and units by fours.
_BLOCK = 4


class BidirectionalGRU(nn.GRU):
    """One bidirectional GRU layer, the same function and parameters as torch's.

    On the CPU, steps run in compiled kernels. Where gradients are recorded, both directions run at
    the same time; where they aren't, the states of a clip depend neither on its neighbours nor on
    the number of clips. Elsewhere, and for gradients by a number of units that isn't a multiple
    of 4, torch's own layer runs.

    Parameters
    ----------
    n_inputs : int
        Features of a frame.
    hidden_size : int
        Units of each direction.

    Examples
    --------
    >>> states, last = BidirectionalGRU(96, 64)(torch.zeros(30, 2, 96))
    >>> states.shape, last.shape
    (torch.Size([30, 2, 128]), torch.Size([2, 128]))
    """

    def __init__(self, n_inputs: int, hidden_size: int) -> None:
        super().__init__(n_inputs, hidden_size, bidirectional=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Run the layer.

        Parameters
        ----------
        x : Tensor of shape (n_frames, n_clips, n_inputs)
            Clips, frame by frame.

        Returns
        -------
        states : Tensor of shape (n_frames, n_clips, 2 * hidden_size)
            The states of both directions after each frame.
        last : Tensor of shape (n_clips, 2 * hidden_size)
            The state of each direction after its last frame.
        """
        n_clips = x.shape[1]
        compiled = x.device.type == "cpu" and x.dtype == torch.float32
        if compiled and not torch.is_grad_enabled():
            return self._predict(x)
        if not compiled or self.hidden_size % _BLOCK:
            # Autocast would run it in half precision on CUDA, where gradients that fade over
            # the frames turn zero.
            with torch.autocast("cuda", enabled=False):
                states, last = super().forward(x.to(self._stacked("bias_ih").dtype))
            return states, torch.cat([last[0], last[1]], dim=1)
        if n_clips % _BLOCK:
            x = F.pad(x, (0, 0, 0, -n_clips % _BLOCK))
        states, last = _Layer.apply(
            x,
            *(self._stacked(name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        )
        return states[:, :n_clips], last[:n_clips]

    def _predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n_frames, n_clips, n_inputs = x.shape
        n_units = self.hidden_size
        # Clips, inputs and units of zeros fill the blocks; such a unit stays at zero.
        more_inputs, more_units = -n_inputs % _BLOCK, -n_units % _BLOCK
        if more_inputs or n_clips % _BLOCK:
            x = F.pad(x, (0, more_inputs, 0, -n_clips % _BLOCK))
        x = x.contiguous()
        weights = [
            F.pad(self._stacked(name), (0, more, 0, more_units))
            .view(2, -1, size + more)
            .transpose(1, 2)
            .contiguous()
            .numpy()
            for name, size, more in (
                ("weight_ih", n_inputs, more_inputs),
                ("weight_hh", n_units, more_units),
            )
        ]
        bias_ih, bias_hh = (
            F.pad(self._stacked(name), (0, more_units)).view(2, 3, -1)
            for name in ("bias_ih", "bias_hh")
        )
        bias = (bias_ih + bias_hh * torch.tensor([1.0, 1.0, 0.0])[:, None]).view(2, -1)
        states = torch.empty(n_frames, x.shape[1], 2 * (n_units + more_units))
        for d in (0, 1):
            run_prediction(
                x.numpy(),
                *(weight[d] for weight in weights),
                bias[d].numpy(),
                bias_hh[d, 2].numpy(),
                states.numpy(),
                d,
            )
        states = states.view(n_frames, -1, 2, n_units + more_units)[:, :n_clips, :, :n_units]
        last = torch.cat([states[-1, :, 0], states[0, :, 1]], dim=1)
        return states.flatten(2), last

    def _stacked(self, name: str) -> torch.Tensor:
        """Return a parameter of both directions and the gates r, z, n of each: (6, H, ...)."""
        both = torch.cat([getattr(self, f"{name}_l0"), getattr(self, f"{name}_l0_reverse")])
        return both.view(6, self.hidden_size, *both.shape[1:])


class _Layer(torch.autograd.Function):
    """Both directions of a layer; weights come as :meth:`BidirectionalGRU._stacked` has them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias_ih: torch.Tensor,
        bias_hh: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_frames, n_clips, n_inputs = x.shape
        n_units = weight_hh.shape[1]
        x = x.reshape(1, -1, n_inputs)
        # The recurrent bias of n is multiplied by r and can't be added beforehand.
        bias = bias_ih + bias_hh * torch.tensor([1.0, 1.0, 0.0] * 2)[:, None]
        gates = torch.empty(6, n_frames * n_clips, n_units)
        recurrent = torch.empty(2, n_frames, n_clips * n_units)
        states = torch.empty(n_frames, n_clips, 2 * n_units)

        def run(d: int) -> None:
            mine = slice(3 * d, 3 * d + 3)
            torch.baddbmm(
                bias[mine, None],
                x.expand(3, -1, -1),
                weight_ih[mine].transpose(1, 2),
                out=gates[mine],
            )
            run_forward(
                gates[mine].view(3, n_frames, -1).numpy(),
                recurrent[d].numpy(),
                states.numpy(),
                weight_hh[mine].transpose(1, 2).contiguous().numpy(),
                bias_hh[3 * d + 2].numpy(),
                d,
            )

        _in_both_directions(run)
        last = torch.cat([states[-1, :, :n_units], states[0, :, n_units:]], dim=1)
        ctx.save_for_backward(x, weight_ih, weight_hh, states)
        ctx.buffers = gates, recurrent
        ctx.set_materialize_grads(False)
        return states, last

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: torch.Tensor | None, grad_last: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        x, weight_ih, weight_hh, states = ctx.saved_tensors
        if ctx.buffers is None:
            raise RuntimeError("This layer overwrites its activations: go back through it once.")
        (gates, recurrent), ctx.buffers = ctx.buffers, None
        n_frames, n_clips, width = states.shape
        n_units = width // 2
        if grad_states is None:
            grad_states = torch.empty(0, 0, 0)
        if grad_last is None:
            grad_last = torch.zeros(n_clips, width)
        of_states = grad_states.contiguous().numpy()
        of_last = grad_last.view(n_clips, 2, n_units).transpose(0, 1).contiguous().numpy()
        grad_weight_ih, grad_weight_hh = torch.empty_like(weight_ih), torch.empty_like(weight_hh)
        grad_bias_ih, grad_bias_hh = torch.empty(6, n_units), torch.empty(6, n_units)

        def run(d: int) -> torch.Tensor | None:
            mine = slice(3 * d, 3 * d + 3)
            run_backward(
                gates[mine].view(3, n_frames, -1).numpy(),
                recurrent[d].numpy(),
                states.numpy(),
                weight_hh[mine].contiguous().numpy(),
                of_states,
                of_last[d],
                d,
            )
            # `gates` and `recurrent` now hold the gradients of what goes into them.
            if d == 0:
                before, rows = states[:-1, :, :n_units], slice(n_clips, None)
            else:
                before, rows = states[1:, :, n_units:], slice(None, -n_clips)
            into_state = gates[3 * d], gates[3 * d + 1], recurrent[d].view(-1, n_units)
            for gate, grad in enumerate(into_state, start=3 * d):
                grad_weight_hh[gate] = grad[rows].T @ before.reshape(-1, n_units)
                grad_bias_hh[gate] = grad.sum(dim=0)
            for gate in range(3 * d, 3 * d + 3):
                grad_weight_ih[gate] = gates[gate].T @ x[0]
                grad_bias_ih[gate] = gates[gate].sum(dim=0)
            if not ctx.needs_input_grad[0]:
                return None
            grad_x = gates[3 * d] @ weight_ih[3 * d]
            for gate in (3 * d + 1, 3 * d + 2):
                grad_x.addmm_(gates[gate], weight_ih[gate])
            return grad_x

        of_x = [grad for grad in _in_both_directions(run) if grad is not None]
        grad_x = (of_x[0] + of_x[1]).view(n_frames, n_clips, -1) if of_x else None
        return grad_x, grad_weight_ih, grad_weight_hh, grad_bias_ih, grad_bias_hh


def _in_both_directions(run: Callable[[int], _T]) -> list[_T]:
    """Call a function for both directions, by a thread each if torch may use them.

    The threads use no others for their matrix products: on a machine with other work, threads
    that wait for each other after each product cost more time than they save.
    """

    @torch.no_grad()
    def run_one(d: int) -> _T:
        return run(d)

    if torch.get_num_threads() == 1:
        return [run_one(0), run_one(1)]
    with ThreadPoolExecutor(2, initializer=one_torch_thread) as pool:
        return list(pool.map(run_one, (0, 1)))
