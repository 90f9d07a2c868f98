"""Parts of content become parts of chat, or an error that names the part."""

import base64
from typing import Any

import pytest

from qwen_worker.errors import InvalidRequest
from tests.unit.api.responses.items import IMAGE, messages, user


def encoded(data: bytes, kind: str = "text/plain") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}}, {"type": "text", "text": "x"}),
        (
            {"type": "input_text", "text": "x", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
        ),
        ({"type": "refusal", "refusal": "no"}, {"type": "text", "text": "no"}),
        (
            {"type": "input_image", "image_url": "https://x/y"},
            {"type": "image_url", "image_url": {"url": "https://x/y"}},
        ),
        (
            {"type": "input_image", "image_url": IMAGE, "detail": "original"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
        ),
        (
            {"type": "input_image", "image_url": {"url": IMAGE}, "detail": "low"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": encoded("é".encode())},
            {"type": "text", "text": "a.txt:\né"},
        ),
        ({"type": "input_file", "file_data": base64.b64encode(b"x").decode()}, {"type": "text", "text": "x"}),
        ({"type": "input_file", "file_data": IMAGE}, {"type": "image_url", "image_url": {"url": IMAGE}}),
        (
            {"type": "video_url", "video_url": {"url": "https://x"}},
            {"type": "video_url", "video_url": {"url": "https://x"}},
        ),
    ],
)
def test_parts_become_parts_of_chat(part: dict[str, Any], expected: dict[str, Any]) -> None:
    text = {"type": "text", "text": "!"}

    assert messages(user(part, {"type": "input_text", "text": "!"}))[0]["content"] == [expected, text]


@pytest.mark.parametrize(
    ("content", "param", "message"),
    [
        (None, "input[0].content", "Missing"),
        (1, "input[0].content", "a string or an array"),
        (["x"], "input[0].content[0]", "an object"),
        ([{}], "input[0].content[0].type", "Missing"),
        ([{"type": 1}], "input[0].content[0].type", "a string"),
        ([{"type": "input_text"}], "input[0].content[0].text", "Missing"),
        ([{"type": "input_image"}], "input[0].content[0].image_url", "Missing"),
        ([{"type": "input_image", "file_id": "file-1"}], "input[0].content[0].file_id", "keeps no files"),
        ([{"type": "input_file"}], "input[0].content[0].file_data", "Missing"),
        ([{"type": "input_file", "file_id": "file-1"}], "input[0].content[0].file_id", "keeps no files"),
        ([{"type": "input_file", "file_url": "https://x"}], "input[0].content[0].file_url", "fetches none"),
        (
            [{"type": "input_file", "file_data": encoded(b"%PDF-1.7")}],
            "input[0].content[0].file_data",
            "text",
        ),
        ([{"type": "input_file", "file_data": encoded(b"\xff\0")}], "input[0].content[0].file_data", "text"),
        ([{"type": "input_file", "file_data": "data:;base64,?"}], "input[0].content[0].file_data", "text"),
        ([{"type": "input_audio"}], "input[0].content[0].input_audio", "Missing"),
        ([{"type": "input_audio", "input_audio": {}}], "input[0].content[0].input_audio.data", "Missing"),
    ],
)
def test_content_that_cannot_be_understood_is_named(content: Any, param: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        messages({"role": "user", "content": content})

    assert caught.value.param == param
