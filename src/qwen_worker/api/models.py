"""GET /v1/models and GET /v1/models/{id}."""

import json
from urllib.parse import unquote

from qwen_worker.api.context import Context
from qwen_worker.models import catalogue, find_model
from qwen_worker.platform.ports import Response

JSON_HEADERS = {"content-type": "application/json"}


async def list_models(context: Context) -> Response:
    """The catalogue: `{"object": "list", "data": [{"id", "object", "created", "owned_by"}, ...]}`."""
    body = json.dumps({"object": "list", "data": catalogue(context.settings)})
    return Response(200, dict(JSON_HEADERS), body)


async def retrieve_model(context: Context, encoded_id: str) -> Response:
    """One entry of the catalogue; the id may hold an encoded slash. Raises NotFound (model_not_found)."""
    model = find_model(context.settings, unquote(encoded_id))
    return Response(200, dict(JSON_HEADERS), json.dumps(model))
