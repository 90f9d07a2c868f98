"""`make deploy`: says what is missing before anything is sent, and hands over to pywrangler.

pywrangler vendors the Workers SDK with uv and then runs the wrangler that package.json pins. Arguments are
passed on; with `--dry-run` nothing is sent, so no login at Cloudflare is needed.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tools import setup_environment
from tools.checks import Check, error, note, ok, report, stop_at_errors, warning
from tools.pywrangler import pywrangler_command
from tools.toolchain import deployment_tools
from tools.wrangler import LOGIN_REMEDY, is_logged_in, secret_names

if TYPE_CHECKING:
    from collections.abc import Collection

_CREDENTIAL = re.compile(r"(QWEN_CLI_AUTH|QWEN_API_KEY)(_\d+)?")


def main() -> None:
    """Replaces itself with `pywrangler deploy`, or ends with 1 after saying what is missing."""
    setup_environment.check_python()
    arguments = sys.argv[1:]
    print("Before the deployment")
    stop_at_errors("deploy", deployment_tools())
    setup_environment.main(["--deploy"])
    if "--dry-run" not in arguments:
        stop_at_errors("deploy", [login_check(logged_in=is_logged_in())])
        report(secret_checks(secret_names(), plain_variables()))
    setup_environment.replace_process(pywrangler_command("deploy", *arguments))


def login_check(*, logged_in: bool) -> Check:
    """Whether wrangler may act for an account at Cloudflare."""
    if logged_in:
        return ok("logged in to Cloudflare")
    return error("wrangler is not logged in to Cloudflare, or cannot reach it", LOGIN_REMEDY)


def secret_checks(secrets: Collection[str] | None, variables: Collection[str]) -> list[Check]:
    """Which secrets the gateway will miss. None of this stops a deployment: they can be set afterwards.

    `secrets` are the names of those that are set, None where the Worker is not there yet; `variables` are the
    names under `[vars]` in wrangler.toml.
    """
    if secrets is None:
        return [
            note(
                "no Worker of this name yet: this deployment makes it, without credentials or client keys",
                "then set: npx wrangler secret put CLIENT_KEYS, and make login-secret "
                "or npx wrangler secret put QWEN_API_KEY",
            )
        ]
    names = {*secrets, *variables}
    checks = []
    if any(_CREDENTIAL.fullmatch(name) for name in names):
        checks.append(ok("a credential for Qwen is set"))
    else:
        checks.append(
            warning(
                "no credential for Qwen is set: requests will be answered with 503 credentials_missing",
                "make login-secret, or: npx wrangler secret put QWEN_API_KEY",
            )
        )
    if names & {"CLIENT_KEYS", "OPENAI_API_KEY"}:
        checks.append(ok("client keys are set"))
    else:
        checks.append(
            warning(
                "CLIENT_KEYS is not set: anyone who finds the URL can use your account",
                "npx wrangler secret put CLIENT_KEYS",
            )
        )
    return checks


def plain_variables() -> set[str]:
    """The names under `[vars]` in wrangler.toml."""
    from tools.worker_config import production_config  # needs Python 3.11

    return set(production_config().get("vars", {}))


if __name__ == "__main__":
    main()
