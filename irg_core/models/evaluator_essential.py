"""An evaluator that sees where the root goes and where joints are, and nothing that follows from it.

Of 263 numbers a frame 67 say it all; rotations and velocities repeat them, and a model can please a judge of all 263 by
how well its numbers agree with each other instead of by how it moves (Meng et al. 2024, who found the field's ranking
to hang on it). The nets are those of `evaluator_tmr`.
"""

from irg_core.models import evaluator_tmr

MotionEncoder = evaluator_tmr.MotionEncoder
TextEncoder = evaluator_tmr.TextEncoder
contrast = evaluator_tmr.contrast


def reads(width: int) -> int:
    """Of a row of so many numbers, how many from its start: the root's motion and the positions; 67 of 263.

    A row of J joints has 4 numbers of the root, 3 a joint but the root, 6 as many, 3 J, and 4: 12 J - 1 in all.
    """
    joints = (width + 1) // 12
    return 4 + 3 * (joints - 1)
