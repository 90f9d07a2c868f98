"""How to end a JSON object that was cut off anywhere.

A stream that breaks in the middle of an event leaves its client with half a JSON object, which it would fail
to parse. What is missing can be added, and the error with it, so that the client sees an error event.
"""

import re

_tokens = re.compile(
    r'(?P<whole>"(?:[^"\\]|\\.)*")|(?P<text>"(?:[^"\\]|\\.)*\\?\Z)|[{}\[\]:,]|(?P<word>[^\s{}\[\]:,"]+)'
).finditer
_unfinished_escape = re.compile(r"(?<!\\)(?:\\\\)*\\(u[0-9a-fA-F]{0,3})?\Z").search
_WORDS = ("true", "false", "null")
_CLOSING = {"{": "}", "[": "]"}


def ending_of_object(text: bytes, member: str) -> bytes | None:
    """What makes `text`, the beginning of a JSON object, a whole one that ends with `member` (`"name":
    value`).

    None if there is nothing to end: `text` is a whole object already, or not the beginning of one.
    """
    if not text.strip():
        return f"{{{member}}}".encode()
    missing_bytes = _missing_utf8(text)
    position = _Position((text + missing_bytes).decode("utf-8", "replace"))
    if not position.open:
        return None
    brackets = "".join(_CLOSING[bracket] for bracket in reversed(position.open[1:]))
    comma = "" if len(position.open) == 1 and position.expects in ("first key", "key") else ","
    return missing_bytes + f"{position.rest_of_member()}{brackets}{comma}{member}}}".encode()


class _Position:
    """Where in the grammar a text ends."""

    __slots__ = ("_rest_of_token", "expects", "open")

    def __init__(self, text: str) -> None:
        self.open: list[str] = []
        """The brackets not yet closed, outermost first; empty if this is no unfinished object."""
        self.expects = ""
        self._rest_of_token = ""
        text = text.strip()
        if not text.startswith("{"):
            return
        for match in _tokens(text):
            self._take(match.group())
            if not self.open:
                return
            if match.end() == len(text):
                self._rest_of_token = _rest_of(match)

    def _take(self, symbol: str) -> None:
        if symbol in _CLOSING:
            self.open.append(symbol)
            self.expects = "first key" if symbol == "{" else "first value"
        elif symbol in ("}", "]"):
            self.open.pop()
            self.expects = "comma"
        elif symbol == ",":
            self.expects = "key" if self.open[-1] == "{" else "value"
        elif symbol == ":":
            self.expects = "value"
        else:
            self.expects = "colon" if self.expects in ("first key", "key") else "comma"

    def rest_of_member(self) -> str:
        """What the innermost member lacks."""
        if self.expects == "colon":
            return f"{self._rest_of_token}:null"
        if self.expects == "value":
            return "null"
        if self.expects == "key" and len(self.open) > 1:
            return '"":null'
        return self._rest_of_token


def _rest_of(token: re.Match[str]) -> str:
    text = token.group()
    if token["text"]:
        escape = _unfinished_escape(text)
        if escape is None:
            return '"'
        digits = escape.group(1)
        return '\\"' if digits is None else "0" * (5 - len(digits)) + '"'
    if token["word"]:
        for word in _WORDS:
            if word.startswith(text):
                return word[len(text) :]
        return "0" if text[-1] in "+-.eE" else ""
    return ""


def _missing_utf8(text: bytes) -> bytes:
    """What completes a character that was cut off at the end."""
    for length in range(1, min(3, len(text)) + 1):
        lead = text[-length]
        if lead & 0xC0 == 0x80:
            continue
        wanted = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        second = {0xE0: b"\xa0", 0xF0: b"\x90"}.get(lead, b"\x80")
        return ((second if length == 1 else b"\x80") + b"\x80\x80")[: max(0, wanted - length)]
    return b""
