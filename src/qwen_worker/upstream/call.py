"""What a call to Qwen is made of."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from qwen_worker.config.settings import Settings
from qwen_worker.credentials.credential import Credential
from qwen_worker.upstream.hosts import HostFamily, family_of


class Target(NamedTuple):
    """Where a request goes, as far as its body depends on it."""

    kind: Literal["oauth", "api_key"]
    family: HostFamily
    default_model: str
    aliases: Mapping[str, str]


def target_for(credential: Credential, settings: Settings) -> Target:
    """The target of a call with this credential."""
    return Target(credential.kind, family_of(credential), settings.default_model, settings.model_aliases)
