"""Bodies that do one of eight things, for evaluators that learn in seconds."""

import numpy as np

from irg_core.motion.skeleton import FPS, INDEX, OFFSETS, PARENTS

KINDS = (
    "walks", "runs", "sinks", "waves left", "waves right", "raises both arms", "steps aside", "stands",
)  # fmt: skip


def moving(kind: str, draw: np.random.Generator) -> np.ndarray:
    """Joints [frames, 22, 3] of one of `KINDS`, at its own pace and size."""
    seconds = np.arange(int(draw.integers(41, 61))) / FPS
    pace, size = draw.uniform(0.8, 1.2, size=2)
    pose = np.zeros((len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS):
        pose[joint] = OFFSETS[joint] + (pose[parent] if parent >= 0 else 0.0)
    pose[:, 1] -= pose[:, 1].min()
    joints = np.tile(pose, (len(seconds), 1, 1))
    speed = {"walks": 1.0, "runs": 3.0}.get(kind, 0.0)
    joints[..., 2] += (speed * pace * seconds)[:, None]
    swing = np.sin(2.0 * np.pi * pace * (speed + 1.0) * seconds)
    if kind in ("walks", "runs"):
        for side, sign in (("left", 1.0), ("right", -1.0)):
            joints[:, INDEX[f"{side}_ankle"], 2] += sign * 0.2 * size * swing
            joints[:, INDEX[f"{side}_foot"], 2] += sign * 0.2 * size * swing
    if kind == "sinks":
        joints[:, :, 1] -= 0.3 * size * np.abs(swing)[:, None] * (pose[:, 1] > 0.5)
    if kind == "steps aside":
        joints[..., 0] += (0.8 * pace * seconds)[:, None]
    for side in ("left", "right"):
        if kind == f"waves {side}" or kind == "raises both arms":
            lifted = 0.5 * size * (1.0 + swing)
            joints[:, INDEX[f"{side}_wrist"], 1] += lifted
            joints[:, INDEX[f"{side}_elbow"], 1] += 0.5 * lifted
    return joints + 0.002 * draw.standard_normal((1, len(PARENTS), 3))
