"""What the tests ask, and what the simulated Qwen is told to answer."""

from typing import Any

from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from openai.types.shared_params import FunctionDefinition

MODEL = "qwen3-coder-plus"

ATTEMPTS = 3
"""How often the gateway sends a request before its client is told of a temporary fault."""

DELTAS = ["Hello", ",", " ha", " ha", " ha", ": ", "你好", " 🙂"]
TEXT = "".join(DELTAS)

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
"""Its answer is TEXT if the request carries `simulate(text=DELTAS)`."""

WEATHER_FUNCTION = FunctionDefinition(
    name="get_weather",
    description="Tells the weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    strict=True,
)
WEATHER_TOOL = ChatCompletionFunctionToolParam(type="function", function=WEATHER_FUNCTION)

CITIES = ["Paris", "東京", "São Paulo"]


def weather_arguments(city: str) -> str:
    """The arguments of a call of get_weather, as a model writes them."""
    return f'{{"city": "{city}", "unit": "celsius"}}'


PARALLEL_CALLS = [{"name": "get_weather", "arguments": weather_arguments(city)} for city in CITIES]
"""For `simulate(tool_calls=PARALLEL_CALLS)`: one call for each of CITIES, in fragments if streamed."""


def simulate(key: str | None = None, **fault: Any) -> dict[str, Any]:
    """The `extra_body` that tells the simulator what to answer (tests/simulator/README.md)."""
    return {"simulate": {**({"key": key} if key else {}), **fault}}
