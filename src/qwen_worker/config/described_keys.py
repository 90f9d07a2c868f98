"""Client keys with names and limits: `alice=key-1, bob=key-2`, or JSON.

A key that is described wrongly is left out, so that no limit is lost by a slip of the pen.
"""

import re
from collections.abc import Mapping
from typing import Any

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.config.members import Malformed, models_of
from qwen_worker.config.pasted import date_ms, is_empty, mended_text
from qwen_worker.config.pasted_json import read_json
from qwen_worker.config.pasted_list import split_list
from qwen_worker.config.text import printable_text

MEMBERS = ("key", "label", "models", "tokens_per_day", "requests_per_minute", "expires")
LONGEST_LABEL = 40

_label = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII).fullmatch
_pair = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*=\s*(.*[^=\s].*)", re.ASCII | re.DOTALL).fullmatch
_MOST = 2**53 - 1


class KeyList:
    """What a variable says: the keys, what was mended, and what is wrong (place and what was expected)."""

    def __init__(self, variable: str, text: str) -> None:
        self.variable = variable
        self.keys: list[ClientKey] = []
        self.mended: list[str] = []
        self.problems: list[tuple[str, str]] = []
        items = _json_items(text, self.mended) if text.startswith(("[", "{")) else self._items(text)
        for number, item in enumerate(items, start=1):
            try:
                self._add(item)
            except Malformed as problem:
                where = f"{variable} (item {number}{', ' if problem.member else ''}{problem.member})"
                self.problems.append((where, problem.expected))

    def _items(self, text: str) -> list[Any]:
        items, mended = split_list(self.variable, text) or ([], [])
        self.mended += mended
        return list(items)

    def _add(self, item: Any) -> None:
        """Adds the key that an item stands for. Raises Malformed."""
        key = self._described(item) if isinstance(item, dict) else self._named(item)
        if key is None:
            return
        if any(other.key == key.key for other in self.keys):
            raise Malformed("key", "another key than those before it")
        self.keys.append(key)

    def _named(self, item: Any) -> ClientKey | None:
        """A key, or `label=key`. A key in base64 may end in equals signs. None for a blank item."""
        if not isinstance(item, str):
            raise Malformed("", "a key, label=key, or an object with the key")
        text = self._clean(item)
        if is_empty(text):
            return None
        pair = _pair(text)
        if pair is None:
            return ClientKey(text)
        return ClientKey(self._clean(pair[2]), _label_text(pair[1]))

    def _described(self, members: dict[str, Any]) -> ClientKey:
        for name in members:
            if name not in MEMBERS:
                raise Malformed("", f"no other members than {', '.join(MEMBERS)}")
        text = members.get("key")
        key = printable_text(self._clean(text)) if isinstance(text, str) else None
        if key is None or is_empty(key):
            raise Malformed("key", "a key: printable ASCII text")
        label = members.get("label")
        return ClientKey(
            key,
            "" if label is None else _label_text(label),
            models_of(members),
            _number(members, "tokens_per_day"),
            _number(members, "requests_per_minute"),
            _expiry(members.get("expires")),
        )

    def _clean(self, text: str) -> str:
        clean, mended = mended_text(self.variable, text.strip())
        self.mended += mended
        return clean


def _json_items(text: str, mended: list[str]) -> list[Any]:
    try:
        value, what = read_json(text)
    except ValueError:
        return []
    mended += what
    return value if isinstance(value, list) else [value] if isinstance(value, dict) and value else []


def _label_text(label: Any) -> str:
    if not isinstance(label, str) or not _label(label) or len(label) > LONGEST_LABEL:
        raise Malformed("label", f"up to {LONGEST_LABEL} letters, digits, dots, dashes or underscores")
    return label


def _number(members: Mapping[str, Any], name: str) -> int | None:
    number = members.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MOST:
        raise Malformed(name, "a whole number from 1")
    return number


def _expiry(date: Any) -> int | None:
    """A date is the beginning of that day, UTC."""
    if date is None:
        return None
    found = date_ms(date) if isinstance(date, str) and "-" in date[1:] else None
    if found is None:
        raise Malformed("expires", "a date such as 2027-01-31, or 2027-01-31T18:00:00Z")
    return int(found)
