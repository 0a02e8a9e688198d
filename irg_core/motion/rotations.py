"""Quaternions (w, x, y, z) and matrices over leading batch axes, in float64 unless given otherwise.

Only sums, products, quotients and roots touch them, but in `about`, `slerp` and what says so.
"""

import numpy as np

Parts = tuple[np.ndarray, ...]
"""The components of vectors or quaternions, each an array of its own: what is fastest on very many of them."""


def parts(values: np.ndarray) -> Parts:
    """The components of values [..., n]."""
    return tuple(np.moveaxis(values, -1, 0))


def together(components: Parts) -> np.ndarray:
    """Values [..., n] of their components."""
    values = np.empty((*components[0].shape, len(components)), dtype=components[0].dtype)
    for index, component in enumerate(components):
        values[..., index] = component
    return values


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product of quaternions [..., 4]."""
    return together(product(parts(a), parts(b)))


def product(a: Parts, b: Parts) -> Parts:
    """The same by components."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


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
    return together(_crossed(parts(a), parts(b)))


def _crossed(a: Parts, b: Parts) -> Parts:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The shortest rotation [..., 4] that takes unit vectors a to unit vectors b [..., 3].

    Opposite ones leave the axis open; it is then a fixed one, square to `a`.
    """
    return together(shortest(parts(a[..., None, :]), parts(b[..., None, :])))[..., 0, :]


def shortest(a: Parts, b: Parts) -> Parts:
    """The same by components; those of a may be fewer, to be repeated."""
    whole = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + 1.0
    x, y, z = _crossed(a, b)
    # Below a thousandth of a degree from opposite, rounding would choose the axis.
    opposite = whole < 1e-10
    whole[opposite] = 1.0
    scale = 1.0 / np.sqrt(whole * whole + x * x + y * y + z * z)
    quaternions = whole * scale, x * scale, y * scale, z * scale
    if opposite.any():
        start = together(tuple(np.broadcast_to(part, whole.shape)[opposite] for part in a))
        for part, turned in zip(quaternions, parts(normalise(_half_turn(start))), strict=True):
            part[opposite] = turned
    return quaternions


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


def from_matrix(turned: np.ndarray) -> np.ndarray:
    """Unit quaternions [..., 4] of rotation matrices [..., 3, 3]."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (np.moveaxis(turned[..., row, :], -1, 0) for row in range(3))
    # Four times the products of one component with all; that of the largest component is the safest.
    w, x, y, z = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    products = np.stack([
        together((w, zy - yz, xz - zx, yx - xy)), together((zy - yz, x, yx + xy, xz + zx)),
        together((xz - zx, yx + xy, y, zy + yz)), together((yx - xy, xz + zx, zy + yz, z)),
    ])  # fmt: skip
    largest = np.argmax(np.stack([w, x, y, z]), axis=0)
    return normalise(np.take_along_axis(products, largest[None, ..., None], axis=0)[0])


def six_numbers(q: np.ndarray) -> np.ndarray:
    """The continuous 6-D form [..., 6]: the first two columns of the matrix, one after the other (Zhou et al. 2019)."""
    return together(columns(parts(q)))


def columns(q: Parts) -> Parts:
    """The same by components."""
    w, x, y, z = q
    y2, z2 = y + y, z + z
    zz, xy, wz = z * z2, x * y2, w * z2
    xx = x + x
    return 1.0 - (y * y2 + zz), xy + wz, x * z2 - w * y2, xy - wz, 1.0 - (x * xx + zz), y * z2 + w * xx


def slerp(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Unit quaternions [..., 4] a share [...] of the shorter way from a to b, at an even speed."""
    cosine = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2] + a[..., 3] * b[..., 3]
    b = np.where(cosine[..., None] < 0, -b, b)
    angle = np.arccos(np.minimum(np.abs(cosine), 1.0))
    sine = np.sin(angle)
    # Nearly equal ones are mixed straight: their sine is no divisor.
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    first = np.where(near, 1.0 - share, np.sin((1.0 - share) * angle) / safe)
    second = np.where(near, share, np.sin(share * angle) / safe)
    return normalise(first[..., None] * a + second[..., None] * b)
