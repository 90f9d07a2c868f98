"""Which requests count as one conversation."""

import json
from typing import Any

import pytest

from qwen_worker.api.chat.affinity import READ_BYTES, conversation_key
from qwen_worker.api.chat.request import ChatRequest, parse_chat_request
from qwen_worker.errors import InvalidRequest

SYSTEM = {"role": "system", "content": "You are a careful assistant."}
QUESTION = {"role": "user", "content": "What is the tallest mountain?"}
ANSWER = {"role": "assistant", "content": "Mount Everest."}
FOLLOW_UP = {"role": "user", "content": "And the deepest sea?"}


def key(*messages: Any, **fields: Any) -> int:
    return conversation_key(parse_chat_request(json.dumps({"messages": messages, **fields}).encode()).body)


def test_a_conversation_that_goes_on_keeps_its_key() -> None:
    first = key(SYSTEM, QUESTION)
    assert key(SYSTEM, QUESTION, ANSWER, FOLLOW_UP) == first
    assert key(SYSTEM, QUESTION, temperature=0.2, stream=True) == first


@pytest.mark.parametrize("content", ["What is the tallest building?", "\u00bfQu\u00e9 hora es?"])
def test_another_question_under_the_same_instructions_is_another_conversation(content: str) -> None:
    assert key(SYSTEM, {"role": "user", "content": content}) != key(SYSTEM, QUESTION)


def test_other_instructions_of_another_length_are_another_conversation() -> None:
    assert key({**SYSTEM, "content": "Be brief."}, QUESTION) != key(SYSTEM, QUESTION)


def test_a_message_nested_to_the_edge_of_the_stack_has_a_key_too() -> None:
    def deeper(chat: ChatRequest, calls: int) -> int:
        return deeper(chat, calls - 1) if calls else conversation_key(chat.body)

    for depth in range(50, 1100, 20):
        nested = "[" * depth + "]" * depth
        body = f'{{"messages":[{{"role":"user","content":"x","x":{nested}}}]}}'.encode()
        try:
            chat = parse_chat_request(body)
        except InvalidRequest:
            continue
        assert deeper(chat, 30) == deeper(chat, 30)


def test_the_clients_own_cache_key_decides() -> None:
    assert key(QUESTION, prompt_cache_key="c1") == key(FOLLOW_UP, prompt_cache_key="c1")
    assert key(QUESTION, prompt_cache_key="c1") != key(QUESTION, prompt_cache_key="c2")


def test_instructions_alone_have_a_key_too() -> None:
    assert key(SYSTEM) == key(SYSTEM)
    assert key(SYSTEM) != key({**SYSTEM, "content": "Be brief."})


def test_only_the_beginning_of_a_long_message_is_read() -> None:
    long = "x" * READ_BYTES
    assert key({"role": "user", "content": long + "a"}) == key({"role": "user", "content": long + "b"})
