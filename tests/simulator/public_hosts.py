"""Qwen's public hosts, played by name: what each has, whose keys it takes, which clients it serves.

A request that names one of them in its `Host` header is first held against the host's rules; the simulator's
endpoints answer what is left. State of November 2026 (apis-on-the-wire, sections 1 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_object, as_text
from tests.simulator.recording import ReceivedRequest

_COMPATIBLE: Final = "/compatible-mode/v1"
_ANTHROPIC: Final = ("/apps/anthropic/v1/messages", "/apps/anthropic/v1/messages/count_tokens")
_CODING_TOOLS: Final = ("QwenCode/", "claude-cli/", "codex_exec/", "Cline/")
_DASHSCOPE_MODELS: Final = ("qwen3-coder-plus", "qwen3.7-plus", "qwen3-max", "text-embedding-v4")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicHost:
    """One host. `key` is the only one that it has issued; None: it takes logins."""

    key: str | None
    paths: frozenset[str]
    models: tuple[str, ...]
    lists_models_openly: bool = False
    coding_tools_only: bool = False

    def answer(self, record: ReceivedRequest) -> Fault | None:
        """Return the host's own answer; None if an endpoint of the simulator gives it."""
        if record.path not in self.paths:
            return _error(404, "not_found", "Not Found")
        agent = record.headers.get("User-Agent") or ""
        if self.coding_tools_only and not agent.startswith(_CODING_TOOLS):
            body: JsonObject = {"error": "Coding Plan is currently only available for Coding Agents"}
            return Fault(status=405, body=body)
        is_list = record.path.endswith("/models")
        key = record.headers.get("x-api-key") or record.bearer
        if self.key is not None and key != self.key and not (is_list and self.lists_models_openly):
            if record.path in _ANTHROPIC:
                wrong: JsonObject = {"message": "invalid api-key", "type": "authentication_error"}
                return Fault(status=403, body=wrong)
            return Fault.model_validate("invalid_api_key" if self.coding_tools_only else "incorrect_api_key")
        if is_list:
            data: list[JsonValue] = [{"id": name, "object": "model"} for name in self.models]
            return Fault(status=200, body={"object": "list", "data": data}, content_type="application/json")
        model = as_text(as_object(record.body).get("model"))
        if self.models and model not in self.models:
            if self.coding_tools_only:
                return _error(400, "invalid_parameter_error", f"model '{model}' is not supported")
            return Fault.model_validate("model_not_found")
        return None


def _error(status: int, code: str, message: str) -> Fault:
    return Fault(
        status=status, body={"error": {"message": message, "type": code, "code": code, "param": None}}
    )


def _dashscope(key: str, *more: str) -> PublicHost:
    apis = ("chat/completions", "responses", "embeddings", "models", *more)
    paths = frozenset((*(f"{_COMPATIBLE}/{api}" for api in apis), *_ANTHROPIC))
    return PublicHost(key=key, paths=paths, models=_DASHSCOPE_MODELS)


def _coding_plan(key: str) -> PublicHost:
    models = ("qwen3-coder-plus", "qwen3.7-plus", "glm-5", "kimi-k2.5")
    paths = frozenset(("/v1/chat/completions", *_ANTHROPIC))
    return PublicHost(key=key, paths=paths, models=models, coding_tools_only=True)


def _token_plan(key: str) -> PublicHost:
    apis = ("chat/completions", "responses", "models")
    paths = frozenset((*(f"{_COMPATIBLE}/{api}" for api in apis), *_ANTHROPIC))
    return PublicHost(key=key, paths=paths, models=("qwen3.8-max", "qwen3.7-plus", "glm-5.2"))


PUBLIC_HOSTS: Final[dict[str, PublicHost]] = {
    "dashscope.aliyuncs.com": _dashscope("sk-simulated-beijing", "completions"),
    "dashscope-intl.aliyuncs.com": _dashscope("sk-simulated-intl"),
    "dashscope-us.aliyuncs.com": _dashscope("sk-simulated-us"),
    "ws-1.ap-southeast-1.maas.aliyuncs.com": _dashscope("sk-simulated-workspace"),
    "coding.dashscope.aliyuncs.com": _coding_plan("sk-sp-simulated-coding"),
    "coding-intl.dashscope.aliyuncs.com": _coding_plan("sk-sp-simulated-coding-intl"),
    "token-plan.cn-beijing.maas.aliyuncs.com": _token_plan("sk-sp-simulated-token"),
    "token-plan.ap-southeast-1.maas.aliyuncs.com": _token_plan("sk-sp-simulated-token-intl"),
    "api-inference.modelscope.cn": PublicHost(
        key="ms-simulated",
        paths=frozenset(("/v1/chat/completions", "/v1/messages", "/v1/models")),
        models=("Qwen/Qwen3-Coder-480B-A35B-Instruct",),
        lists_models_openly=True,
    ),
    "portal.qwen.ai": PublicHost(key=None, paths=frozenset(("/v1/chat/completions",)), models=()),
}

HOST_KEYS: Final = tuple(host.key for host in PUBLIC_HOSTS.values() if host.key is not None)
"""Every key that one of them has issued, for `SimulatorConfig.api_keys`."""
