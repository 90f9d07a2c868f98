"""OpenAI's error envelope, which its SDKs parse: `{"error": {"message", "type", "param", "code"}}`."""

import json
from typing import Any

from qwen_worker.errors import ProxyError


def openai_error(error: ProxyError) -> dict[str, Any]:
    """The object under `error`."""
    body: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.upstream_request_id is not None:
        body["upstream_request_id"] = error.upstream_request_id
    return body


def openai_error_body(error: ProxyError, request_id: str = "") -> str:
    """The envelope as JSON text, also the data of an error event. It has no place for the request's id."""
    return json.dumps({"error": openai_error(error)})
