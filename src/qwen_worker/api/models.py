"""GET /v1/models and GET /v1/models/{id}, in OpenAI's shape, or in Anthropic's for its clients."""

from urllib.parse import unquote

from qwen_worker.api.anthropic_clients import speaks_anthropic
from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.models import catalogue, find_model


async def list_models(context: Context) -> None:
    """The catalogue: `{"object": "list", "data": [{"id", "object", "created", "owned_by"}, ...]}`, or, for
    Anthropic's clients, a page of it.
    """
    settings = context.settings
    listed = catalogue(settings.models, settings.model_aliases)
    if speaks_anthropic(context.request):
        from qwen_worker.api.messages.models import page

        context.respond(json_response(page(listed, context.request.query)))
        return
    context.respond(json_response({"object": "list", "data": listed}))


async def retrieve_model(context: Context) -> None:
    """One entry of the catalogue; the id may hold an encoded slash. Raises NotFound (model_not_found)."""
    settings = context.settings
    model = find_model(unquote(context.argument), settings.models, settings.model_aliases)
    if speaks_anthropic(context.request):
        from qwen_worker.api.messages.models import model_info

        context.respond(json_response(model_info(model)))
        return
    context.respond(json_response(model))
