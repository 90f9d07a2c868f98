"""Run the simulator by itself: `python -m tests.simulator`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from tests.simulator.config import SimulatorConfig
from tests.simulator.oauth import Login
from tests.simulator.server import QwenSimulator


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    options = _parser().parse_args()
    config = SimulatorConfig(host=options.host, port=options.port, chunk_delay_ms=options.chunk_delay_ms)
    try:
        asyncio.run(_serve(config, announce=options.announce))
    except OSError as error:
        sys.exit(f"the Qwen simulator cannot listen on {config.host}:{config.port}: {error.strerror}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Play Qwen on loopback.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--announce", action="store_true", help="print one line of JSON, for a program")
    parser.add_argument("--chunk-delay-ms", type=float, default=20.0, help="pace of streams (default 20)")
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
