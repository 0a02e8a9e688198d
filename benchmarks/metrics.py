"""How fast the metrics are: against the field's way, pool by pool with SciPy, in the same run and at equal values.

`python -m benchmarks.metrics` writes benchmarks/results/metrics.json and .md. 4,384 points of 512 dimensions stand in
for HumanML3D's test set in the usual evaluator's space. Everything runs on one thread. Each part runs in a process of
its own, so that the memory of one is not counted for another.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irg_core.files import write_json, write_text
from irg_core.records.evaluation import Protocol, Samples, Values
from irg_core.seeds import rng

RESULTS = Path("benchmarks/results")
CLIPS, WIDTH = 4384, 512
PROTOCOL = Protocol(seed=17, pool=32, redraws=20, pairs=300, near_identical=0.9)
NEAR = 3.0
"""How far motions lie from their texts, in standard deviations of the texts: R@1 well between chance and 1."""
EMBEDDED, FRAMES = 400, (40, 199)
"""Clips for the encoders, and the frames of the shortest and longest: as HumanML3D keeps them."""
TURNS = 3
"""Of the encoders, batched and one at a time; the fastest of each counts."""


def main() -> None:
    found = {part: _in_a_process(part) for part in PARTS}
    ours, theirs = found["ours"]["values"], found["scipy"]["values"]
    apart = max(abs(ours[name] - value) / max(1e-12, abs(value)) for name, value in theirs.items())
    outcome = {
        "machine": f"{platform.machine()}, one thread, seconds of the processor",
        "clips": CLIPS,
        "width": WIDTH,
        "parts": {name: {key: part[key] for key in ("seconds", "mib")} for name, part in found.items()},
        "times_faster": found["scipy"]["seconds"] / found["ours"]["seconds"],
        "largest_relative_difference": apart,
        "encoding": {name: found[name]["values"] for name in ("guo", "tmr", "essential")},
        "values": {name: round(value, 6) for name, value in ours.items()},
    }
    write_json(RESULTS / "metrics.json", outcome)
    write_text(RESULTS / "metrics.md", _markdown(outcome))
    print(_markdown(outcome))
    if apart > 1e-6:
        sys.exit(f"values differ by up to {apart:.1e} of themselves")


# --- parts ------------------------------------------------------------------------------------------------------------


def _samples() -> Samples:
    """Texts and motions near them; covariances are full but uneven, as learned spaces are."""
    drawn = np.random.default_rng(0)
    scales = np.exp(-np.arange(WIDTH) / 150.0)
    texts, real, motions = (drawn.standard_normal((CLIPS, WIDTH)) * scales for _ in range(3))
    real = texts + NEAR * real
    return Samples(
        texts.astype(np.float32), (real + 0.3 * motions).astype(np.float32), real.astype(np.float32),
        np.eye(CLIPS, dtype=bool), PROTOCOL,
    )  # fmt: skip


def with_scipy(samples: Samples) -> dict[str, float]:
    """20 repeats as the field's scripts go about them: each pool its distances and a sort, each FID a matrix root."""
    from scipy.linalg import sqrtm
    from scipy.spatial.distance import cdist

    from irg_core.metrics import fid

    texts, motions, real = (points.astype(np.float64) for points in (samples.texts, samples.motions, samples.real))
    halves = fid.halves(samples)
    hits, matched, fids, diversities = np.zeros(3), 0.0, [], []
    for draw in range(PROTOCOL.redraws):
        order = rng(PROTOCOL.seed, "pools", draw).permutation(CLIPS)
        for start in range(0, CLIPS, PROTOCOL.pool):
            pool = order[start : start + PROTOCOL.pool]
            distances = cdist(texts[pool], motions[pool])
            matched += distances.trace()
            nearest = np.argsort(distances, axis=1)
            hits += [(nearest[:, :k] == np.arange(len(pool))[:, None]).any(axis=1).sum() for k in (1, 2, 3)]
        one, two = motions[halves[draw]], real[halves[draw]]
        c1, c2 = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
        shift = one.mean(axis=0) - two.mean(axis=0)
        fids.append(shift @ shift + np.trace(c1) + np.trace(c2) - 2.0 * np.trace(sqrtm(c1 @ c2).real))
        shuffled = rng(PROTOCOL.seed, "diversity", draw).permutation(CLIPS)
        first, second = shuffled[: PROTOCOL.pairs], shuffled[PROTOCOL.pairs : 2 * PROTOCOL.pairs]
        diversities.append(np.linalg.norm(motions[first] - motions[second], axis=1).mean())
    rates = hits / (PROTOCOL.redraws * CLIPS)
    return {
        **{f"r{k}": float(rate) for k, rate in zip((1, 2, 3), rates, strict=True)},
        "mm_dist": matched / (PROTOCOL.redraws * CLIPS),
        "fid_of_halves": float(np.mean(fids)),
        "diversity": float(np.mean(diversities)),
    }


def with_ours(samples: Samples) -> dict[str, float]:
    """The same numbers by the room's functions."""
    from irg_core.metrics import diversity, fid, mm_dist, r_precision

    in_pools = r_precision.pool_ranks(samples)
    halves = [fid.frechet(samples.motions[rows], samples.real[rows]) for rows in fid.halves(samples)]
    return {
        **{f"r{k}": float((in_pools < k).mean()) for k in (1, 2, 3)},
        "mm_dist": mm_dist.compute(samples)[0].mean,
        "fid_of_halves": float(np.mean(halves)),
        "diversity": diversity.compute(samples)[0].mean,
    }


def beyond(samples: Samples) -> dict[str, float]:
    """What the field's scripts have no number for: all measures of the metrics, and a second row compared with it."""
    from irg_core import plugins
    from irg_core.evaluation.paired import difference

    other = Samples(samples.texts, samples.real, samples.real, samples.same, PROTOCOL)
    found: dict[str, float] = {}
    for name in ("r_precision", "mm_dist", "fid", "diversity"):
        compute = plugins.load("irg_core.metrics", name).compute
        for one, two in zip(compute(samples), compute(other), strict=True):
            first, second = (
                Values(row, row, "only", "e", "s", m.metric, m.over, m.mean, list(m.values))
                for row, m in (("one", one), ("two", two))
            )
            found[one.metric], found[f"{one.metric} p"] = one.mean, difference(first, second, seed=1).p
    return found


def encoding(architecture: str) -> dict[str, float]:
    """Seconds for the motions of many clips: batched by length, and one at a time."""
    import torch

    from irg_core.models.evaluator import Evaluator

    torch.set_num_threads(1)
    stats = {"mean": [0.0] * 263, "std": [1.0] * 263}
    judge = Evaluator.create(architecture, 128, 1 if architecture == "guo" else 2, 128, ["a person walks"], stats)
    draw = np.random.default_rng(1)
    clips = [draw.standard_normal((int(n), 263)).astype(np.float32) for n in draw.integers(*FRAMES, size=EMBEDDED)]
    together = alone = np.inf
    for _ in range(TURNS):
        seconds, batched = _timed(lambda: judge.embed_motions(clips))
        together = min(together, seconds)
        seconds, single = _timed(lambda: np.concatenate([judge.embed_motions([clip]) for clip in clips]))
        alone = min(alone, seconds)
    return {
        "batched": together, "one at a time": alone, "times faster": alone / together,
        "largest difference": float(np.abs(batched - single).max()),
    }  # fmt: skip


PARTS: Mapping[str, Callable[[], dict[str, float]]] = {
    "scipy": lambda: with_scipy(_samples()),
    "ours": lambda: with_ours(_samples()),
    "beyond": lambda: beyond(_samples()),
    "guo": lambda: encoding("guo"),
    "tmr": lambda: encoding("tmr"),
    "essential": lambda: encoding("essential"),
}


# --- running ----------------------------------------------------------------------------------------------------------


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, which other work on the machine changes less than those of the clock."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def _in_a_process(part: str) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.metrics", part], env=environment, stdout=subprocess.PIPE, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def part(name: str) -> None:
    """One part in this process: its seconds without imports and drawing, its values, and the most memory it took."""
    from irg_core.metrics import diversity, fid, mm_dist, r_precision  # noqa: F401  # imported before the clock runs

    if name in ("scipy", "ours", "beyond"):
        work = {"scipy": with_scipy, "ours": with_ours, "beyond": beyond}[name]
        drawn = _samples()
        seconds, values = _timed(lambda: work(drawn))
    else:
        seconds, values = _timed(PARTS[name])
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mib": mib, "values": values}))


def _markdown(found: Mapping[str, Any]) -> str:
    parts = found["parts"]
    told = {
        "scipy": "20 repeats of pools, MM-Dist, FID of halves, Diversity: pool by pool, SciPy",
        "ours": "the same numbers here",
        "beyond": "everything of two rows: gallery, FID and its limit, bootstraps, paired comparison of each number",
    }
    rows = [f"| {told[name]} | {parts[name]['seconds']:.1f} | {parts[name]['mib']:.0f} |" for name in told]
    clips = [
        f"| `{name}` | {row['one at a time']:.2f} | {row['batched']:.2f} | {row['times faster']:.1f} |"
        for name, row in found["encoding"].items()
    ]
    return "\n".join(
        [
            f"{found['clips']} texts and motions of {found['width']} dimensions, {found['machine']}.",
            "",
            "| work | seconds | peak MiB |",
            "|---|--:|--:|",
            *rows,
            "",
            f"{found['times_faster']:.1f} times as fast at values that differ by at most "
            f"{found['largest_relative_difference']:.0e} of themselves.",
            "",
            f"Encoding {EMBEDDED} clips of {FRAMES[0]} to {FRAMES[1] - 1} frames, seconds:",
            "",
            "| evaluator | one at a time | batched by length | times as fast |",
            "|---|--:|--:|--:|",
            *clips,
            "",
        ]
    )


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else part(sys.argv[1])
