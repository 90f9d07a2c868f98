"""`make dev`: serves the Worker on the embedded runtime until Ctrl-C.

With a `.dev.vars` file the Worker talks to whatever that configures. Without one, the Qwen simulator is
started beside it and the Worker is given a login there, so that it answers without an account. When workerd
dies, wrangler goes on without it and nothing answers any more, so this starts both again.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias

from tools.dev_instructions import instructions
from tools.dev_vars import decode_text, read_dev_vars
from tools.embedded_wrangler import dev_command, dev_environment, workerd_count
from tools.network import NotReady, port_is_taken, wait_for_answer
from tools.processes import ProcessGroup
from tools.repository import DEV_VARS, LOCAL, ROOT, SOURCE
from tools.worker_config import write_local_config
from tools.wrangler_output import WranglerOutput

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8787
_START_TIMEOUT_SECONDS = 60.0
_LOOK_SECONDS = 0.5
# An SDK sends a request that kills workerd three times; that alone must not end `make dev`.
_MOST_DEATHS = 5
_DEATHS_SECONDS = 60.0
# What workerd answers for a Worker that raised an error; the Worker's own errors have other forms.
CRASHED = 500


class Options(NamedTuple):
    """What the environment asks for. `state` is the folder where the local KV namespace persists."""

    host: str
    port: int
    state: Path

    @property
    def url(self) -> str:
        """Where a client on this machine finds the Worker."""
        return f"http://{DEFAULT_HOST if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104


class Stopped(NamedTuple):
    """Why serving ends; `exit_code` is what to end with."""

    message: str
    exit_code: int


WORKERD_DIED = Stopped(
    f"workerd died {_MOST_DEATHS} times within {_DEATHS_SECONDS:g} s; see its messages above", 1
)
Events: TypeAlias = "queue.SimpleQueue[Stopped]"


def main() -> None:
    """Serves until Ctrl-C, SIGTERM or the end of wrangler, then ends every process it started."""
    with_simulator = not DEV_VARS.exists()
    options = read_options(os.environ, with_simulator=with_simulator)
    if port_is_taken(options.host, options.port):
        fail(f"port {options.port} on {options.host} is in use; choose another one: make dev PORT=8788")
    # SimpleQueue is safe to use from a signal handler.
    events: Events = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: events.put(Stopped("stopped", 0)))
    with ExitStack() as cleanup:
        variables = start_simulator(cleanup) if with_simulator else {}
        end = serve(options, variables, events)
    say(end.message)
    sys.exit(end.exit_code)


def read_options(environment: Mapping[str, str], *, with_simulator: bool) -> Options:
    """PORT, HOST and STATE; each may be empty or missing. Ends with a message for a PORT that is none."""
    port = environment.get("PORT") or str(DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        fail(f"PORT must be a number from 1 to 65535, not {port!r}")
    # The simulator's logins stay away from the state of a real account.
    default_state = LOCAL / ("simulator-state" if with_simulator else "state")
    return Options(
        host=environment.get("HOST") or DEFAULT_HOST,
        port=int(port),
        state=Path(environment.get("STATE") or default_state).absolute(),
    )


def start_simulator(cleanup: ExitStack) -> dict[str, str]:
    """Starts the Qwen simulator on a free loopback port; returns the variables that lead the Worker to it."""
    announced: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def relay(line: str) -> None:
        if line.startswith("{"):
            announced.put(json.loads(line))
        else:
            print(f"simulator: {line}", flush=True)

    simulator = ProcessGroup(
        [sys.executable, "-m", "tests.simulator", "--announce"],
        cwd=ROOT,
        environment=os.environ,
        on_line=relay,
        on_end=lambda: announced.put(None),
    )
    cleanup.callback(simulator.stop)
    announcement = announced.get()
    if announcement is None:
        fail("the Qwen simulator did not start")
    say(f"no .dev.vars file: talking to a simulated Qwen on {announcement['base_url']}, no account needed")
    return {
        "QWEN_CLI_AUTH": json.dumps(announcement["oauth_creds"]),
        "QWEN_OAUTH_BASE_URL": announcement["base_url"],
    }


def serve(options: Options, variables: Mapping[str, str], events: Events) -> Stopped:
    """Runs the Worker, again each time that workerd dies; returns why that is over.

    It gives up when workerd has died `_MOST_DEATHS` times within `_DEATHS_SECONDS`.
    """
    deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
    while True:
        worker = Worker(options, variables, events, is_first=not deaths)
        event = events.get()
        worker.stop()
        if event is not WORKERD_DIED:
            return event
        deaths.append(time.monotonic())
        if len(deaths) == _MOST_DEATHS and deaths[-1] - deaths[0] < _DEATHS_SECONDS:
            return event
        say("workerd died; starting it again")


class Worker:
    """wrangler and the workerd processes that it starts.

    Puts into `events` why it cannot go on, unless it is being stopped. If it `is_first`, it shows how to talk
    to it once it answers.
    """

    def __init__(
        self, options: Options, variables: Mapping[str, str], events: Events, *, is_first: bool
    ) -> None:
        self._options = options
        self._events = events
        self._is_first = is_first
        self._stopping = threading.Event()
        self._output = WranglerOutput()
        self._is_ready = False
        directory = LOCAL / "dev" / str(options.port)
        try:
            config = write_local_config(directory, SOURCE, variables)
        except subprocess.CalledProcessError:
            fail("the page cannot be completed; see the message above")
        provide_dev_vars(directory)
        self._group = ProcessGroup(
            dev_command(config, host=options.host, port=options.port, state=options.state),
            cwd=directory,
            environment=dev_environment(directory),
            on_line=self._hear,
            on_end=lambda: self._report(Stopped("wrangler ended by itself; see its messages above", 1)),
        )

    def stop(self) -> None:
        """Ends wrangler and every process it started."""
        self._stopping.set()
        self._group.stop()

    def _report(self, event: Stopped) -> None:
        if not self._stopping.is_set():
            self._events.put(event)

    def _hear(self, line: str) -> None:
        shown = self._output.readable(line)
        if shown is not None:
            print(shown, flush=True)
        if self._output.ready and not self._is_ready:
            self._is_ready = True
            for work in (self._watch_workerd, self._announce):
                threading.Thread(target=work, daemon=True).start()

    def _watch_workerd(self) -> None:
        """Reports when, at two looks in a row, fewer workerd processes run than have run before.

        At one look only, wrangler may be replacing one because a file was saved.
        """
        most = missed = 0
        while missed < 2:
            count = workerd_count(self._group.pid)
            most = max(most, count)
            missed = missed + 1 if count < most else 0
            if self._stopping.wait(_LOOK_SECONDS):
                return
        self._report(WORKERD_DIED)

    def _announce(self) -> None:
        """Waits until the Worker answers, which compiles it, and then shows how to talk to it."""
        try:
            health = wait_for_answer(
                f"{self._options.url}/health",
                timeout_seconds=_START_TIMEOUT_SECONDS,
                still_running=lambda: not self._stopping.is_set() and self._group.exit_code() is None,
            )
        except NotReady as error:
            self._report(Stopped(str(error), 1))
            return
        if health.status == CRASHED:
            say("the Worker does not start: see its error above; saving a file restarts it")
        elif '"ok"' not in health.body:
            say(f"the Worker reports trouble with its configuration: {health.body}")
        if self._is_first:
            print(instructions(self._options.url, needs_key=needs_client_key()), flush=True)


def provide_dev_vars(directory: Path) -> None:
    """Lets wrangler find `.dev.vars` beside the derived configuration, where it looks for it.

    A copy stands in for a file that it cannot read: it knows UTF-8 only.
    """
    place = directory / DEV_VARS.name
    place.unlink(missing_ok=True)
    if not DEV_VARS.exists():
        return
    data = DEV_VARS.read_bytes()
    try:
        readable = decode_text(data).encode()
    except UnicodeError:
        fail(f"{DEV_VARS.name} is neither UTF-8 nor UTF-16 text: save it as UTF-8")
    if readable == data:
        place.symlink_to(DEV_VARS)
    else:
        place.touch(mode=0o600)
        place.write_bytes(readable)


def needs_client_key() -> bool:
    """Tells whether `.dev.vars` sets client keys, so that clients must send one."""
    values = read_dev_vars(DEV_VARS)
    return any(values.get(name) for name in ("CLIENT_KEYS", "OPENAI_API_KEY"))


def say(message: str) -> None:
    """Prints a line of our own."""
    print(f"dev: {message}", flush=True)


def fail(message: str) -> NoReturn:
    """Ends with a message."""
    sys.exit(f"dev: {message}")


if __name__ == "__main__":
    main()
