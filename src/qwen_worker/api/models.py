"""GET /v1/models and GET /v1/models/{id}."""

from urllib.parse import unquote

from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.auth import may_use
from qwen_worker.models import catalogue, find_model, model_not_found


async def list_models(context: Context) -> None:
    """The catalogue: `{"object": "list", "data": [{"id", "object", "created", "owned_by"}, ...]}`, of the
    models that the client's key may use.
    """
    settings, client = context.settings, context.client
    listed = catalogue(settings.models, settings.model_aliases)
    if client.models:
        listed = [model for model in listed if may_use(client, model["id"], settings.model_aliases)]
    context.respond(json_response({"object": "list", "data": listed}))


async def retrieve_model(context: Context) -> None:
    """One entry of the catalogue; the id may hold an encoded slash. Raises NotFound (model_not_found)."""
    settings = context.settings
    model = find_model(unquote(context.argument), settings.models, settings.model_aliases)
    if not may_use(context.client, model["id"], settings.model_aliases):
        raise model_not_found()
    context.respond(json_response(model))
