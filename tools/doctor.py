"""`make doctor`: what is wrong with this machine, the configuration or the gateway, and how to mend it.

`URL=https://...` names another gateway than the local one; OPENAI_API_KEY in the environment is the client
key for it. Ends with 1 if there is an error. Shows no secret. Needs nothing installed but Python.
"""

from __future__ import annotations

import os
import sys
import time

from tools import setup_environment
from tools.checks import report
from tools.repository import DEV_VARS
from tools.toolchain import development_tools


def main() -> None:
    """Prints every check; ends with 1 if one is an error."""
    setup_environment.check_python()
    # Only now: an old Python cannot load the Worker's modules.
    from tools.checks import note
    from tools.cli_login import DEFAULT_FILE, UnusableLogin, read_cli_login
    from tools.configuration_check import client_key, dev_vars_checks
    from tools.endpoint_check import endpoint_checks, is_loopback
    from tools.login_expiry import login_check

    now_ms = int(time.time() * 1000)
    errors = 0
    print("Tools")
    errors += report(development_tools())

    print("\n.dev.vars")
    checks, variables = dev_vars_checks(DEV_VARS, now_ms)
    errors += report(checks)

    print(f"\n{DEFAULT_FILE}")
    file = DEFAULT_FILE.expanduser()
    if not file.exists():
        report([note("there is none: the Qwen Code CLI is not logged in on this machine")])
    else:
        try:
            errors += report([login_check("login", read_cli_login(file).token, now_ms)])
        except UnusableLogin as problem:
            report([note(str(problem), "log in with the Qwen Code CLI again, if you want to use its login")])

    print("\nGateway")
    url = os.environ.get("URL") or local_url()
    own_key = client_key(variables) if is_loopback(url) else None
    key = own_key or os.environ.get("OPENAI_API_KEY") or None
    errors += report(endpoint_checks(url, key, expected=bool(os.environ.get("URL"))))

    print(f"\ndoctor: {'all is well' if not errors else f'{errors} to mend, marked as error'}")
    sys.exit(1 if errors else 0)


def local_url() -> str:
    """Where `make dev` serves with the same PORT and HOST."""
    host = os.environ.get("HOST") or "127.0.0.1"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{os.environ.get('PORT') or 8787}"  # noqa: S104


if __name__ == "__main__":
    main()
