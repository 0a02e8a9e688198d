"""Where one thing ends and the next begins: the `kinematics` section of params.yaml, which says whence each value is.

Every stage that measures motions or compares measurements passes these on. What decides a name is here; what only
steadies a search (how far a peak must stand out) stays with its detector.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Travel:
    """Getting from one place to another."""

    moving: float
    """m/s of the pelvis over half a second. Lower takes the sway of a kick for a walk, higher loses slow walks."""
    journey: float
    """Metres: less is a shift of weight or a stumble."""
    shortest: float
    """Seconds: less is a lunge."""
    running: float
    """m/s: nobody runs more slowly."""
    surely: float
    """m/s: nobody walks faster."""
    knee: float
    """Degrees that a knee is bent to in between: heels that fly up behind are those of a run."""


@dataclass(frozen=True)
class Turning:
    """Changing the heading."""

    rate: float
    """Degrees/s; slower changes are no turn on the spot."""
    least: float
    """Degrees in all: hips and shoulders twist by less in a walk or a punch."""
    slow: float
    """Degrees in all of a journey that curves more slowly than that."""
    graded: float
    """Degrees: a smaller turn is over before it has a pace."""
    tolerance: float
    """Degrees by which a turn may miss what was asked for; more lets an eighth of a turn pass for a quarter."""


@dataclass(frozen=True)
class Jumping:
    """Both feet off the floor."""

    flight: float
    """Metres of the lower toe above the floor: higher than a shuffle, lower than a hop."""
    seconds: float
    """Time in the air; the steps of a run have less."""
    travelling: float
    """m/s: who flies faster runs."""
    planted: float
    """m/s of a foot at rest; a foot that rests in the air stands on something."""
    spun: float
    """Degrees turned in flight: more is a figure of its own."""
    away: float
    """Metres: a jump that lands nearer has no direction."""
    together: float
    """Seconds by which one foot may leave the floor, or land, before the other, and still both do it together."""


@dataclass(frozen=True)
class Bending:
    """Lowering the body and leaning the trunk."""

    dip: float
    """Metres that the pelvis sinks in a squat: below it a knee only softens."""
    bow: float
    """Degrees of trunk pitch beyond a natural stand."""
    stoop: float
    """Seconds: whoever stays bent or crouched for longer has a stance, and neither bows nor squats."""
    lean: float
    """Degrees of trunk pitch or roll from which on a bend is told with its angle."""
    whirl: float
    """Degrees/s: who turns faster on bent knees neither squats nor bows."""
    twist: float
    """Degrees between the lines of shoulders and hips; less belongs to walks, punches and throws."""


@dataclass(frozen=True)
class Arms:
    """Raised, waving, reaching and crossed arms."""

    wrist_up: float
    """Metres of the wrist above the shoulder, for raised and waving arms."""
    elbow_up: float
    """Metres of the elbow above the shoulder; a raised arm has both up."""
    elbow_out: float
    """Metres of the elbow above the shoulder (below it, if negative) in a wave; a guard has its elbows lower."""
    flung: float
    """Repetitions a second: an arm that goes up and down faster is flung, not raised."""
    waved: float
    """Metres that a wrist swings beside its elbow in one wave."""
    stretched: float
    """Distance from shoulder to wrist as a share of the arm, from which on a hand reaches."""
    lifted: float
    """Degrees between the arm and straight down: less hangs or swings."""
    settled: float
    """m/s of a hand about the body: faster is a swing, a punch or a throw, and no reach."""
    crossed: float
    """Metres by which each wrist is on the other one's side."""
    held: float
    """Seconds that a reach or a crossing lasts at the least."""


@dataclass(frozen=True)
class Striking:
    """Punches and kicks."""

    punch: float
    """Metres of the wrist ahead of the shoulder."""
    drawn: float
    """Metres that the hand comes back between two punches."""
    off_shoulder: float
    """Metres of the wrist above or below the shoulder: farther off is a reach, a scratch, a serve."""
    straight: float
    """Degrees of the elbow as a punch lands; 180 is a straight arm."""
    bent: float
    """Degrees of the elbow before it; an arm that is straighter swings."""
    fast: float
    """m/s of the fist about the shoulder; slower is a reach."""
    kick: float
    """Metres of the toe above the floor: a step swings lower."""
    kick_reach: float
    """Metres of the ankle ahead of, or beside, the hips."""
    planted: float
    """Metres of the other toe above the floor at the most."""
    stride: float
    """Metres of the toe, far from the hip, that no stride reaches: more is a kick, also under way."""
    longest: float
    """Seconds with the foot above half the height of the kick; longer is standing on one leg."""
    spun: float
    """Degrees turned with the foot off the floor; more is a pirouette."""


@dataclass(frozen=True)
class Resting:
    """Doing nothing, or something without a name."""

    still: float
    """m/s of the fastest hand or foot."""
    seconds: float
    """How long a pause lasts before it is a stand."""
    pause: float
    """How long one lasts before it is measured at all."""
    unknown: float
    """m/s of hands and feet that no detector explains."""
    unknown_seconds: float
    """How long that goes on before it is "something else"."""


@dataclass(frozen=True)
class Postures:
    """Sitting, kneeling, lying, crawling, and bodies that do none of these and yet do not stand."""

    low: float
    """Metres of neck height; lower, a body does not stand. Of a body that crawls the pelvis is lower, too."""
    tipped: float
    """Degrees of trunk roll; more, it does not stand either."""
    seconds: float
    """How long a posture is held at the least."""
    lying: float
    """Metres of the pelvis above the ground."""
    flat: float
    """Degrees of the trunk from upright."""
    seat: float
    """Metres of the pelvis above the ground: lower sits on the floor, higher on a seat."""
    thigh: float
    """Degrees of both thighs below level at the most, for a seat."""
    unsupported: float
    """Metres that the body's weight lies behind its heels: nobody stands like that, so something else bears it."""
    knee: float
    """Metres of a knee above the ground that kneels."""
    drift: float
    """m/s of the pelvis: sitting and kneeling stay in place."""
    fours: float
    """Metres of hands and knees above the ground, of a body that crawls."""
    crawling: float
    """m/s of a body on hands and knees, or flat, that gets somewhere."""


@dataclass(frozen=True)
class Crowds:
    """When to give up on naming parts."""

    phases: int
    """More phases than this, and `rate` of them a second, are a dance or a fight, not a list of acts."""
    rate: float
    """Phases a second."""
    together: float
    """Seconds: equal events closer than this are repetitions of one phase."""


@dataclass(frozen=True)
class Walking:
    """Single steps and the way they lead."""

    swing: float
    """m/s that a foot reaches on its way to another place."""
    step: float
    """Metres of a swing: less is a foot put straight."""
    straight: float
    """How far a way strays from its chord, as a share of the chord."""
    curve: float
    """Degrees of course from which on a way is curved."""
    circle: float
    """Degrees of course from which on it is a circle."""


@dataclass(frozen=True)
class Repeating:
    """The same again: parts of a motion that recur at an even pace."""

    likeness: float
    """Correlation of the motion with itself one period later; lower finds rhythm in anything."""
    shortest: float
    """Seconds of a period."""
    times: float
    """Periods that a motion must last."""


@dataclass(frozen=True)
class KinematicsParams:
    """The `kinematics` section: with what measured motion gets which name."""

    margin: float
    """Share of a boundary within which a grade is left open."""
    paces: dict[str, tuple[float, float]]
    """Action (and direction) to the paces that part slow, normal and fast, in the unit of the action."""
    sizes: dict[str, tuple[float, float]]
    """Action to the sizes that part small, normal and large."""
    levels: dict[str, float]
    """Part of a standing body to the height in metres up to which a hand or foot is level with it."""
    travel: Travel
    turning: Turning
    jumping: Jumping
    bending: Bending
    arms: Arms
    striking: Striking
    resting: Resting
    postures: Postures
    crowds: Crowds
    walking: Walking
    repeating: Repeating

    def paces_of(self, action: str, direction: str) -> tuple[float, float] | None:
        """The paces at which this action becomes normal, and fast; None where nobody grades it."""
        return self.paces.get(f"{action} {direction}") or self.paces.get(action)


def graded(value: float, cuts: tuple[float, float] | None, names: tuple[str, str, str], margin: float) -> str:
    """The name of the class that a value lies in; "" where that is open."""
    if cuts is None or value != value or any(abs(value - cut) < margin * cut for cut in cuts):
        return ""
    return names[sum(value > cut for cut in cuts)]
