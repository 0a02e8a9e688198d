"""The client against a simulated endpoint on the loopback: how near to the bound it comes, and what refusals cost.

`python -m benchmarks.client` writes benchmarks/results/client.{json,md} (about six minutes); with names behind it, only
those parts are measured anew: `python -m benchmarks.client bound faults`.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import openai

from irg_core.files import read_json, write_json, write_text
from irg_core.llm.chat import ChatRequest
from irg_core.llm.interview import Inquiry, Interview
from irg_core.llm.limits import NO_LIMITS
from irg_core.llm.openai import Provider, Settings
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection, Transcript

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/client.json"
SCHEMA = {
    "type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"], "additionalProperties": False,
}  # fmt: skip
Measured = dict[str, Any]


def bound() -> list[Measured]:
    """Wall time over the least that there could be: requests times latency over requests in flight.

    Beside it a loop that only calls the client, just before: what it needs on top, the machine takes.
    """
    return [_bound(8, 0.1, 800), _bound(32, 0.1, 3200), _bound(256, 1.0, 15360)]


def _bound(concurrency: int, latency: float, requests: int) -> Measured:
    with endpoint(latency=latency) as url:
        bare = asyncio.run(_bare(url, requests, concurrency))
        run = asked(url, requests, concurrency)
    least = requests * latency / concurrency
    return {
        "in flight": concurrency, "latency": latency, "requests": requests, "bound": least, "wall": run["wall"],
        "wall / bound": round(run["wall"] / least, 3), "bare loop / bound": round(bare / least, 3),
    }  # fmt: skip


def instant() -> list[Measured]:
    """Requests a second at an endpoint that answers at once, beside a loop that only calls the client: best of five."""
    concurrency, requests, rounds = 32, 1500, 5
    bare, ours = [], []
    with endpoint() as url:
        asked(url, 200, concurrency)
        for _ in range(rounds):
            bare.append(_timed(lambda: asyncio.run(_bare(url, requests, concurrency))))
            ours.append(_timed(lambda: asked(url, requests, concurrency)["wall"]))
    rates = [requests / min(wall for wall, _ in runs) for runs in (bare, ours)]
    costs = [1000 * min(spent for _, spent in runs) / requests for runs in (bare, ours)]
    return [
        {
            "in flight": concurrency, "requests": requests, "bare loop": round(rates[0]), "ours": round(rates[1]),
            "ours / bare": round(rates[1] / rates[0], 3),
            "processor, ms a request: bare": round(costs[0], 2), "ours ": round(costs[1], 2),
        }
    ]  # fmt: skip


def _timed(run: Callable[[], float]) -> tuple[float, float]:
    """Seconds of the clock that it tells itself, and of the processor."""
    began = time.process_time()
    wall = run()
    return wall, time.process_time() - began


async def _bare(url: str, requests: int, concurrency: int) -> float:
    """Seconds of the shortest program that asks so many questions so many at a time, and reads the replies."""
    client: Any = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    free = asyncio.Semaphore(concurrency)

    async def ask(question: ChatRequest) -> Any:
        async with free:
            shape = {"name": "describe", "strict": True, "schema": SCHEMA}
            answer = await client.chat.completions.create(
                model="m", messages=question.messages, temperature=0.7,
                response_format={"type": "json_schema", "json_schema": shape},
            )  # fmt: skip
            return json.loads(answer.choices[0].message.content or "")

    started = time.monotonic()
    await asyncio.gather(*map(ask, questions(requests)))
    seconds = time.monotonic() - started
    await client.close()
    return seconds


def ledger() -> list[Measured]:
    """The same work with the ledger and without; in turns, and the best of each, for the machine is not ours alone."""
    concurrency, requests, rounds = 32, 1600, 3
    with_it, without = [], []
    with endpoint(latency=0.1) as url:
        for _ in range(rounds):
            without.append(asked(url, requests, concurrency, Forgetful))
            with_it.append(asked(url, requests, concurrency))
    wall, bare = (min(run["wall"] for run in runs) for runs in (with_it, without))
    return [
        {
            "in flight": concurrency, "requests": requests, "with ledger": wall, "without": bare,
            "overhead": f"{100 * (wall / bare - 1):.2f} %",
        }
    ]  # fmt: skip


class Forgetful(Ledger):
    """Writes nothing down."""

    async def write(self, transcript: Transcript, share: float) -> Transcript:
        return transcript

    async def sync(self) -> None:
        """Nothing is on any disk."""


def limits() -> list[Measured]:
    """What is used of what an endpoint admits that turns away whoever is too many."""
    return [
        _limited("20 a second", 1200, 64, latency=0.1, per_second=20),
        _limited("20 a second, Retry-After 1", 1200, 64, latency=0.1, per_second=20, retry_after=1),
        _limited("100 a second, 1 s each", 6000, 256, latency=1.0, per_second=100),
        _limited("8 places", 2400, 64, latency=0.1, places=8),
        _limited("8 served, others wait", 2400, 64, latency=0.1, queue=8),
    ]


def _limited(name: str, requests: int, concurrency: int, **behaviour: float) -> Measured:
    with endpoint(**behaviour) as url:
        refused = asyncio.run(_stubborn(url, concurrency, 5.0))
    with endpoint(**behaviour) as url:
        run = asked(url, requests, concurrency)
    wall, latency = run["wall"], behaviour["latency"]
    if "per_second" in behaviour:
        admitted = behaviour["per_second"] * (wall + 1)
    else:
        admitted = (behaviour.get("places") or behaviour["queue"]) * wall / latency
    seen = run["seen"]
    return {
        "endpoint": name, "in flight": f"up to {concurrency}", "requests": requests, "wall": wall,
        "turned away if all are in flight": f"{100 * refused:.0f} %",
        "turned away": f"{100 * seen.get('turned away', 0) / seen['requests']:.0f} %",
        "of what is admitted": f"{100 * requests / admitted:.0f} %", "first row": run["first"],
        "mean latency": run["latency"],
    }  # fmt: skip


async def _stubborn(url: str, concurrency: int, seconds: float) -> float:
    """Share of requests that are turned away from who always has as many in flight as allowed."""
    client: Any = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    counts: Counter[str] = Counter()
    until, question = time.monotonic() + seconds, questions(1)[0].messages

    async def insist() -> None:
        while time.monotonic() < until:
            try:
                await client.chat.completions.create(model="m", messages=question)
                counts["answered"] += 1
            except openai.RateLimitError:
                counts["turned away"] += 1

    await asyncio.gather(*(insist() for _ in range(concurrency)))
    await client.close()
    return counts["turned away"] / counts.total()


def refusals() -> list[Measured]:
    """A minute in which nine of ten are turned away whoever asks, and then none."""
    told = []
    for name, wait in (("without Retry-After", 0.0), ("Retry-After 1", 1.0)):
        with endpoint(latency=0.1, refused=0.9, refused_for=60.0, retry_after=wait) as url:
            run = asked(url, 600, 64)
        inside = sum(1 for at in run["times"] if at <= 60)
        told.append(
            {
                "nine of ten for 60 s": name, "requests": 600, "first row": run["first"], "rows in 60 s": inside,
                "delivered": run["records"], "rejected": run["rejected"], "wall": run["wall"],
            }
        )  # fmt: skip
    return told


def faults() -> list[Measured]:
    """One try in five meets a fault; one row in fifty is never answered well."""
    requests, stubborn = 1000, 50
    with endpoint(latency=0.1, faults=0.2, stubborn=stubborn) as url:
        run = asked(url, requests, 32, timeout=2.0, attempts=4)
    hopeless = sum(1 for number in range(requests) if number % stubborn == 0)
    return [
        {
            "requests": requests, "recoverable": requests - hopeless, "delivered": run["records"],
            "rejected": run["rejected"], "reasons": run["reasons"], "sent": run["seen"]["requests"],
            "wall": run["wall"],
        }
    ]  # fmt: skip


def asked(
    url: str, requests: int, concurrency: int, kind: type[Ledger] = Ledger, *, timeout: float = 20.0, attempts: int = 2
) -> Measured:
    """An interview from its first question to its last: seconds, rows, and what the endpoint saw."""
    settings = Settings(
        base_url=url, key_variable="", sampling={"temperature": 0.7}, seeded=True, structure="json_schema",
        timeout=timeout, seconds_per_token=0.0, limits=NO_LIMITS, tries=6, mode="online",
    )  # fmt: skip
    times: list[float] = []

    def read(request: ChatRequest, text: str) -> str | Rejection:
        try:
            said = str(json.loads(text)["said"])
        except (ValueError, KeyError, TypeError):
            return Rejection(request.key, request.kind, "reply is no JSON object", "")
        times.append(time.monotonic() - started)
        return said

    gc.collect()
    with tempfile.TemporaryDirectory() as folder, closing(kind(Path(folder) / "log", Path(folder) / "none")) as ledger:
        inquiry = Inquiry(Provider("m", settings), "m", questions(requests), read, attempts)
        held = Interview(inquiry, ledger, concurrency)
        started = time.monotonic()
        rows = list(held)
        wall = time.monotonic() - started
    rejections = [row for row in rows if isinstance(row, Rejection)]
    seen = json.loads(urllib.request.urlopen(url).read())
    return {
        "wall": round(wall, 2), "first": round(min(times), 2), "times": times, "records": len(rows) - len(rejections),
        "rejected": len(rejections), "reasons": dict(Counter(row.reason for row in rejections)), "seen": seen,
        "latency": round(seen["seconds in work"] / seen["answered"], 3),
    }  # fmt: skip


def questions(number: int) -> list[ChatRequest]:
    return [
        ChatRequest(f"c/{n}", "describe", "You describe motions.", f"Describe motion {n}.", SCHEMA, {}, n, ())
        for n in range(number)
    ]


@contextmanager
def endpoint(**behaviour: float) -> Iterator[str]:
    """The address of an endpoint that behaves so, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.client_endpoint", json.dumps(behaviour)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.stdin.close()


PARTS = {part.__name__: part for part in (bound, instant, ledger, limits, refusals, faults)}


def page(measured: dict[str, Any]) -> str:
    told = [
        "The client against a simulated endpoint on the loopback, in a process of its own; latencies vary by ± 20 %. "
        f"Seconds, unless said otherwise. {os.cpu_count()} processors, shared with other work.",
    ]
    for name, part in PARTS.items():
        if name in measured:
            rows = measured[name]
            head = list(rows[0])
            lines = [f"| {' | '.join(map(str, row.values()))} |" for row in rows]
            told += ["", (part.__doc__ or "").strip(), "", f"| {' | '.join(head)} |", "|" + "--:|" * len(head), *lines]
    return "\n".join(told) + "\n"


def main(names: list[str]) -> None:
    measured = read_json(RESULTS) if RESULTS.exists() else {}
    for name in names or list(PARTS):
        measured[name] = PARTS[name]()
        print(name, json.dumps(measured[name]), flush=True)
        write_json(RESULTS, measured)
        write_text(RESULTS.with_suffix(".md"), page(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
