"""A stand-in for Qwen on loopback: the OAuth endpoints of chat.qwen.ai and the chat completions API.

    async with QwenSimulator(SimulatorConfig()) as simulator: ...
    with run_in_thread() as simulator: ...
    python -m tests.simulator --announce

The README beside this file tells how to select a fault.
"""

from tests.simulator.config import CLIENT_ID, DEFAULT_API_KEY, SimulatorConfig
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import Fault, Simulation, ToolCall
from tests.simulator.in_thread import run_in_thread
from tests.simulator.named_faults import NAMED_FAULTS
from tests.simulator.oauth import Login
from tests.simulator.recording import ReceivedRequest, disconnected, ended, received
from tests.simulator.server import QwenSimulator

__all__ = [
    "CLIENT_ID",
    "DEFAULT_API_KEY",
    "NAMED_FAULTS",
    "Fault",
    "FaultQueue",
    "Login",
    "QwenSimulator",
    "ReceivedRequest",
    "Simulation",
    "SimulatorConfig",
    "ToolCall",
    "disconnected",
    "ended",
    "received",
    "run_in_thread",
]
