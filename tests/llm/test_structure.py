"""Demanding a shape of endpoints that know more or less of shapes, and finding it in what they say."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irg_core.errors import EndpointError
from irg_core.llm.chat import Refused
from irg_core.llm.structure import Fallbacks, objects
from tests.llm.endpoint import Endpoint, Response, endpoint, failed, said
from tests.llm.test_openai import Provider, key, one, request, settings

__all__ = ["key"]  # a fixture

OBJECT = '{"analysis": "1. jump.", "paraphrases": ["a", "b", "c"], "detailed": "d"}'


def knowing(*known: str | None, fault: Response) -> Callable[[dict[str, Any]], Response]:
    """An endpoint that refuses all other values of response_format."""

    def script(body: dict[str, Any]) -> Response:
        asked = body.get("response_format", {}).get("type")
        return said(OBJECT) if asked in known else fault

    return script


def asked_of(served: Endpoint) -> list[str]:
    return [body.get("response_format", {}).get("type", "text") for body in served.requests]


FAULTS = [
    failed(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    failed(400, "This response_format type is unavailable now"),
    failed(400, "guided decoding is not available"),
    failed(404, "No endpoints found that can handle the requested parameters."),
    failed(422, "[{'loc': ['body', 'response_format', 'type'], 'msg': 'extra fields not permitted'}]"),
    Response(b'{"detail": [{"loc": ["body", "response_format"], "msg": "field not known"}]}', 422),
    failed(422, "Unprocessable Entity"),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("known", "trace"),
    [(("json_object", None), ["json_schema", "json_object"]), ((None,), ["json_schema", "json_object", "text"])],
)
def test_who_knows_no_schema_is_asked_for_less_and_it_is_noted(
    fault: Response, known: tuple[str | None, ...], trace: list[str]
) -> None:
    with endpoint(knowing(*known, fault=fault)) as served:
        provider = Provider("m", settings(served.url))
        identity = provider.identity
        assert provider.notes == {}
        assert one(provider) == OBJECT
    assert asked_of(served) == trace
    assert provider.notes == {"structure": f"{trace[-1]}, for want of json_schema"}
    assert provider.identity == identity, "what was paid for stays paid for"


def test_what_was_found_out_is_kept_for_the_run() -> None:
    import asyncio

    async def twice(provider: Provider) -> None:
        for _ in range(3):
            await provider.complete(request())
        await provider.close()

    with endpoint(knowing(None, fault=FAULTS[0])) as served:
        asyncio.run(twice(Provider("m", settings(served.url))))
    assert asked_of(served) == ["json_schema", "json_object", "text", "text", "text"]


def test_one_question_that_does_without_a_shape_lowers_it_for_no_other() -> None:
    """A guard at the door dislikes one row's words with a 404; all others are answered as it was demanded."""
    import asyncio

    fallbacks = Fallbacks("json_schema")
    fallbacks.settle("json_schema")
    fallbacks.settle("text")
    assert fallbacks.known == "json_schema"

    def script(body: dict[str, Any]) -> Response:
        is_odd, shape = "jumps 1 times" in body["messages"][1]["content"], body.get("response_format")
        return failed(400, "response_format: the words clash with it") if is_odd and shape else said(OBJECT)

    async def three(provider: Provider) -> None:
        for number in range(3):
            await provider.complete(request(number))
        await provider.close()

    with endpoint(script) as served:
        asyncio.run(three(Provider("m", settings(served.url))))
    assert asked_of(served) == ["json_schema", "json_schema", "json_object", "text", "json_schema"]


def test_a_refusal_for_another_reason_is_no_word_about_shapes() -> None:
    with endpoint(lambda _: failed(400, "context too long")) as served:
        with pytest.raises(Refused, match="context too long"):
            one(provider := Provider("m", settings(served.url)))
        assert provider.notes == {}
    assert asked_of(served) == ["json_schema"]


@pytest.mark.parametrize(("status", "error"), [(404, EndpointError), (422, Refused)])
def test_what_no_structure_mends_is_what_it_was(status: int, error: type[Exception]) -> None:
    with endpoint(lambda _: failed(status, "no")) as served:
        with pytest.raises(error, match=f"{status} no"):
            one(provider := Provider("m", settings(served.url)))
        assert provider.notes == {}
    assert asked_of(served) == ["json_schema", "json_object", "text"]


def test_who_is_set_up_to_ask_for_less_asks_for_no_more() -> None:
    with endpoint(knowing(None, fault=FAULTS[0])) as served:
        one(provider := Provider("m", settings(served.url, structure="text")))
    assert asked_of(served) == ["text"]
    assert provider.notes == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (OBJECT, [OBJECT]),
        (f"```json\n{OBJECT}\n```", [OBJECT]),
        (f"Gladly! {OBJECT} I hope this helps :-}}", [OBJECT]),
        ("a set {a, b} and then " + OBJECT, [OBJECT]),
        ('{"a": {"b": 1}} and {"c": "}{"}', ['{"a": {"b": 1}}', '{"c": "}{"}']),
        ('{"cut": "off', []),
        ("no object", []),
        ("[1, 2]", []),
        ("{" * 100_000, []),
        ('{"a":' * 20_000, []),
    ],
)
def test_objects_are_found_between_words_and_fences(text: str, found: list[str]) -> None:
    assert list(objects(text)) == found


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=3))),
    st.text(alphabet=st.characters(blacklist_characters="{")),
    st.text(alphabet=st.characters(blacklist_characters="{")),
)
def test_an_object_is_found_whatever_stands_around_it(said: dict[str, Any], before: str, after: str) -> None:
    assert [json.loads(found) for found in objects(before + json.dumps(said) + after)] == [said]
