"""Quaternions (w, x, y, z) and matrices over leading batch axes, in float64 unless given otherwise."""

import numpy as np


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product of quaternions [..., 4]."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=np.result_type(a, b))
    product[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    product[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    product[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    product[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return product


def inverse(q: np.ndarray) -> np.ndarray:
    """The conjugate of unit quaternions [..., 4]."""
    return q * np.array([1.0, -1.0, -1.0, -1.0], dtype=q.dtype)


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] turned by unit quaternions [..., 4]."""
    axis = q[..., 1:]
    twice = 2.0 * cross(axis, v)
    return v + q[..., :1] * twice + cross(axis, twice)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product of vectors [..., 3]; several times faster than NumPy's on many short vectors."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=np.result_type(a, b))
    product[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    product[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    product[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The shortest rotation [..., 4] that takes unit vectors a to unit vectors b [..., 3].

    Opposite ones leave the axis open; it is then a fixed one, square to `a`.
    """
    q = np.empty((*np.broadcast_shapes(a.shape, b.shape)[:-1], 4))
    q[..., 0] = 1.0 + (a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])
    q[..., 1:] = cross(a, b)
    # Below a thousandth of a degree from opposite, rounding would choose the axis.
    opposite = q[..., 0] < 1e-10
    if opposite.any():
        q[opposite] = _half_turn(np.broadcast_to(a, b.shape)[opposite])
    return normalise(q)


def _half_turn(a: np.ndarray) -> np.ndarray:
    """A half turn [n, 4] about an axis square to each of a [n, 3]."""
    along_x = np.abs(a[:, :1]) > 0.5
    axis = cross(a, np.where(along_x, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]))
    return np.concatenate([np.zeros_like(axis[:, :1]), axis], axis=-1)


def normalise(v: np.ndarray) -> np.ndarray:
    """Vectors of length one; a zero vector stays zero instead of becoming NaN."""
    squares = v[..., 0] * v[..., 0]
    for index in range(1, v.shape[-1]):
        squares = squares + v[..., index] * v[..., index]
    length = np.sqrt(squares)[..., None]
    return v / np.where(length > 0, length, 1.0)


def about(axis: str, angle: np.ndarray | float) -> np.ndarray:
    """Quaternions [..., 4] that turn by `angle` radians about "x", "y" or "z"."""
    half = np.asarray(angle, dtype=np.float64) / 2.0
    q = np.zeros((*half.shape, 4))
    q[..., 0] = np.cos(half)
    q[..., 1 + "xyz".index(axis)] = np.sin(half)
    return q


def matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def six_numbers(q: np.ndarray) -> np.ndarray:
    """The continuous 6-D form [..., 6]: the first two columns of the matrix, one after the other (Zhou et al. 2019)."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    columns = np.empty((*q.shape[:-1], 6), dtype=q.dtype)
    columns[..., 0] = 1 - 2 * (y * y + z * z)
    columns[..., 1] = 2 * (x * y + w * z)
    columns[..., 2] = 2 * (x * z - w * y)
    columns[..., 3] = 2 * (x * y - w * z)
    columns[..., 4] = 1 - 2 * (x * x + z * z)
    columns[..., 5] = 2 * (y * z + w * x)
    return columns
