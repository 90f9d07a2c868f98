"""Which conversation a request belongs to, as cheaply as it can be told.

Qwen caches the beginning of a prompt for each account, so a conversation had better stay with one. Clients
send the whole conversation each time: its beginning stays the same.
"""

from zlib import crc32

from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.chat_body import ChatBody

READ_BYTES = 4096
"""How much of a message is looked at."""


def conversation_key(body: ChatBody) -> int:
    """The same number for all requests of one conversation, most likely another one for another.

    Told by the client's `prompt_cache_key`, or by the first message that is not an instruction: tools send
    the same instructions in every conversation, so those only count by their length.
    """
    member = body.members.get("prompt_cache_key")
    if member is not None and isinstance(member.value, str) and member.value:
        return _checksum(body.text[member.value_start : member.end], 0)
    try:
        return _key_of_beginning(body)
    except JsonTextError:
        # Nested to the edge of the stack: it could be read there, but not from this deep.
        return 0


def _key_of_beginning(body: ChatBody) -> int:
    items, instructions = body.messages.items, body.messages.instructions
    first = 0
    while first < len(instructions) and instructions[first] == first:
        first += 1
    if first == items.count:
        return _checksum(body.text[items.start(0) : items.end(0)], 0)
    start, end = items.start(first), items.end(first)
    return _checksum(body.text[start : min(end, start + READ_BYTES)], start - items.start(0))


def _checksum(text: str, start: int) -> int:
    return crc32(text[:READ_BYTES].encode("latin-1"), start & 0xFFFFFFFF)
