"""Usage as people read it: sums, and what they cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qwen_worker.usage.counters import COLUMNS

if TYPE_CHECKING:
    from qwen_worker.config.prices import Price

PARTS = {"day": "day", "hour": "hour", "key": "client", "model": "model", "account": "account", "api": "api"}
"""What usage can be told apart by, and the column that holds it."""

_NAMES = {column: name for name, column in PARTS.items()}


def priced(
    rows: Sequence[Mapping[str, Any]], by: Sequence[str], prices: "Mapping[str, Price]"
) -> tuple[list[dict[str, Any]], list[str]]:
    """The sums by the columns `by`, with their cost if there are prices, and the models that have none.

    Where there are prices, `rows` tell models apart.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    unpriced: dict[str, None] = {}
    for row in rows:
        if row[COLUMNS[0]] is None:  # the sum of no rows
            continue
        place = tuple(row[column] for column in by)
        if place not in found:
            found[place] = {_NAMES[column]: row[column] for column in by} | dict.fromkeys(COLUMNS, 0)
        sums = found[place]
        for name in COLUMNS:
            sums[name] += row[name]
        if prices:
            price = prices.get(row["model"])
            if price is None and _has_tokens(row):
                unpriced[row["model"]] = None
            sums["cost"] = sums.get("cost", 0.0) + (0.0 if price is None else cost_of(row, price))
    data = list(found.values())
    for sums in data:
        if "cost" in sums:
            sums["cost"] = round(sums["cost"], 6)
    return data, list(unpriced)


def cost_of(row: Mapping[str, Any], price: "Price") -> float:
    """What a row costs; cached tokens are a part of the input, estimates count like what was told."""
    cached = min(row["cached_tokens"], row["input_tokens"])
    fresh = row["input_tokens"] - cached + row["estimated_input_tokens"]
    output = row["output_tokens"] + row["estimated_output_tokens"]
    return float(fresh * price.input + cached * price.cached + output * price.output) / 1_000_000


def total_of(data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of all rows."""
    total: dict[str, Any] = {name: sum(row[name] for row in data) for name in COLUMNS}
    if any("cost" in row for row in data):
        total["cost"] = round(sum(row["cost"] for row in data), 6)
    return total


def _has_tokens(row: Mapping[str, Any]) -> bool:
    return any(row[name] for name in COLUMNS if name.endswith("_tokens"))
