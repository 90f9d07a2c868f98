"""The list of models in Anthropic's shape, through the whole gateway."""

from typing import Any

import pytest

from qwen_worker.api.messages.models import model_info
from tests.unit.test_app import Setup, parsed

CLIENT = {"anthropic-version": "2023-06-01"}
NAMES = ["a", "b", "c", "d", "e"]


async def ask(path: str, status: int = 200) -> Any:
    response = await Setup(QWEN_MODELS=",".join(NAMES), DEFAULT_MODEL="a")("GET", path, headers=CLIENT)
    assert response.status == status
    return parsed(response)


@pytest.mark.parametrize(
    ("query", "shown", "has_more"),
    [
        ("", NAMES, False),
        ("?limit=1000", NAMES, False),
        ("?limit=2", ["a", "b"], True),
        ("?limit=2&after_id=b", ["c", "d"], True),
        ("?limit=2&after_id=c", ["d", "e"], False),
        ("?limit=2&before_id=d", ["b", "c"], True),
        ("?limit=5&before_id=d", ["a", "b", "c"], False),
        ("?after_id=e", [], False),
        ("?after_id=unknown", [], False),
    ],
)
async def test_page(query: str, shown: list[str], has_more: bool) -> None:
    listed = await ask(f"/v1/models{query}")

    assert [model["id"] for model in listed["data"]] == shown
    ends = (shown[0], shown[-1]) if shown else (None, None)
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (has_more, *ends)


async def test_one_model() -> None:
    created_at = "2023-11-14T22:13:20Z"
    expected = {"type": "model", "id": "b", "display_name": "b", "created_at": created_at}
    assert await ask("/v1/models/b") == expected


@pytest.mark.parametrize("created", [-1, 1_700_000_000_000, 10**30])
def test_time_that_is_none(created: int) -> None:
    model: Any = {"id": "a", "object": "model", "created": created, "owned_by": "x"}
    assert model_info(model)["created_at"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "two", "9" * 5000, "\u0663"])
async def test_bad_limit_is_named(limit: str) -> None:
    answer = await ask(f"/v1/models?limit={limit}", 400)
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"].startswith("limit:")


@pytest.mark.parametrize("path", ["/v1/models/unknown", "/unknown"])
async def test_errors_are_anthropics_on_paths_of_both(path: str) -> None:
    answer = await ask(path, 404)
    assert (answer["type"], answer["error"]["type"]) == ("error", "not_found_error")


async def test_everybody_else_gets_openais_shape() -> None:
    assert parsed(await Setup()("GET", "/v1/models"))["object"] == "list"
