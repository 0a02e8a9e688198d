"""One npz file a motion: joint positions in metres, y up, with their names, rate and captions; no pickle inside."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from irg_core.files import whole_file
from irg_core.motion import representation
from irg_core.motion.skeleton import FPS, JOINTS
from irg_core.records.exchange import Motion


def write(motions: Iterable[Motion], folder: Path) -> int:
    """Write `<name>.npz` with `joints` [T, 22, 3] float32, `names`, `fps` and `captions`; returns how many."""
    count = 0
    for motion in motions:
        with (
            whole_file(folder / f"{motion.name.replace('#', '~')}.npz") as aside,
            aside.open("wb") as file,
        ):
            np.savez_compressed(
                file,
                joints=representation.to_joints(motion.features).astype(np.float32),
                names=np.array(JOINTS),
                fps=np.array(FPS),
                captions=np.array(motion.captions, dtype=np.str_),
            )
        count += 1
    return count
