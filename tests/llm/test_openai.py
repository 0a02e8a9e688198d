"""The wire: what is sent to an endpoint, and what is made of whatever comes back."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from irg_core.annotate.analyse import Analysed
from irg_core.annotate.asking import read_reply
from irg_core.errors import EndpointError, FactoryError, ParamsError
from irg_core.llm import line
from irg_core.llm.chat import Busy, ChatRequest, Refused, Repair
from irg_core.llm.limits import NO_LIMITS
from irg_core.llm.openai import Provider, Settings
from irg_core.llm.transcripts import Ledger
from irg_core.records.annotation import Rejection
from tests.llm.endpoint import Endpoint, Response, Script, endpoint, failed, said
from tests.llm.interviewing import Answers, interview

KEY = "sk-canary-5a1d0e"
VARIABLE = "IRG_TEST_KEY"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setattr(line, "FIRST_BACKOFF", 0.001)


def settings(url: str, **changed: Any) -> Settings:
    usual: dict[str, Any] = {
        "base_url": url, "key_variable": VARIABLE, "sampling": {"temperature": 0.5, "max_tokens": 9}, "seeded": True,
        "structure": "json_schema", "timeout": 5.0, "seconds_per_token": 0.0, "limits": NO_LIMITS, "mode": "online",
        "tries": 3,
    }  # fmt: skip
    return Settings(**{**usual, **changed})


def request(number: int = 0) -> ChatRequest:
    system, goal, shape = (
        "You say what a goal asks for.",
        f"a person jumps {number} times.",
        Analysed.model_json_schema(),
    )
    return ChatRequest(f"c/{number}", "analyse", system, goal, shape, {}, seed=number, repairs=())


def complete(script: Script, **changed: Any) -> tuple[str, Endpoint]:
    with endpoint(script) as served:
        return one(Provider("m", settings(served.url, **changed))), served


def one(provider: Provider, asked: ChatRequest | None = None) -> str:
    async def once() -> str:
        try:
            return (await provider.complete(asked or request())).text
        finally:
            await provider.close()

    return asyncio.run(once())


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_a_request_carries_model_messages_sampling_seed_and_schema() -> None:
    text, served = complete(lambda _: said("{}"))
    assert text == "{}"
    (body,) = served.requests
    asked = request()
    assert body["model"] == "m"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "jump" in body["messages"][1]["content"]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 9)
    assert body["seed"] == asked.seed % 2**31
    shape = body["response_format"]["json_schema"]
    assert (shape["name"], shape["strict"]) == ("analyse", True)
    assert set(shape["schema"]["required"]) == {"analysis", "paraphrases", "detailed"}
    assert shape["schema"]["additionalProperties"] is False
    assert "minLength" not in str(shape), "strict endpoints refuse it"
    assert served.keys == [f"Bearer {KEY}"]


def test_a_repair_carries_the_reply_and_its_fault() -> None:
    with endpoint(lambda _: said("{}")) as served:
        repaired = ChatRequest("k", "analyse", "s", "p", {}, {}, 1, (Repair("oops", "no JSON"),))
        one(Provider("m", settings(served.url)), repaired)
    assert [message["role"] for message in served.requests[0]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(("structure", "sent"), [("json_object", {"type": "json_object"}), ("text", None)])
def test_endpoints_without_schemas_are_asked_for_less(structure: str, sent: object) -> None:
    _, served = complete(lambda _: said("{}"), structure=structure, seeded=False)
    assert served.requests[0].get("response_format") == sent
    assert "seed" not in served.requests[0]


def test_an_endpoint_without_a_key_is_not_told_the_key_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    _, served = complete(lambda _: said("{}"), key_variable="")
    assert KEY not in served.keys[0]


def test_a_reply_is_remembered_under_model_and_sampling_but_not_under_address_key_or_patience() -> None:
    def identity(model: str = "m", **changed: Any) -> str:
        return Provider(model, settings(**{"url": "http://a/v1", **changed})).identity

    usual = identity()
    assert identity(url="http://b/v1", key_variable="", timeout=1.0, tries=9) == usual
    others = [identity("n"), identity(sampling={}), identity(seeded=False), identity(structure="text")]
    assert len({usual, *others}) == 5
    assert KEY not in usual


# ---- what comes back -------------------------------------------------------------------------------------------------


def test_a_refusal_of_the_model_is_what_it_said() -> None:
    assert complete(lambda _: said("", refusal="I cannot help with that"))[0] == "I cannot help with that"


def test_no_text_at_all_is_an_empty_reply() -> None:
    assert complete(lambda _: said("", content=None))[0] == ""


def test_a_lone_surrogate_does_not_break_the_ledger() -> None:
    text, _ = complete(lambda _: said("half a sign: \ud83d"))
    text.encode()


PAGE = Response(b"<html><body>Welcome</body></html>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (failed(401, "wrong key"), EndpointError, rf"rejects the key in \${VARIABLE}: 401 wrong key"),
        (failed(403, "not you"), EndpointError, "rejects the key"),
        (failed(402, "insufficient balance"), EndpointError, "wants to be paid"),
        (failed(404, "no model m"), EndpointError, "has no model 'm', or is not the place: 404 no model m"),
        (failed(429, "quota", code="insufficient_quota"), EndpointError, "quota .* is used up"),
        (failed(400, "context too long"), Refused, "400 context too long"),
        (failed(413, "too large"), Refused, "413"),
        (failed(422, "no such field"), Refused, "422"),
        (failed(429, "slow down"), Busy, "turns away too many requests: 429 slow down"),
        (failed(408, "late"), Busy, "408"),
        (failed(500, "oops"), Busy, "fails: 500 oops"),
        (failed(503, "overloaded"), Busy, "fails: 503"),
        (Response(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}), Busy, "fails: 502$"),
        (PAGE, Busy, "something other than a chat completion"),
        (Response(b"{oops"), Busy, "something other than a chat completion"),
        (Response(b""), Busy, "something other than a chat completion"),
        (Response(b"[]"), Busy, "something other than a chat completion"),
        (Response(b"null"), Busy, "something other than a chat completion"),
        (Response(b"{}"), Busy, "something other than a chat completion"),
        (Response(b'{"choices": []}'), Busy, "something other than a chat completion"),
        (Response(b'{"choices": 3}'), Busy, "something other than a chat completion"),
        (Response(b'{"choices": [{"message": null}]}'), Busy, "something other than a chat completion"),
        (Response(b'{"choices": [{"message": {"content": [1]}}]}'), Busy, "something other than a chat completion"),
        (Response(b"\xff\xfe\x00"), Busy, "something other than a chat completion"),
        (Response(b'{"choices": [', is_cut=True), Busy, "cannot be reached"),
        (Response(b"", 302, {"Location": "/elsewhere"}), Busy, "sends us elsewhere: 302; set llm.openai.base_url"),
    ],
)
def test_every_fault_is_worth_another_try_or_costs_the_row_or_stops_the_stage(
    response: Response, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        complete(lambda _: response)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", 0.0)])
def test_retry_after_is_a_number_of_seconds(header: str, seconds: float) -> None:
    with pytest.raises(Busy) as caught:
        complete(lambda _: failed(429, "slow down", Retry_After=header))
    assert caught.value.rest == seconds
    assert caught.value.is_limit


def test_retry_after_may_be_a_date() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    with pytest.raises(Busy) as caught:
        complete(lambda _: failed(429, "slow down", Retry_After=until))
    assert caught.value.rest == pytest.approx(7200, abs=60)
    assert caught.value.is_limit


def test_a_reply_that_takes_too_long_is_given_up_even_if_its_connection_lives() -> None:
    with pytest.raises(Busy, match=r"no reply within 0.2 s; .* raise llm.openai.timeout"):
        complete(lambda _: Response(b"", seconds=30), timeout=0.2)


@pytest.mark.parametrize("is_cut", [True, False])
def test_only_who_takes_no_connection_was_not_reached(is_cut: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with endpoint(lambda _: Response(b'{"choices": [', is_cut=True)) as served, pytest.raises(Busy) as caught:
            one(Provider("m", settings(served.url if is_cut else nobody)))
    assert caught.value.was_reached == is_cut


def test_what_is_forbidden_is_one_row_where_the_ledger_knows_others() -> None:
    for status, stops in ((401, True), (403, False), (404, False)):
        with endpoint(lambda _, status=status: failed(status, "no")) as served:  # type: ignore[misc]
            provider = Provider("m", settings(served.url, structure="text"))
            provider.trust()
            with pytest.raises(EndpointError if stops else Busy):
                one(provider)


def test_an_address_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(Busy, match=r"cannot be reached .*check llm\.openai\.base_url"):
            one(Provider("m", settings(url)))


# ---- set-up ----------------------------------------------------------------------------------------------------------


def test_a_missing_key_is_named_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with endpoint(lambda _: said("{}")) as served, pytest.raises(EndpointError, match=f"export {VARIABLE}=<your key>"):
        one(Provider("m", settings(served.url)))
    assert not served.requests


@pytest.mark.parametrize("slip", ["\u201c", "two words", "new\nline"])
def test_a_key_with_a_slip_is_not_quoted(monkeypatch: pytest.MonkeyPatch, slip: str) -> None:
    monkeypatch.setenv(VARIABLE, KEY + slip + KEY)
    with pytest.raises(EndpointError, match="signs that no key has") as caught:
        complete(lambda _: said("{}"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["", "localhost:8080/v1", "ftp://a/v1", "http:///v1"])
def test_what_is_no_address_is_said_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ParamsError, match="base_url"):
        Provider("m", settings(url))


@pytest.mark.parametrize("url", [f"https://me:{KEY}@a/v1", f"https://a/v1?key={KEY}"])
def test_a_secret_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ParamsError, match="key_variable") as caught:
        Provider("m", settings(url))
    assert KEY not in str(caught.value)


# ---- a whole interview over the wire ---------------------------------------------------------------------------------


def interviewed(served: Endpoint, folder: Path, rows: int = 8, **changed: Any) -> Answers:
    ledger = Ledger(folder / "log", folder / "no table")
    provider = Provider("m", settings(served.url, **changed))
    try:
        return interview(provider, [request(number) for number in range(rows)], read, ledger, 4, attempts=2)
    finally:
        ledger.close()


def read(asked: ChatRequest, text: str) -> Analysed | Rejection:
    return read_reply(Analysed, asked, text)


GOOD = '{"analysis": "1. jump.", "paraphrases": ["a", "b", "c"], "detailed": "d"}'


def test_a_bad_reply_is_repaired_once_and_then_rejected(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> Response:
        is_repair, is_stubborn = len(body["messages"]) > 2, "jumps 3 times" in body["messages"][1]["content"]
        return said(f"Gladly:\n```json\n{GOOD}\n```" if is_repair and not is_stubborn else '{"analysis": "jump"}')

    with endpoint(script) as served:
        got = interviewed(served, tmp_path)
    assert len(got.records) == 7
    assert [row.key for row in got.rejections] == ["c/3"]
    assert got.progress == {"sent": 16, "retries": 0, "from_ledger": 0, "repairs": 8}
    repair = next(body for body in served.requests if len(body["messages"]) > 2)
    assert "paraphrases: Field required" in repair["messages"][3]["content"]


def test_outages_and_limits_cost_no_row(tmp_path: Path) -> None:
    faults = iter([failed(429, "slow", Retry_After="0.01"), failed(500, "oops"), PAGE, Response(b"", is_cut=True)] * 3)
    with endpoint(lambda _: next(faults, said(GOOD))) as served:
        got = interviewed(served, tmp_path, rows=24, tries=12)
    assert len(got.records) == 24
    assert got.progress["retries"] == 12
    assert len(served.requests) == 36


def test_no_more_requests_are_under_way_than_allowed(tmp_path: Path) -> None:
    with endpoint(lambda _: Response(said(GOOD).body, seconds=0.02)) as served:
        interviewed(served, tmp_path, rows=20)
    assert served.most_under_way == 4


@pytest.fixture
def down() -> Iterator[Callable[[Response], Endpoint]]:
    made: list[Endpoint] = []

    def make(response: Response) -> Endpoint:
        made.append(Endpoint(lambda _: response))
        return made[-1]

    yield make
    for served in made:
        served.close()


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (failed(401, f"Incorrect API key provided: {KEY}"), "rejects the key"),
        (failed(429, f"too many for {KEY}"), "turns away too many"),
        (failed(500, f"Authorization: Bearer {KEY}"), "fails: 500"),
        (failed(404, "no such model"), "has no model"),
        (failed(400, f"unknown field, {KEY}"), "refused all of"),
        (PAGE, "something other than a chat completion"),
        (Response(b"", seconds=30), "no reply within"),
    ],
)
def test_a_set_up_that_cannot_work_ends_in_one_sentence_without_the_key(
    down: Callable[[Response], Endpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    response: Response,
    words: str,
) -> None:
    monkeypatch.setattr(line, "FIRST_CONTACT", 0.5)
    monkeypatch.setattr(line, "LONGEST_SILENCE", 0.1)
    served = down(response)
    with pytest.raises(FactoryError, match=words) as caught:
        interviewed(served, tmp_path, timeout=0.5)
    assert len(served.requests) <= 12, "four under way, three tries each"
    assert KEY not in str(caught.value)
    assert KEY not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("spelt", ["\\u0073k-canary-5a1d0e", "sk\\u002Dcanary\\u002d5a1d0e", "s\\u006b-canary-5a1d0e"])
def test_a_key_that_is_spelt_in_escapes_is_found(spelt: str) -> None:
    text, _ = complete(lambda _: said(f'{{"said": "{spelt}", "path": "a\\/b"}}'))
    assert json.loads(text)["said"] == "[key]"
    untouched = '{"said": "\\u00e9t\\u00e9"}'
    assert complete(lambda _: said(untouched))[0] == untouched


def test_a_reply_that_echoes_the_key_is_kept_without_it(tmp_path: Path) -> None:
    with endpoint(lambda _: said(GOOD.replace("jump", KEY))) as served:
        got = interviewed(served, tmp_path, rows=1)
    assert KEY not in str(got) + (tmp_path / "log").read_text()
    assert "[key]" in got.records[0].analysis
