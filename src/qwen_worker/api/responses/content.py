"""The content of input items: the Responses API's parts as chat's parts.

What is in no table goes to Qwen as it is: it may be something that Qwen knows (`video_url`).
"""

from binascii import Error as BadBase64
from binascii import a2b_base64
from typing import Any

from qwen_worker.errors import InvalidRequest
from qwen_worker.validation import missing, text_in, unfit

_TEXTS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
"""The parts that are text, and the field that it is in."""

_OF_RESPONSES = frozenset(("type", "text", "refusal", "annotations", "logprobs", "prompt_cache_breakpoint"))
"""Fields of a text part that mean nothing to Qwen. Others (`cache_control`) stay."""


def parts_of(content: Any, where: str) -> list[dict[str, Any]]:
    """The chat parts of a string or an array of parts. Raises InvalidRequest."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise unfit(where, "a string or an array", content)
    return [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def without_needless_parts(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The content of a message: a string if it is one plain text (or nothing)."""
    if not parts:
        return ""
    only = parts[0]
    if len(parts) == 1 and only.get("type") == "text" and len(only) == 2:
        text: str = only["text"]
        return text
    return parts


def split(parts: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The text of the parts, and what is no text."""
    text = "".join([part["text"] for part in parts if part["type"] == "text"])
    return text, [part for part in parts if part["type"] != "text"]


def _part(part: Any, where: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise unfit(where, "an object", part)
    kind = text_in(part, "type", where)
    if kind in _TEXTS:
        text = text_in(part, _TEXTS[kind], where)
        return {"type": "text", "text": text, **{k: v for k, v in part.items() if k not in _OF_RESPONSES}}
    if kind in ("input_image", "computer_screenshot"):
        return _image(part, where)
    if kind == "input_file":
        return _file(part, where)
    if kind == "input_audio":
        return _audio(part, where)
    return part


def _image(part: dict[str, Any], where: str) -> dict[str, Any]:
    url = part.get("image_url")
    if isinstance(url, dict):
        # Chat's form.
        url = url.get("url")
    if url is None and part.get("file_id") is not None:
        raise _no_files(f"{where}.file_id", "the image as a URL or as a data URL in 'image_url'")
    if not isinstance(url, str):
        raise unfit(f"{where}.image_url", "a string", url)
    image: dict[str, Any] = {"url": url}
    detail = part.get("detail")
    if isinstance(detail, str):
        # Chat has no "original".
        image["detail"] = "high" if detail == "original" else detail
    return {"type": "image_url", "image_url": image}


def _audio(part: dict[str, Any], where: str) -> dict[str, Any]:
    audio = part.get("input_audio")
    if not isinstance(audio, dict):
        raise unfit(f"{where}.input_audio", "an object", audio)
    text_in(audio, "data", f"{where}.input_audio")
    return {"type": "input_audio", "input_audio": audio}


def _file(part: dict[str, Any], where: str) -> dict[str, Any]:
    """Chat hosts take no files: an image becomes an image, text becomes text."""
    data = part.get("file_data")
    if data is None:
        for name in ("file_id", "file_url"):
            if part.get(name) is not None:
                raise _no_files(f"{where}.{name}", "the text of the file as 'file_data' or 'input_text'")
        raise missing(f"{where}.file_data")
    if not isinstance(data, str):
        raise unfit(f"{where}.file_data", "a string", data)
    if data.startswith("data:image/"):
        return {"type": "image_url", "image_url": {"url": data}}
    text = _text_of(data)
    if text is None:
        raise InvalidRequest(
            f"Invalid value for '{where}.file_data': only files of text (UTF-8, in base64) and images can be "
            "passed to Qwen.",
            param=f"{where}.file_data",
        )
    filename = part.get("filename")
    heading = f"{filename}:\n" if isinstance(filename, str) and filename else ""
    return {"type": "text", "text": heading + text}


def _text_of(data: str) -> str | None:
    """The text in base64, alone or in a data URL; None if it is no text."""
    try:
        encoded = data.partition(",")[2] if data.startswith("data:") else data
        text = a2b_base64("".join(encoded.split()), strict_mode=True).decode()
    except (BadBase64, ValueError):
        return None
    return None if "\0" in text or text.startswith("%PDF-") else text


def _no_files(param: str, instead: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{param}': this gateway keeps no files and fetches none; send {instead}.",
        param=param,
    )
