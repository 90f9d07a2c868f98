"""`make login-secret`: the login of the Qwen Code CLI becomes a secret of the deployed Worker.

`FILE=` names another file than `~/.qwen/oauth_creds.json`, `SECRET=` another secret than QWEN_CLI_AUTH. The
login is checked here, never printed, and handed to `wrangler secret put` on its standard input.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import NoReturn

from tools import setup_environment
from tools.checks import report, stop_at_errors
from tools.toolchain import wrangler_tools
from tools.wrangler import LOGIN_REMEDY, is_logged_in, put_secret

_NAME = re.compile(r"QWEN_CLI_AUTH(_([2-9]|1\d|20))?")


def main() -> None:
    """Sets the secret, or ends with 1 after saying what is missing."""
    setup_environment.check_python()
    # Only now: an old Python cannot load the Worker's modules.
    from tools.cli_login import DEFAULT_FILE, UnusableLogin, read_cli_login
    from tools.login_expiry import login_check

    name = secret_name()
    file = Path(os.environ.get("FILE") or DEFAULT_FILE).expanduser()
    try:
        login = read_cli_login(file)
    except UnusableLogin as problem:
        fail(f"{problem}. Log in with make login or the Qwen Code CLI, or name another file: FILE=...")
    stop_at_errors("login-secret", [login_check(str(file), login.token, int(time.time() * 1000))])
    make_ready("login-secret")
    exit_code = put_secret(name, login.secret)
    if exit_code:
        fail(f"wrangler ended with exit code {exit_code}; {name} is not set")
    print(f"login-secret: {name} is set. From now on the gateway renews this login: the copy in {file} stops")
    print("working with the first renewal, so log in anew before you use the CLI again.")


def secret_name() -> str:
    """The secret that SECRET names, QWEN_CLI_AUTH if it is not set. Ends the program if it holds no login."""
    name = os.environ.get("SECRET") or "QWEN_CLI_AUTH"
    if not _NAME.fullmatch(name):
        fail("SECRET must be QWEN_CLI_AUTH or QWEN_CLI_AUTH_2 ... QWEN_CLI_AUTH_20")
    return name


def make_ready(program: str) -> None:
    """Installs wrangler; ends the program if a tool or the login at Cloudflare is missing."""
    if "error" in report(wrangler_tools()):
        sys.exit(f"{program}: this needs wrangler, and wrangler what is marked as error")
    setup_environment.main(["--deploy"])
    if not is_logged_in():
        sys.exit(f"{program}: wrangler is not logged in to Cloudflare, or cannot reach it: {LOGIN_REMEDY}")


def fail(message: str) -> NoReturn:
    """Ends with a message."""
    sys.exit(f"login-secret: {message}")


if __name__ == "__main__":
    main()
