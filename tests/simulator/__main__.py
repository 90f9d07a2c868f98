"""Run the simulator by itself: `python -m tests.simulator`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from tests.simulator.config import DEFAULT_API_KEY, SimulatorConfig
from tests.simulator.oauth import Login
from tests.simulator.server import QwenSimulator


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = _parser().parse_args()
    config = SimulatorConfig(
        host=options.host,
        port=options.port,
        chunk_delay_ms=options.chunk_delay_ms,
        access_token_lifetime_seconds=options.access_token_seconds,
        portal_rules=options.portal_rules,
        closed_tier=options.closed_tier,
        accept_any_credentials=options.accept_any_credentials,
        record_bodies=not options.no_bodies,
        api_keys=tuple(options.api_key or (DEFAULT_API_KEY,)),
    )
    try:
        asyncio.run(_serve(config, announce=options.announce))
    except OSError as error:
        sys.exit(f"the Qwen simulator cannot listen on {config.host}:{config.port}: {error.strerror}")


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorConfig()
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator", description="A stand-in for Qwen on loopback."
    )
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument(
        "--announce", action="store_true", help="print one line of JSON instead of text for people"
    )
    parser.add_argument("--chunk-delay-ms", type=float, default=20.0, help="pace of streams (default 20)")
    parser.add_argument("--access-token-seconds", type=float, default=defaults.access_token_lifetime_seconds)
    parser.add_argument("--portal-rules", choices=("oauth", "always", "never"), default=defaults.portal_rules)
    parser.add_argument("--closed-tier", action="store_true", help="refreshes succeed, the API answers 401")
    parser.add_argument("--accept-any-credentials", action="store_true")
    parser.add_argument("--api-key", action="append", help="a static API key to accept; repeatable")
    parser.add_argument(
        "--no-bodies", action="store_true", help="do not keep bodies of requests (load tests)"
    )
    return parser


async def _serve(config: SimulatorConfig, *, announce: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with QwenSimulator(config) as simulator:
        login = simulator.create_login()
        print(_announcement(simulator, login) if announce else _greeting(simulator, login), flush=True)
        await stop.wait()


def _announcement(simulator: QwenSimulator, login: Login) -> str:
    return json.dumps(
        {
            "base_url": simulator.url,
            "api_url": simulator.api_url,
            "oauth_creds": login.credentials(),
            "api_key": simulator.config.api_keys[0],
        }
    )


def _greeting(simulator: QwenSimulator, login: Login) -> str:
    return "\n".join(
        (
            f"Qwen simulator on {simulator.url}",
            f"  QWEN_OAUTH_BASE_URL={simulator.url}",
            f"  QWEN_CLI_AUTH={json.dumps(login.credentials())}",
            f"  or OPENAI_BASE_URL={simulator.api_url} with QWEN_API_KEY={simulator.config.api_keys[0]}",
        )
    )


if __name__ == "__main__":
    main()
