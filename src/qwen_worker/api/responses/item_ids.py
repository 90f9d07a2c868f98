"""The ids of what we answer with, and how an id can carry the text of its item.

This gateway keeps no responses. Clients that believe it does (the Vercel AI SDK by default) send
`{"type": "item_reference", "id": ...}` in place of the text that they got. So the id of a message or of a
reasoning item can be its own text, deflated:

    msg_q1<checksum: 8 hex><nonce: 8 hex><base64url of the deflated text>

In a stream the id goes out before the text exists. There a last, empty reasoning item can carry the texts of
all items before it, by their ids:

    rs_q2<checksum><nonce><base64url of the deflated JSON object {id: text}>

Nothing is gained by forging one: a client may send any text as the assistant's anyhow.
"""

import json
import zlib
from binascii import Error as BadBase64
from binascii import a2b_base64, b2a_base64
from typing import Literal, NamedTuple

from qwen_worker.json_text import parse_object

LONGEST_ID = 24 * 1024
"""The longest id that carries text, in characters. A longer text gets a plain id."""

LONGEST_TEXT_BYTES = 8 * LONGEST_ID
"""More text than this is neither packed nor unpacked: a short id must not become a huge text."""

Kind = Literal["msg", "rs"]
"""A message or a reasoning item."""

_OWN = "q1"
_OTHERS = "q2"
_HEAD = len("q1") + 8 + 8
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


class Ids:
    """The ids of one response. `seed` is its random part: hexadecimal digits, at least 24."""

    __slots__ = ("_count", "_seed", "response")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0
        self.response = f"resp_{seed}"

    def plain(self, prefix: str) -> str:
        """Another id: `fc_...`, `call_...`."""
        self._count += 1
        return f"{prefix}_{self._seed}{self._count:02x}"

    def carrying(self, kind: Kind, text: str) -> str:
        """Another id from which `text` can be read again; a plain one if the text is too long."""
        return self._packed(kind, _OWN, text) or self.plain(kind)

    def carrying_others(self, texts: dict[str, str]) -> str | None:
        """The id of a reasoning item from which the texts of other items can be read; None if they are too
        long, or if there are none.
        """
        return self._packed("rs", _OTHERS, json.dumps(texts, separators=(",", ":"))) if texts else None

    def _packed(self, kind: Kind, mark: str, text: str) -> str | None:
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > LONGEST_TEXT_BYTES:
            return None
        self._count += 1
        packed = b2a_base64(zlib.compress(data), newline=False).rstrip(b"=").translate(_TO_URL).decode()
        body = f"{self._count:02x}{self._seed[:6]}{packed}"
        if len(body) > LONGEST_ID - 16:
            return None
        return f"{kind}_{mark}{zlib.crc32(body.encode()):08x}{body}"


class Carried(NamedTuple):
    """What an id carries: the text of its own item, or the texts of others by their ids."""

    kind: Kind
    text: str
    others: dict[str, str]


def read_id(item_id: str) -> Carried | None:
    """What the id carries; None if it carries nothing, is damaged, or is not one of ours."""
    kind, _, rest = item_id.partition("_")
    mark, checksum, body = rest[:2], rest[2:10], rest[10:]
    if kind not in ("msg", "rs") or mark not in (_OWN, _OTHERS) or not body.isascii():
        return None
    if f"{zlib.crc32(body.encode()):08x}" != checksum:
        return None
    text = _unpacked(rest[_HEAD:])
    if text is None:
        return None
    found: Kind = "msg" if kind == "msg" else "rs"
    if mark == _OWN:
        return Carried(found, text, {})
    texts = _texts_by_id(text)
    return None if texts is None else Carried(found, "", texts)


def kind_of(item_id: str) -> Kind:
    """What an id of ours is the id of."""
    return "rs" if item_id.startswith("rs_") else "msg"


def _unpacked(packed: str) -> str | None:
    padded = packed.encode().translate(_FROM_URL) + b"=" * (-len(packed) % 4)
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(a2b_base64(padded), LONGEST_TEXT_BYTES)
        return data.decode("utf-8", "surrogatepass") if inflate.eof else None
    except (BadBase64, zlib.error, UnicodeDecodeError):
        return None


def _texts_by_id(text: str) -> dict[str, str] | None:
    value = parse_object(text)
    return value if value is not None and all(isinstance(each, str) for each in value.values()) else None
