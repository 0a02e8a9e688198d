"""What a language model of 135 M parameters is worth as a judge, by way of a real endpoint: `assess`, then `verify`.

`python -m benchmarks.smollm2` in a checkout whose `data/` is built (`make demo`) and where `make local-llm` has
installed the model. Serves it on a free port, has it judge the pairs of one small corpus twice, once by the facts alone
and once as a teacher who is told the known flaws, beside the same by the `kinematic` annotator, and writes
benchmarks/results/smollm2.md. Judging is slow: some seconds a reply on two cores. Whoever is tired of waiting
may kill it: replies are kept under runs/smollm2, and the next run goes on with the next request.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.local_llm import MODEL, served
from irg_core import params
from irg_core.files import write_text
from irg_core.records.annotation import Assessment, Pair, Rejection, Transcript
from irg_core.tables import read

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/smollm2.md"
CORPUS = "deepmimic"
QUOTED = 3


@dataclass(frozen=True)
class Run:
    """What one judge, told the flaws or not, made of the pairs."""

    judge: str
    teacher: bool
    said: list[Assessment]
    refused: Counter[str]  # replies of no use, by reason
    unbelieved: Counter[str]  # judgements that `verify` refuses, by reason
    believed: set[str]
    replies: int

    @property
    def prompt(self) -> str:
        origin = self.said[0].origin if self.said else None
        return f"{origin.prompt}, version {origin.prompt_version}" if origin else "–"


def main() -> None:
    folder = ROOT / "runs/smollm2"
    folder.mkdir(parents=True, exist_ok=True)
    tables = Path("data").resolve()
    pairs = {row.pair_id: row for row in read(tables / f"pairs/{CORPUS}.parquet", Pair)}
    with served(0) as url:
        runs = [judged(folder, tables, MODEL, url, teacher) for teacher in (False, True)]
    runs += [judged(folder, tables, "kinematic", "", teacher) for teacher in (False, True)]
    write_text(RESULT, page(runs, pairs))
    print(RESULT.read_text())


def judged(folder: Path, tables: Path, judge: str, url: str, teacher: bool) -> Run:
    """Run `assess` and `verify` as processes on the corpus of the checkout; without a `url` the program judges."""
    place = folder / f"{judge}-{'teacher' if teacher else 'facts'}"
    place.mkdir(exist_ok=True)
    write_params(folder, url, teacher)
    shown = [str(tables / f"{name}/{CORPUS}.parquet") for name in ("pairs", "facts", "flawed")]
    said, transcripts, refused, verified, unbelieved = (
        str(place / f"{name}.parquet") for name in ("said", "transcripts", "refused", "verified", "unbelieved")
    )
    run(folder, "assess", *shown, said, transcripts, refused)
    run(folder, "verify", said, refused, *shown, verified, unbelieved, str(place / "rates.json"))
    return Run(
        judge,
        teacher,
        read(Path(said), Assessment),
        Counter(row.reason for row in read(Path(refused), Rejection)),
        Counter(row.reason for row in read(Path(unbelieved), Rejection)),
        {row.pair_id for row in read(Path(verified), Assessment)},
        len(read(Path(transcripts), Transcript)),
    )


def write_params(folder: Path, url: str, teacher: bool) -> None:
    """The checkout's params.yaml with the profile `smollm2` where the model is asked, pointed at its endpoint."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    changes: list[Any] = [{"assess": {"teacher": teacher}}]
    if url:
        profile = (ROOT / "profiles/smollm2.yaml").read_text(encoding="utf-8")
        changes = [profile, *changes, {"llm": {"openai": {"base_url": url}}}]
    with inside(folder):
        for change in changes:
            (folder / "profile.yaml").write_text(change if isinstance(change, str) else json.dumps(change))
            params.apply_profile(folder / "profile.yaml")


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def run(folder: Path, stage: str, *paths: str) -> None:
    """The stage as a process, on these tables of the corpus."""
    command = [sys.executable, "-m", "pipelines", stage, CORPUS, *paths]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def page(runs: list[Run], pairs: Mapping[str, Pair]) -> str:
    asked = [run for run in runs if run.judge == MODEL]
    lines = [
        f"Judges of the {len(pairs)} pairs of {CORPUS}: how many judgements `verify` believes. `{MODEL}` answered "
        f"{sum(run.replies for run in asked)} requests through the provider `openai` and an endpoint on the loopback.",
        "",
        "| judge | is told the flaws | prompt | replies | in the right shape | believed | of all pairs |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for one in runs:
        shares = f"{len(one.believed)} | {len(one.believed) / len(pairs):.2f}"
        teacher = "yes" if one.teacher else "no"
        lines.append(f"| {one.judge} | {teacher} | {one.prompt} | {one.replies} | {len(one.said)} | {shares} |")
    lines += ["", "| judge | is told the flaws | not believed because | rows |", "|---|---|---|--:|"]
    for one in runs:
        for reason, rows in (one.refused + one.unbelieved).most_common():
            lines.append(f"| {one.judge} | {'yes' if one.teacher else 'no'} | {reason} | {rows} |")
    for one in asked:
        lines += quotes(one, pairs)
    return "\n".join(lines) + "\n"


def quotes(one: Run, pairs: Mapping[str, Pair]) -> list[str]:
    """Some of its judgements, to see what such a model is worth."""
    lines = []
    for said in one.said[:: max(1, len(one.said) // QUOTED)][:QUOTED]:
        pair, verdict = pairs[said.pair_id], "believed" if said.pair_id in one.believed else "refused"
        told = "told the flaws" if one.teacher else "by the facts alone"
        lines += ["", f"- Goal ({pair.source}, {pair.kind}): {pair.goal}"]
        lines += [f"  Judgement {told}, {verdict}: {said.assessment}", f"  Instruction: {said.refinement}"]
    return lines


if __name__ == "__main__":
    main()
