"""GET /v1/models and GET /v1/models/{id}."""

import json
from urllib.parse import unquote

from qwen_worker.api.context import Context
from qwen_worker.models import catalogue, find_model
from qwen_worker.platform.ports import Response

JSON_HEADERS = {"content-type": "application/json"}


async def list_models(context: Context) -> Response:
    """The catalogue: `{"object": "list", "data": [{"id", "object", "created", "owned_by"}, ...]}`."""
    settings = context.settings
    listed = {"object": "list", "data": catalogue(settings.models, settings.model_aliases)}
    return Response(200, dict(JSON_HEADERS), json.dumps(listed))


async def retrieve_model(context: Context, encoded_id: str) -> Response:
    """One entry of the catalogue; the id may hold an encoded slash. Raises NotFound (model_not_found)."""
    settings = context.settings
    model = find_model(unquote(encoded_id), settings.models, settings.model_aliases)
    return Response(200, dict(JSON_HEADERS), json.dumps(model))
