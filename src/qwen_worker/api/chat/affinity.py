"""Finds out, at little cost, which conversation a request belongs to.

Qwen caches the beginning of a prompt for each account, so a conversation should stay with one account.
Clients send the whole conversation each time: its beginning stays the same.
"""

from zlib import crc32

from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.chat_body import ChatBody

READ_BYTES = 4096
"""How much of a message is looked at."""


def conversation_key(body: ChatBody) -> int:
    """A number that is the same for all requests of one conversation, and most likely different for another
    one.

    It is made from the client's `prompt_cache_key`, or else from the first message that is not an
    instruction. Of instructions only the length counts, since tools send the same ones in every conversation.
    """
    member = body.members.get("prompt_cache_key")
    if member is not None and isinstance(member.value, str) and member.value:
        return _checksum(body.text[member.value_start : member.end], 0)
    try:
        return _key_of_beginning(body)
    except JsonTextError:
        # It is nested so deeply that it cannot be read again from here, where less of the stack is left.
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
