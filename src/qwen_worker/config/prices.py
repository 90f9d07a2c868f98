"""PRICES: what a million tokens of a model cost."""

from typing import Any, NamedTuple

from qwen_worker.config.pasted_json import read_json


class Price(NamedTuple):
    """The price of a million tokens, in the operator's currency."""

    input: float
    cached: float
    """Of input that was read from Qwen's cache."""
    output: float


EXPECTED = (
    '{"qwen3-coder-plus": {"input": 1.0, "cached": 0.1, "output": 5.0}}, for a million tokens; '
    "`cached` may be left out"
)


def read_prices(text: str) -> tuple[dict[str, Price], list[str]]:
    """The prices by model, and what was mended. Raises ValueError."""
    value, mended = read_json(text)
    if not isinstance(value, dict) or not value:
        raise ValueError
    return {model: _price(members) for model, members in value.items()}, mended


def _price(members: Any) -> Price:
    if not isinstance(members, dict) or not members.keys() <= {"input", "cached", "output"}:
        raise ValueError
    whole, cached, output = (members.get(name) for name in ("input", "cached", "output"))
    return Price(_amount(whole), _amount(whole if cached is None else cached), _amount(output))


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError
    return float(value)
