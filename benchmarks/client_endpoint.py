"""A chat endpoint on the loopback, in a process of its own, that behaves as it is told: slow, limited, or broken.

`python -m benchmarks.client_endpoint '{"latency": 0.1}'` prints its port; a GET tells what it has seen so far.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Behaviour:
    """How it answers; 0 stands for no such trouble."""

    latency: float = 0.0  # seconds that a reply takes, on average
    spread: float = 0.2  # share of the latency by which replies are sooner or later
    per_second: float = 0.0  # requests that are admitted, evenly; as many may be saved up for a burst
    places: int = 0  # requests in work, beyond which others are turned away
    queue: int = 0  # requests in work, beyond which others wait
    refused: float = 0.0  # share of requests that are turned away whoever asks
    refused_for: float = 0.0  # seconds from the first request on for which that lasts
    retry_after: float = 0.0  # seconds that those who are turned away are told to wait
    faults: float = 0.0  # share of first tries that meet a fault
    stubborn: int = 0  # one row in so many is never answered well


GOOD = {"said": "a person walks forward and then sits down on a chair."}
FAULTS = ("limit", "limit with time", "500", "hang", "truncated", "invalid", "empty", "refusal")
HANG = 60.0


class Endpoint:
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0  # of requests in work, together
        self._tries: Counter[str] = Counter()
        self._random = random.Random(1)
        self._tokens, self._filled = behaviour.per_second, 0.0
        self._in_work = 0
        self._queue = asyncio.Semaphore(behaviour.queue or 1 << 30)
        self._began = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, one after the other, until it ends."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
                }
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                status, text, extra = await self._answer(json.loads(body)) if body else (200, self.told(), "")
                kind = f"Content-Type: application/json\r\nContent-Length: {len(text)}"
                writer.write(f"HTTP/1.1 {status} X\r\n{kind}\r\n{extra}\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def told(self) -> bytes:
        return json.dumps({**self.counts, "seconds in work": self.seconds}).encode()

    async def _answer(self, asked: dict[str, Any]) -> tuple[int, bytes, str]:
        loop = asyncio.get_running_loop()
        self._began = self._began or loop.time()
        self.counts["requests"] += 1
        if self._is_turned_away(loop.time()):
            return self._turned_away(self.behaviour.retry_after)
        if fault := self._fault(asked):
            return await self._at_fault(fault)
        self._in_work += 1
        came = loop.time()
        try:
            async with self._queue:
                draw = self._random.uniform(1 - self.behaviour.spread, 1 + self.behaviour.spread)
                if self.behaviour.latency:
                    await asyncio.sleep(self.behaviour.latency * draw)
        finally:
            self._in_work -= 1
            self.seconds += loop.time() - came
        self.counts["answered"] += 1
        return 200, said(json.dumps(GOOD)), ""

    def _is_turned_away(self, now: float) -> bool:
        how = self.behaviour
        if how.refused and now < self._began + how.refused_for and self._random.random() < how.refused:
            return True
        if how.places and self._in_work >= how.places:
            return True
        if how.per_second:
            self._tokens = min(how.per_second, self._tokens + (now - (self._filled or now)) * how.per_second)
            self._filled = now
            if self._tokens < 1:
                return True
            self._tokens -= 1
        return False

    def _turned_away(self, seconds: float) -> tuple[int, bytes, str]:
        self.counts["turned away"] += 1
        extra = f"Retry-After: {seconds:g}\r\n" if seconds else ""
        return 429, b'{"error": {"message": "slow down"}}', extra

    def _fault(self, asked: dict[str, Any]) -> str:
        """What goes wrong with a try: decided by the row and how often it was asked, so that two runs agree."""
        how = self.behaviour
        if not how.faults:
            return ""
        row = asked["messages"][1]["content"]  # a repair repeats it
        number = int(row.rpartition(" ")[2].rstrip("."))
        if how.stubborn and number % how.stubborn == 0:
            return ("invalid", "refusal", "empty")[number // how.stubborn % 3]
        self._tries[row] += 1
        draw = hashlib.sha256(f"{row} {self._tries[row]}".encode()).digest()
        if self._tries[row] > 2 or draw[0] >= 256 * how.faults:
            return ""
        return FAULTS[draw[1] % len(FAULTS)]

    async def _at_fault(self, fault: str) -> tuple[int, bytes, str]:
        self.counts[fault] += 1
        good = json.dumps(GOOD)
        match fault:
            case "limit":
                return self._turned_away(0)
            case "limit with time":
                return self._turned_away(0.2)
            case "500":
                return 500, b'{"error": {"message": "oops"}}', ""
            case "hang":
                await asyncio.sleep(HANG)
                return 500, b"{}", ""
            case "truncated":
                return 200, said(good[: len(good) // 2]), ""
            case "invalid":
                return 200, said('{"say": 3}'), ""
            case "empty":
                return 200, said(""), ""
            case _:
                return 200, said("", refusal="I cannot help with that."), ""


def said(text: str, **more: str) -> bytes:
    message = {"role": "assistant", "content": text, **more}
    usage = {"prompt_tokens": 40, "completion_tokens": 16, "total_tokens": 56}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(whole).encode()


async def main(behaviour: Behaviour) -> None:
    endpoint = Endpoint(behaviour)
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it goes
    os._exit(0)  # nobody waits for requests that still hang


if __name__ == "__main__":
    told = Behaviour(**json.loads(sys.argv[1]))
    assert set(json.loads(sys.argv[1])) <= set(asdict(told))
    asyncio.run(main(told))
