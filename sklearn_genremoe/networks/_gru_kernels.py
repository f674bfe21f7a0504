"""The steps of a gated recurrent unit over a clip, compiled for the CPU.

With hidden state :math:`h_t` of H units and projected input :math:`x_t`, a GRU computes

.. math::
    r &= \\sigma(x^r_t + W^r h_{t-1}) \\\\
    z &= \\sigma(x^z_t + W^z h_{t-1}) \\\\
    q &= W^n h_{t-1} + b^n \\\\
    n &= \\tanh(x^n_t + r q) \\\\
    h_t &= n + z (h_{t-1} - n)

in thousands of steps that wait for each other, each of them tiny: the overhead of a step
decides. Here a step is matrix products by blocks of 4 x 4 in registers and a loop that compiles
to vector instructions, without a library call or an allocation.

Each function runs one direction. Arrays are ordered by frame, clip and unit: in training, `gates`
(3, n_frames, n_clips * H) holds r, z and n, `recurrent` (n_frames, n_clips * H) holds q, and
`hidden` (n_frames, n_clips, 2 H) the states of both directions side by side, as the next layer
takes them. H and n_clips are multiples of 4.
"""

from functools import partial

import numpy as np

from .._compat import compiled

# A multiplication and an addition may become one instruction; sums keep their order, so that
# results are reproducible.
_jit = partial(compiled, fastmath={"contract"})

_f = np.float32
# Gradients below it count as none.
_NEGLIGIBLE = _f(1e-25)
# Frames whose input is projected at a time in prediction: few enough to stay in the cache.
_CHUNK = 32


@_jit
def run_forward(gates, recurrent, hidden, weight, bias, direction):
    """Run a layer over all frames in one direction.

    Parameters
    ----------
    gates : ndarray of shape (3, n_frames, n_clips * H)
        The projected input, replaced by r, z and n.
    recurrent : ndarray of shape (n_frames, n_clips * H)
        Filled with q.
    hidden : ndarray of shape (n_frames, n_clips, 2 H)
        The half of this direction is filled with h.
    weight : ndarray of shape (3, H, H)
        The recurrent weights of r, z and n, each transposed.
    bias : ndarray of shape (H,)
        The recurrent bias of n; those of r and z are part of the projected input.
    direction : int
        0 for forward, 1 for backward in time.
    """
    n_frames, n_clips, _ = hidden.shape
    n_units = len(bias)
    size = n_clips * n_units
    first = direction * n_units
    state = np.zeros((n_clips, n_units), np.float32)
    sums = np.empty((3, n_clips, n_units), np.float32)
    biases = np.empty((n_clips, n_units), np.float32)
    biases[:] = bias
    # Loops run over the units of all clips at once, through flat views.
    h, b = state.reshape(-1), biases.reshape(-1)
    sum_r, sum_z, sum_n = sums[0].reshape(-1), sums[1].reshape(-1), sums[2].reshape(-1)
    for step in range(n_frames):
        t = n_frames - 1 - step if direction else step
        sums[:] = _f(0.0)
        for gate in range(3):
            _multiply(sums[gate], state, weight[gate])
        r, z, n, q = gates[0, t], gates[1, t], gates[2, t], recurrent[t]
        for i in range(size):
            r[i] += sum_r[i]
            z[i] += sum_z[i]
            q[i] = sum_n[i] + b[i]
        for i in range(size):
            r[i] = _sigmoid(r[i])
            z[i] = _sigmoid(z[i])
            n[i] = _tanh(n[i] + r[i] * q[i])
            h[i] = n[i] + z[i] * (h[i] - n[i])
        for clip in range(n_clips):
            hidden[t, clip, first : first + n_units] = state[clip]


@_jit
def run_prediction(x, weight_ih, weight_hh, bias, bias_n, hidden, direction):
    """Run a layer over all frames in one direction and keep nothing but the states.

    All arithmetic is in the loops here, projections included, so that the states of a clip
    are the same whatever the other clips are and however many. The gates r, z and n stand side
    by side.

    Parameters
    ----------
    x : ndarray of shape (n_frames, n_clips, n_inputs)
        The input; n_inputs is a multiple of 4.
    weight_ih : ndarray of shape (n_inputs, 3 H)
        The input weights, transposed.
    weight_hh : ndarray of shape (H, 3 H)
        The recurrent weights, transposed.
    bias : ndarray of shape (3 H,)
        The biases, without the recurrent one of n.
    bias_n : ndarray of shape (H,)
        The recurrent bias of n.
    hidden : ndarray of shape (n_frames, n_clips, 2 H)
        The half of this direction is filled with h.
    direction : int
        0 for forward, 1 for backward in time.
    """
    n_frames, n_clips, n_inputs = x.shape
    n_units = len(bias_n)
    first = direction * n_units
    state = np.zeros((n_clips, n_units), np.float32)
    projected = np.empty((_CHUNK * n_clips, 3 * n_units), np.float32)
    recurrent = np.empty((n_clips, 3 * n_units), np.float32)
    biases = np.zeros((n_clips, 3 * n_units), np.float32)
    biases[:, 2 * n_units :] = bias_n
    for done in range(0, n_frames, _CHUNK):
        size = min(_CHUNK, n_frames - done)
        start = n_frames - done - size if direction else done
        rows = projected[: size * n_clips]
        rows[:] = bias
        _multiply(rows, x[start : start + size].reshape(size * n_clips, n_inputs), weight_ih)
        for step in range(size):
            i = size - 1 - step if direction else step
            recurrent[:] = biases
            _multiply(recurrent, state, weight_hh)
            for clip in range(n_clips):
                p, q, h = rows[i * n_clips + clip], recurrent[clip], state[clip]
                for j in range(n_units):
                    r = _sigmoid(p[j] + q[j])
                    z = _sigmoid(p[n_units + j] + q[n_units + j])
                    n = _tanh(p[2 * n_units + j] + r * q[2 * n_units + j])
                    h[j] = n + z * (h[j] - n)
                hidden[start + i, clip, first : first + n_units] = h


@_jit
def run_backward(gates, recurrent, hidden, weight, grad_hidden, grad_last, direction):
    """Run the derivative of :func:`run_forward` back over all frames.

    Parameters
    ----------
    gates : ndarray of shape (3, n_frames, n_clips * H)
        r, z and n, replaced by the gradients of the projected input.
    recurrent : ndarray of shape (n_frames, n_clips * H)
        q, replaced by its gradient.
    hidden : ndarray of shape (n_frames, n_clips, 2 H)
        h.
    weight : ndarray of shape (3, H, H)
        The recurrent weights of r, z and n, not transposed.
    grad_hidden : ndarray of shape (n_frames, n_clips, 2 H) or (0, 0, 0)
        The gradients of the states of all frames, where those are used.
    grad_last : ndarray of shape (n_clips, H)
        The gradient of the last state of this direction.
    direction : int
        0 for forward, 1 for backward in time.
    """
    n_frames, n_clips, _ = hidden.shape
    n_units = grad_last.shape[1]
    size = n_clips * n_units
    first = direction * n_units
    grad = grad_last.copy()
    before = np.empty((n_clips, n_units), np.float32)
    d, h = grad.reshape(-1), before.reshape(-1)
    for step in range(n_frames):
        t = step if direction else n_frames - 1 - step
        is_first = step == n_frames - 1
        previous = t + 1 if direction else t - 1
        for clip in range(n_clips):
            if is_first:
                before[clip] = _f(0.0)
            else:
                before[clip] = hidden[previous, clip, first : first + n_units]
            if len(grad_hidden):
                row, more = grad[clip], grad_hidden[t, clip, first : first + n_units]
                for j in range(n_units):
                    row[j] += more[j]
        r, z, n, q = gates[0, t], gates[1, t], gates[2, t], recurrent[t]
        for i in range(size):
            # Gradients fade over the frames. Below the least normal number, arithmetic would take
            # many times as long, for contributions that no sum would notice.
            d[i] = d[i] if abs(d[i]) > _NEGLIGIBLE else _f(0.0)
            d_n = d[i] * (_f(1.0) - z[i]) * (_f(1.0) - n[i] * n[i])
            d_z = d[i] * (h[i] - n[i]) * z[i] * (_f(1.0) - z[i])
            d_r = d_n * q[i] * r[i] * (_f(1.0) - r[i])
            d[i] *= z[i]
            q[i] = d_n * r[i]
            r[i] = d_r
            z[i] = d_z
            n[i] = d_n
        if not is_first:
            shape = (n_clips, n_units)
            _multiply(grad, r.reshape(shape), weight[0])
            _multiply(grad, z.reshape(shape), weight[1])
            _multiply(grad, q.reshape(shape), weight[2])


@_jit
def _multiply(out, left, right):
    """Add left @ right to out, for shapes (4 a, 4 b) @ (4 b, c).

    Each sum is taken in the order of b, one product at a time: a row of the result depends on
    its own row of `left` only, down to the last bit, wherever it stands and beside whatever.
    """
    for row in range(0, left.shape[0], 4):
        out0, out1, out2, out3 = out[row], out[row + 1], out[row + 2], out[row + 3]
        for k in range(0, left.shape[1], 4):
            a00, a01, a02, a03 = _four(left[row], k)
            a10, a11, a12, a13 = _four(left[row + 1], k)
            a20, a21, a22, a23 = _four(left[row + 2], k)
            a30, a31, a32, a33 = _four(left[row + 3], k)
            for j in range(out.shape[1]):
                b0, b1, b2, b3 = right[k, j], right[k + 1, j], right[k + 2, j], right[k + 3, j]
                out0[j] = out0[j] + a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out1[j] = out1[j] + a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out2[j] = out2[j] + a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out3[j] = out3[j] + a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@_jit
def _four(row, k):
    return row[k], row[k + 1], row[k + 2], row[k + 3]


@_jit
def _sigmoid(x):
    return _f(0.5) + _f(0.5) * _tanh(_f(0.5) * x)


@_jit
def _tanh(x):
    """Return tanh(x) to a relative error of 4e-7, in operations that exist for vectors.

    x P(x^2) / Q(x^2) with both polynomials of degree 4, fitted to the smallest relative error
    (2e-8 before rounding) up to 9; from there on tanh is 1 in float32.
    """
    x = min(max(x, _f(-9.0)), _f(9.0))
    s = x * x
    above = _f(1.3354552130806496e-8)
    above = above * s + _f(2.0609000785043463e-5)
    above = above * s + _f(3.495583077892661e-3)
    above = above * s + _f(1.3381020724773407e-1)
    above = above * s + _f(1.0)
    below = _f(7.776512802593061e-7)
    below = below * s + _f(3.2856263169087470e-4)
    below = below * s + _f(2.5876963511109352e-2)
    below = below * s + _f(4.6714335680007935e-1)
    below = below * s + _f(1.0)
    return x * above / below
