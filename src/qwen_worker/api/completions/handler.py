"""POST /v1/completions."""

import json
import re
from urllib.parse import urlsplit
from zlib import crc32

from qwen_worker.api.body import read_body
from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.completions.answer import AnswerFacts, CompletionStream, Series, completion_from
from qwen_worker.api.completions.bridge import chat_body
from qwen_worker.api.completions.gap import Gap, gap_of, marked
from qwen_worker.api.completions.request import CompletionsRequest, parse_completions_request
from qwen_worker.api.context import Context
from qwen_worker.api.gather import Gathering, summed_usage
from qwen_worker.api.json_response import json_response
from qwen_worker.api.proxy import proxy
from qwen_worker.dialect import Completion
from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.upstream.rules.common import name_the_model
from qwen_worker.upstream.rules.draft import Draft

PATH = "/completions"
HOST = "dashscope.aliyuncs.com"
"""The one host that has completions (Model Studio, Completions)."""

_has_completions = re.compile(r"qwen-coder-turbo.*|qwen2\.5-coder-.*").fullmatch
"""The models that it has them for."""


async def create_completion(context: Context) -> None:
    """Has a text continued, or a gap filled; of several prompts, each by a call of its own."""
    request = parse_completions_request(await read_body(context))
    context.log.debug("new completion request", stream=request.stream, model=request.model)
    series = Series(len(request.prompts)) if len(request.prompts) > 1 else None
    prompts = [_Prompt(request, number, context, series) for number in range(len(request.prompts))]
    if series is None:
        calls = [prompts[0].call()]
        del request, prompts  # nobody keeps the request while a stream lasts
        await proxy(calls.pop(), context)
    elif request.stream:
        from qwen_worker.api.in_turn import StreamInTurn

        await StreamInTurn([prompt.call() for prompt in prompts], context).stream()
    else:
        await _answer_all(request, prompts, context)


class _Prompt:
    """One prompt on its way to whichever host; `series`: those that it is one of."""

    def __init__(
        self, request: CompletionsRequest, number: int, context: Context, series: Series | None
    ) -> None:
        self._request = request
        self._prompt = prompt = request.prompts[number]
        self._gap = gap_of(prompt, request.suffix)
        self._errors = context.errors
        self._series = series
        self._dialect = ChatDialect(include_usage=request.include_usage)
        self.facts = AnswerFacts(
            prompt if request.echo else "",
            request.stops,
            bool(self._gap.after),
            request.include_usage,
            request.choices,
            number * request.choices,
        )

    def call(self) -> Call:
        """What is asked of an account. Errors, streams and their ends are as those of chat completions."""
        request = self._request
        return Call(request.model, request.stream, self._affinity_key, self._dialect, self.prepare)

    def _affinity_key(self) -> int:
        return crc32(self._prompt[:4096].encode("utf-8", "replace"))

    def prepare(self, target: Target) -> Prepared:
        """The prompt as one host takes it. Raises InvalidRequest."""
        if has_completions(target, echo=self._request.echo):
            url, body = (
                f"{target.base_url}{PATH}",
                _native_body(self._request, self._prompt, self._gap, target),
            )
            if self._series is None:
                return Prepared(url, body, self._dialect)
            # It is only numbered anew: the host has seen to the rest.
            facts = self.facts._replace(echo="", stops=(), may_be_fenced=False)
        else:
            chat = chat_body(self._request, self._gap, target)
            url, body = prepare_bridged(bridged_body(chat), target.model, target)
            facts = self.facts
        translator = CompletionStream(facts, event_error=self._errors.in_event, series=self._series)
        return Prepared(url, body, self._dialect, translator)


def has_completions(target: Target, *, echo: bool) -> bool:
    """Whether a host is asked for a completion itself: as its account says, or where it is known to answer
    for the model, without an echo.
    """
    if target.ways.completions is not None:
        return target.ways.completions == "native"
    is_known = urlsplit(target.base_url).hostname == HOST and _has_completions(target.model) is not None
    return is_known and not echo


def _native_body(request: CompletionsRequest, prompt: str, gap: Gap, target: Target) -> bytes:
    """The client's own bytes if nothing is different."""
    draft = Draft(request.body, request.model, target.model)
    name_the_model(draft)
    for name in draft.body.members:
        if name not in request.fields:  # null
            draft.drop(name)
    if request.suffix:
        draft.drop("suffix")
        draft.set("prompt", None, json.dumps(marked(gap)))
    elif not isinstance(request.fields["prompt"], str):
        draft.set("prompt", None, json.dumps(prompt))
    if not request.stream:
        for name in ("stream", "stream_options"):
            draft.drop(name)
    return draft.to_bytes()


async def _answer_all(request: CompletionsRequest, prompts: list[_Prompt], context: Context) -> None:
    """Answers several prompts together, when all answers are there."""
    gathering = Gathering([prompt.call() for prompt in prompts], context)
    completions = await gathering.answers(
        lambda number, answer: completion_from(answer.value, prompts[number].facts)
    )
    choices = [choice for completion in completions for choice in completion["choices"]]
    usage = summed_usage(completion.get("usage") for completion in completions)
    response = json_response({**completions[0], "choices": choices, **({"usage": usage} if usage else {})})
    response.headers.update(gathering.headers)
    size_bytes = len(response.body) if isinstance(response.body, str | bytes) else 0
    context.respond(response)
    gathering.log_end(Completion(None, choices[0]["finish_reason"], usage), size_bytes)
