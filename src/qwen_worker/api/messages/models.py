"""The catalogue of models as Anthropic's API lists it, page by page."""

from collections.abc import Sequence
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from qwen_worker.api.messages import checks

if TYPE_CHECKING:
    from qwen_worker.models import Model

DEFAULT_LIMIT = 20
MOST_LIMIT = 1000

_YEAR_2100 = 4_102_444_800
"""Hosts tell the time of a model: some in milliseconds, and it may be anything."""


def page(listed: "Sequence[Model]", query: str) -> dict[str, Any]:
    """`{"data": [...], "has_more", "first_id", "last_id"}`.

    The query may have `limit`, and `after_id` or `before_id`, the id of a model. An id that is not listed is
    the end of the list. Raises InvalidRequest.
    """
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    limit = _limit(asked.get("limit"))
    ids = [model["id"] for model in listed]
    start, end = 0, len(ids)
    if "before_id" in asked:
        end = ids.index(asked["before_id"]) if asked["before_id"] in ids else 0
        start = max(0, end - limit)
        has_more = start > 0
    else:
        if "after_id" in asked:
            start = ids.index(asked["after_id"]) + 1 if asked["after_id"] in ids else end
        has_more = end - start > limit
        end = min(end, start + limit)
    shown = listed[start:end]
    return {
        "data": [model_info(model) for model in shown],
        "has_more": has_more,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def model_info(model: "Model") -> dict[str, Any]:
    """One model. `created_at` is the time of `created`; that of the epoch is not known, as at Anthropic's."""
    created = model["created"] if 0 <= model["created"] < _YEAR_2100 else 0
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model["id"],
        "created_at": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(created)),
    }


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_LIMIT):
        raise checks.invalid("limit", f"Input should be a number from 1 to {MOST_LIMIT}")
    return int(text)
