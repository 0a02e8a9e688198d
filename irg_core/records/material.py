"""What examples are composed from: one goal with everything the data engine made and verified for it. Never stored."""

from dataclasses import dataclass

from irg_core.records.annotation import Analysis, Caption


@dataclass(frozen=True, slots=True)
class Shown:
    """A motion that was shown for a goal, with the verified words of the judge."""

    pair_id: str
    is_flawed: bool
    distance: float  # to the goal motion; larger is worse
    tokens: list[int]
    assessment: str
    refinement: str
    kind: str = "none"  # of the flaw
    difficulty: float = 0.0  # how hard the flaw is to see, 0 to 1


@dataclass(frozen=True, slots=True)
class Material:
    """One caption that its split may see, as a goal."""

    caption: Caption
    split: str  # train | val
    tokens: list[int]  # the goal motion
    analysis: Analysis | None  # None where the reply was rejected
    shown: list[Shown]  # from far to near; empty where the caption was drawn for no pair

    @property
    def action(self) -> str:
        """The first that the goal asks for, as far as it was understood."""
        return self.analysis.asked[0].action if self.analysis and self.analysis.asked else "not named"
