"""The accounts that the gateway calls Qwen with, as the variables describe them.

    QWEN_CLI_AUTH, QWEN_CLI_AUTH_2 ... _20     logins: objects as in the CLI's `oauth_creds.json`
    QWEN_API_KEY,  QWEN_API_KEY_2  ... _20     keys: the bare key, or an object with the member `api_key`

Each variable holds one account or a JSON array of them; numbers may be left out. This module reads the common
case, a bare key and nothing else. `descriptions` reads all others, and is loaded only then.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen_worker.config.account import DEFAULT_PRIORITIES, AccountSettings, is_bare_key
from qwen_worker.config.text import api_key_text

if TYPE_CHECKING:
    from qwen_worker.config.descriptions import Mended, Report

HIGHEST_NUMBER = 20
"""The last of the numbered variables that is looked for."""

Get = Callable[[str], str | None]
"""Looks up a variable; None if it is not set or blank."""


def read_accounts(get: Get, report: "Report", mended: "Mended") -> tuple[AccountSettings, ...]:
    """Every account that can be used, the logins first, in the order of the variables.

    What is wrong with the others goes to `report`, what was mended to `mended`. It is fatal when the only
    accounts are keys that cannot be used. Without any account among the variables there may be a login in KV.
    """
    given: dict[str, str] = {}
    for variable in ("QWEN_CLI_AUTH", "QWEN_API_KEY"):
        for name in (variable, *(f"{variable}_{number}" for number in range(2, HIGHEST_NUMBER + 1))):
            text = get(name)
            if text is not None:
                given[name] = text
    text = given.get("QWEN_API_KEY")
    if text is not None and len(given) == 1 and is_bare_key(text):
        key = api_key_text(text)
        if key is not None:
            priority = DEFAULT_PRIORITIES["api_key"]
            return (AccountSettings("api_key", "QWEN_API_KEY", "key", priority, api_key=key),)
    from qwen_worker.config.descriptions import described_accounts

    return described_accounts(given, report, mended)
