"""What a language model of 135 M parameters is worth as a judge, by way of a real endpoint: `assess`, then `verify`.

`python -m benchmarks.smollm2` in a checkout whose `data/` is built (`make demo`) and where `make local-llm` has
installed the model. Serves it on a free port, judges the pairs of one small corpus, and writes
benchmarks/results/smollm2.md. Judging is slow: three to five seconds a reply on two cores.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from flows.local_llm import MODEL, served
from irg_core import params
from irg_core.records.annotation import Assessment, Pair, Rejection, Transcript
from irg_core.tables import read

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/smollm2.md"
CORPUS = "deepmimic"
QUOTED = 4


def main() -> None:
    with tempfile.TemporaryDirectory() as name, served(0) as url:
        folder = Path(name)
        (folder / "data").symlink_to(ROOT / "data")
        write_params(folder, url)
        began = time.monotonic()
        run(folder, "assess", "data/pairs", "data/facts", "data/flawed", "said", "transcripts", "refused")
        seconds = time.monotonic() - began
        run(folder, "verify", "said", "data/pairs", "data/facts", "data/flawed", "verified", "unbelieved")
        summary = json.loads((folder / f"runs/summaries/assess@{CORPUS}.json").read_text())
        RESULT.write_text(page(folder, summary, seconds), encoding="utf-8")
    print(RESULT.read_text())


def write_params(folder: Path, url: str) -> None:
    """The checkout's params.yaml with the profile `smollm2`, pointed at the endpoint."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    profile = folder / "profile.yaml"
    profile.write_text((ROOT / "profiles/smollm2.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    os.chdir(folder)
    params.apply_profile(profile)
    profile.write_text(f"llm: {{openai: {{base_url: '{url}'}}}}\n", encoding="utf-8")
    params.apply_profile(profile)


def run(folder: Path, stage: str, *tables: str) -> None:
    """The stage as a process, on these tables of the corpus."""
    paths = [f"{table}/{CORPUS}.parquet" for table in tables]
    command = [sys.executable, "-m", "pipelines", stage, CORPUS, *paths]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def page(folder: Path, summary: dict[str, int], seconds: float) -> str:
    def table(name: str) -> Path:
        return folder / name / f"{CORPUS}.parquet"

    said, verified = read(table("said"), Assessment), read(table("verified"), Assessment)
    replies = read(table("transcripts"), Transcript)
    refused = Counter(row.reason for row in read(table("refused"), Rejection))
    unbelieved = Counter(row.reason for row in read(table("unbelieved"), Rejection))
    pairs = {row.pair_id: row for row in read(table("data/pairs"), Pair)}
    kept = {row.pair_id for row in verified}
    rows = [
        ("pairs to judge", len(pairs)),
        ("replies", len(replies)),
        ("sent again because nobody answered", summary["retries"]),
        ("asked again because a reply had the wrong shape", summary["repairs"]),
        ("judgements in the right shape", len(said)),
        *((f"given up: {reason}", count) for reason, count in refused.most_common()),
        ("**believed by `verify`**", len(verified)),
        *((f"refused: {reason}", count) for reason, count in unbelieved.most_common()),
        ("seconds a reply", f"{seconds / len(replies):.1f}"),
    ]
    lines = [
        f"`{MODEL}` as the judge of {CORPUS}, through the provider `openai` and an endpoint on the loopback: "
        f"{len(verified)} of {len(said)} judgements hold against the facts.",
        "",
        "| what | count |",
        "|---|--:|",
        *(f"| {what} | {count} |" for what, count in rows),
    ]
    for one in said[:: max(1, len(said) // QUOTED)][:QUOTED]:
        verdict = "believed" if one.pair_id in kept else "refused"
        pair = pairs[one.pair_id]
        lines += ["", f"- Goal ({pair.source}, {pair.kind}): {pair.goal}", f"  Judgement, {verdict}: {one.assessment}"]
        lines += [f"  Instruction: {one.refinement}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
