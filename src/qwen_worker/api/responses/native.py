"""A Responses body for a host that speaks the API itself: only the model's name may be another one."""

import json

from qwen_worker.json_scan import scan_object, skip_spaces
from qwen_worker.validation import body_text


def native_body(raw: bytes, model: str) -> bytes:
    """The client's bytes, with the host's name of the model. The body has been parsed before."""
    raw, text = body_text(raw)
    member = scan_object(text, skip_spaces(text, 0)).members.get("model")
    name = json.dumps(model).encode()
    if member is None:
        start = text.index("{") + 1
        return raw[:start] + b'"model":' + name + b"," + raw[start:]
    return raw if member.value == model else raw[: member.value_start] + name + raw[member.end :]
