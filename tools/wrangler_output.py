"""Makes the output of `wrangler dev` readable: shows only the Worker's log lines and what went wrong."""

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(\[wrangler[^\]]*\]|✘ \[ERROR\]|▲ \[WARNING\])\s*")
_READY = re.compile(r"^\[wrangler:inf\] Ready on ")
# Blocks whose lines after the first cannot be told from anything else; they end where the next step is
# announced.
_BLOCK_START = re.compile(
    r"Your worker has access to the following bindings:|Unable to fetch the `Request.cf` object"
)
_BLOCK_END = re.compile(r"^(⎔|\[wrangler|Attaching additional modules|Using vars)")
_NOISE = re.compile(
    r"""
      ^\s*⛅️\ wrangler | ^-+$ | ^⎔\ Starting | ^Loading\s*$ | ^Loaded\s*$ | ^🪵
    | ^Attaching\ additional\ modules | ^[┌├│└]
    | ^Using\ vars\ defined\ in
    | The\ version\ of\ Wrangler\ you\ are\ using | ^\s*Please\ update\ to\ the\ latest\ version
    | ^\s*Run\ `npm\ install\ --save-dev\ wrangler | ^\s*After\ installation,\ run\ Wrangler
    | support\ for\ Python\ workers\ is\ currently\ experimental
    | ^\s+at\ .*(pyodide|wasm:|\[object\ Object\])  # the JavaScript below a Python traceback
    | ^workerd/util/symbolizer | ^stack:\ .*workerd@
    """,
    re.VERBOSE,
)


class WranglerOutput:
    """Reads the output line by line and tells what of it to show."""

    def __init__(self) -> None:
        self._in_block = False
        self.ready = False

    def readable(self, line: str) -> str | None:
        """What to show of a line, None for nothing. Sets `ready` when wrangler listens."""
        text = _COLOUR.sub("", line).rstrip()
        if _READY.match(text):
            self.ready = True
            self._in_block = False
            return None
        if _BLOCK_END.match(text):
            self._in_block = False
        if _BLOCK_START.search(text):
            self._in_block = True
        if self._in_block or not text or _NOISE.search(text):
            return None
        return _log_line(text)


def _log_line(text: str) -> str:
    """A request's or a log event's line without wrangler's label; any other line as it is."""
    bare = _PREFIX.sub("", text.strip())
    if bare.startswith("{") or text.startswith("[wrangler:inf]"):
        return bare
    return text
