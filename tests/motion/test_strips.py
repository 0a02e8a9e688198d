"""Picture strips: what a person must be able to tell from one."""

import numpy as np
from PIL import ImageColor

from irg_core.motion import strips
from irg_core.motion.skeleton import INDEX, MIRROR, OFFSETS, PARENTS


def standing(frames: int = 30) -> np.ndarray:
    joints = np.zeros((frames, 22, 3))
    for joint in range(1, 22):
        joints[:, joint] = joints[:, PARENTS[joint]] + OFFSETS[joint]
    joints[..., 1] -= joints[..., 1].min()
    return joints


def pixels(joints: np.ndarray, colour: str) -> np.ndarray:
    """Where in the strip a colour is, as columns of pixels."""
    picture = np.asarray(strips.strip(joints, "stands"))
    return np.argwhere((picture == ImageColor.getrgb(colour)).all(axis=-1))[:, 1]


def test_a_strip_has_one_cell_for_each_moment() -> None:
    narrow, wide = (strips.strip(standing(), "stands", frames=frames) for frames in (4, 8))
    assert wide.width == 2 * narrow.width
    assert wide.height == narrow.height


def test_left_and_right_limbs_can_be_told_apart() -> None:
    joints = standing()
    first = strips.strip(joints, "stands").width // 8
    left, right = (pixels(joints, colour) for colour in (strips.LEFT, strips.RIGHT))
    # Facing us, the performer's left is on our right.
    assert left[left < first].mean() > right[right < first].mean()


def test_a_raised_hand_shows_on_its_own_side_only() -> None:
    raised = standing()
    raised[15:, INDEX["left_wrist"], 1] += 1.0
    mirrored = raised[:, MIRROR] * (-1.0, 1.0, 1.0)
    assert np.asarray(strips.strip(raised, "waves")).tobytes() != np.asarray(strips.strip(mirrored, "waves")).tobytes()


def test_equal_motions_make_equal_pictures() -> None:
    first, second = (np.asarray(strips.strip(standing(), "stands")) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_single_frame_can_be_drawn() -> None:
    assert strips.strip(standing(1), "a caption " * 60).width > 0
