"""The login that the Qwen Code CLI leaves in `~/.qwen/oauth_creds.json`, fit to become a secret."""

import json
from pathlib import Path
from typing import NamedTuple

from qwen_worker.config.login import CredentialFormatError, OAuthToken, oauth_token_from
from qwen_worker.config.pasted_json import canonical, read_json
from tools.dev_vars import decode_text

DEFAULT_FILE = Path("~/.qwen/oauth_creds.json")

SECRET_LIMIT_BYTES = 5 * 1024
"""Cloudflare's limit for the value of one secret."""

_MEMBERS = (
    *("access_token", "refresh_token", "token_type", "resource_url", "expiry_date"),
    *("label", "base_url", "models", "priority"),
)
"""What the gateway reads of a login. The rest, such as an id_token, stays on this machine."""


class UnusableLogin(Exception):
    """The file holds no login that the gateway could use. The message holds no value of it."""


class CliLogin(NamedTuple):
    """A login, and the JSON text on one line that QWEN_CLI_AUTH takes."""

    token: OAuthToken
    secret: str


def read_cli_login(file: Path) -> CliLogin:
    """Reads and checks the login in `file`. Raises UnusableLogin."""
    try:
        value, _ = canonical(read_json(decode_text(file.read_bytes()))[0], "oauth")
        token = oauth_token_from(value)
    except OSError as problem:
        raise UnusableLogin(f"{file} cannot be read: {problem.strerror}") from None
    except CredentialFormatError as problem:
        raise UnusableLogin(f"{file} is not the login of the Qwen Code CLI: {problem}") from None
    except (ValueError, RecursionError):
        raise UnusableLogin(f"{file} is not the login of the Qwen Code CLI: expected a JSON object") from None
    kept = {name: value[name] for name in _MEMBERS if name in value}
    secret = json.dumps(kept, separators=(",", ":"))
    size_bytes = len(secret.encode())
    if size_bytes > SECRET_LIMIT_BYTES:
        raise UnusableLogin(
            f"the login in {file} has {size_bytes} bytes; a secret of Cloudflare holds {SECRET_LIMIT_BYTES}"
        )
    return CliLogin(token, secret)
