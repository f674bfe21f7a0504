"""The steps of a gated recurrent unit over a clip, compiled for the CPU.

With hidden state :math:`h_t` of H units and projected input :math:`x_t`, a GRU computes

.. math::
    r &= \\sigma(x^r_t + W^r h_{t-1}) \\\\
    z &= \\sigma(x^z_t + W^z h_{t-1}) \\\\
    q &= W^n h_{t-1} + b^n \\\\
    n &= \\tanh(x^n_t + r q) \\\\
    h_t &= n + z (h_{t-1} - n)

in thousands of steps that wait for each other, each of them tiny: the overhead of a step
decides. Here a step is three matrix products by blocks of 4 x 4 in registers and a few loops
that compile to vector instructions, without a library call or an allocation.

Each function runs one direction. Arrays are ordered by frame, clip and unit: `gates`
(3, n_frames, n_clips * H) holds r, z and n, `recurrent` (n_frames, n_clips * H) holds q, and
`hidden` (n_frames, n_clips, 2 H) the states of both directions side by side, as the next layer
takes them. H and n_clips are multiples of 4.
"""

from functools import partial

import numpy as np

from ..domains._compiled import compiled

# A multiplication and an addition may become one instruction; sums keep their order, so that
# results are reproducible.
_jit = partial(compiled, fastmath={"contract"})

_f = np.float32
_LOG2_E = _f(1.44269504088896341)
_LN2_HIGH = _f(0.693359375)
_LN2_LOW = _f(-2.12194440e-4)
# Adding and subtracting 1.5 * 2**23 rounds to an integer, whose bits then stand lowest.
_ROUND = _f(12582912.0)
_ONE_BITS = np.int32(127 << 23)


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
    power = np.empty(size, np.float32)
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
        _sigmoid(r, power)
        _sigmoid(z, power)
        for i in range(size):
            # tanh(x) = 2 sigmoid(2 x) - 1
            n[i] = _f(2.0) * (n[i] + r[i] * q[i])
        _sigmoid(n, power)
        for i in range(size):
            new = _f(2.0) * n[i] - _f(1.0)
            h[i] = new + z[i] * (h[i] - new)
            n[i] = new
        for clip in range(n_clips):
            hidden[t, clip, first : first + n_units] = state[clip]


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
    """Add left @ right to out, for shapes (4 a, 4 b) @ (4 b, c)."""
    for row in range(0, left.shape[0], 4):
        for k in range(0, left.shape[1], 4):
            a00, a01, a02, a03 = _four(left[row], k)
            a10, a11, a12, a13 = _four(left[row + 1], k)
            a20, a21, a22, a23 = _four(left[row + 2], k)
            a30, a31, a32, a33 = _four(left[row + 3], k)
            for j in range(out.shape[1]):
                b0, b1, b2, b3 = right[k, j], right[k + 1, j], right[k + 2, j], right[k + 3, j]
                out[row, j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out[row + 1, j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out[row + 2, j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out[row + 3, j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@_jit
def _four(row, k):
    return row[k], row[k + 1], row[k + 2], row[k + 3]


@_jit
def _sigmoid(x, power):
    """Replace x by 1/(1 + exp(-x)); `power` is a buffer of the same size.

    The exponential is that of the Cephes library, exp(v) = 2**k exp(r) with a polynomial for
    exp(r), to a relative error of 2e-7. A library's exponential would be a call per value.
    """
    bits = power.view(np.int32)
    for i in range(len(x)):
        v = min(max(-x[i], _f(-87.0)), _f(87.0))
        rounded = v * _LOG2_E + _ROUND
        k = rounded - _ROUND
        rest = v - k * _LN2_HIGH - k * _LN2_LOW
        p = _f(1.9875691500e-4)
        p = p * rest + _f(1.3981999507e-3)
        p = p * rest + _f(8.3334519073e-3)
        p = p * rest + _f(4.1665795894e-2)
        p = p * rest + _f(1.6666665459e-1)
        p = p * rest + _f(5.0000001201e-1)
        x[i] = p * rest * rest + rest + _f(1.0)
        power[i] = rounded
    for i in range(len(x)):
        bits[i] = (bits[i] << np.int32(23)) + _ONE_BITS
    for i in range(len(x)):
        x[i] = _f(1.0) / (_f(1.0) + x[i] * power[i])
