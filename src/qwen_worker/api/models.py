"""GET /v1/models and GET /v1/models/{id}, in OpenAI's shape, or in Anthropic's for its clients."""

from urllib.parse import unquote

from qwen_worker.api.anthropic_clients import speaks_anthropic
from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.auth import may_use
from qwen_worker.models import ALWAYS_LISTED, Model, catalogue, find_model, model_not_found


async def list_models(context: Context) -> None:
    """The catalogue: `{"object": "list", "data": [{"id", "object", "created", "owned_by"}, ...]}`, or, for
    Anthropic's clients, a page of it; of the models that the client's key may use.
    """
    listed, client = await listed_models(context), context.client
    if client.models:
        aliases = context.settings.model_aliases
        listed = [model for model in listed if may_use(client, model["id"], aliases)]
    if speaks_anthropic(context.request):
        from qwen_worker.api.messages.models import page

        context.respond(json_response(page(listed, context.request.query)))
        return
    context.respond(json_response({"object": "list", "data": listed}))


async def retrieve_model(context: Context) -> None:
    """One entry of the catalogue; the id may hold an encoded slash. Raises NotFound (model_not_found)."""
    listed = await listed_models(context)
    model = find_model(unquote(context.argument), listed, context.settings.model_aliases)
    if not may_use(context.client, model["id"], context.settings.model_aliases):
        raise model_not_found()
    if speaks_anthropic(context.request):
        from qwen_worker.api.messages.models import model_info

        context.respond(json_response(model_info(model)))
        return
    context.respond(json_response(model))


async def listed_models(context: Context) -> list[Model]:
    """What can be used: QWEN_MODELS if it is set, otherwise what the accounts serve: the models that they are
    limited to, or those of their hosts.
    """
    settings = context.settings
    if settings.models:
        return catalogue(settings.models, settings.model_aliases)
    from qwen_worker.accounts.model_lists import host_lists
    from qwen_worker.upstream.host_models import built_in_models

    lists = await host_lists(context.pool, context.runtime, context.log, context.request_id)
    names: list[str | Model] = [settings.default_model]
    if not all(account.settings.models for account in context.pool.accounts):
        names += ALWAYS_LISTED
    for account in context.pool.accounts:
        told = lists.get(account.base_url) if account.settings.kind == "api_key" else None
        if account.settings.models:
            names += account.settings.models
        elif told is not None and told.models is not None:
            names += told.models
        else:
            names += built_in_models(account.settings.kind, account.base_url)
    return catalogue(names, settings.model_aliases)
