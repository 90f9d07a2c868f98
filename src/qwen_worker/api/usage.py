"""GET /v1/usage: what was used."""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from qwen_worker.api.context import Context
from qwen_worker.config.client_keys import ADMIN, ANYONE
from qwen_worker.errors import InvalidRequest, NotFound, UpstreamUnavailable
from qwen_worker.platform.ports import Response, StoreError
from qwen_worker.usage.counters import COLUMNS, utc_day
from qwen_worker.usage.report import PARTS, priced, total_of
from qwen_worker.usage.store import MOST_ROWS_READ, UsageStore
from qwen_worker.usage.writer import UsageWriter

DEFAULT_DAYS = 30
_DAY_MS = 86_400_000


class Query(NamedTuple):
    """What is asked: days in UTC, `2026-11-27`, both included, and what is told apart."""

    first_day: str
    last_day: str
    by: tuple[str, ...]


async def usage(context: Context) -> None:
    """Sums by day, hour, key, model, account or API, as JSON or CSV (`accept: text/csv`): all of it for the
    admin, and in a gateway that is open to anyone and has no admin; a client's own for its key.

    Raises InvalidRequest, NotFound (usage_not_kept), UpstreamUnavailable (usage_unavailable).
    """
    query = parse_query(context.request.query, context.runtime.clock.now_ms())
    settings, client, runtime = context.settings, context.client, context.runtime
    if runtime.database is None:
        raise NotFound(
            "Usage is not kept: this gateway has no database bound as USAGE_DB.", code="usage_not_kept"
        )
    sees_all = client is ADMIN or (client is ANYONE and settings.admin_key is None)
    if context.ledger is not None:
        await UsageWriter(context.ledger, runtime.database, runtime.clock, context.log).write()
    by = [PARTS[name] for name in query.by]
    # The price depends on the model, so models are told apart even if the query does not ask for that.
    read_by = [*by, "model"] if settings.prices and "model" not in by else by
    try:
        rows = await UsageStore(runtime.database).sums(
            query.first_day, query.last_day, read_by, None if sees_all else client.label
        )
    except StoreError as error:
        context.log.warning("usage was not read", error=str(error))
        raise UpstreamUnavailable(
            "The database with the usage does not answer.",
            code="usage_unavailable",
            status=503,
            scope="request",
        ) from None
    data, unpriced = priced(rows, by, settings.prices)
    if (context.request.header("accept") or "").partition(",")[0].partition(";")[0].strip() == "text/csv":
        context.respond(_response("text/csv; charset=utf-8", _csv(data, query.by, bool(settings.prices))))
        return
    body: dict[str, Any] = {
        "object": "usage",
        "from": query.first_day,
        "to": query.last_day,
        "by": list(query.by),
        "data": data,
        "total": total_of(data),
    }
    if len(rows) == MOST_ROWS_READ:
        body["is_truncated"] = True
    if unpriced:
        body["models_without_price"] = unpriced
    context.respond(_response("application/json", json.dumps(body)))


def parse_query(query: str, now_ms: int) -> Query:
    """What a query string asks for: by default the last 30 days, by day. Raises InvalidRequest."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    last_day = _day(given, "to", utc_day(now_ms))
    first_day = _day(given, "from", utc_day(now_ms - (DEFAULT_DAYS - 1) * _DAY_MS))
    if first_day > last_day:
        raise InvalidRequest("`from` must not be after `to`.", param="from")
    by = tuple(dict.fromkeys(name.strip() for name in given.get("by", "day").split(",") if name.strip()))
    if any(name not in PARTS for name in by):
        raise InvalidRequest(f"`by` must be some of {', '.join(PARTS)}, separated by commas.", param="by")
    return Query(first_day, last_day, by)


def _day(given: dict[str, str], name: str, default: str) -> str:
    from datetime import date

    text = given.get(name) or default
    try:
        if date.fromisoformat(text).isoformat() != text:
            raise ValueError
    except ValueError:
        raise InvalidRequest(f"`{name}` must be a day such as 2026-11-27.", param=name) from None
    return text


def _csv(data: list[dict[str, Any]], by: tuple[str, ...], has_cost: bool) -> str:
    columns = (*by, *COLUMNS, *(["cost"] if has_cost else []))
    lines = [columns, *([row.get(name, "") for name in columns] for row in data)]
    return "".join(",".join(map(_cell, line)) + "\r\n" for line in lines)


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    if text.startswith(("=", "+", "@", "\t", "\r")) or (text.startswith("-") and not isinstance(value, int)):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _response(content_type: str, body: str) -> Response:
    return Response(200, {"content-type": content_type, "cache-control": "no-store"}, body)
