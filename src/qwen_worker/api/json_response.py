"""A response of JSON."""

import json
from typing import Any

from qwen_worker.platform.ports import Response


def json_response(body: Any, *, indent: int | None = None, **headers: str) -> Response:
    """A 200 with `body` as JSON text; `headers` by their names with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(200, {"content-type": "application/json", **named}, json.dumps(body, indent=indent))
