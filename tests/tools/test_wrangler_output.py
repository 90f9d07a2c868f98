import json

from tools.wrangler_output import WranglerOutput

START = """
 ⛅️ wrangler 3.92.0 (update available 4.156.0)
----------------------------------------------

▲ [WARNING] The version of Wrangler you are using is now out-of-date.

  Please update to the latest version to prevent critical errors.
  Run `npm install --save-dev wrangler@4` to update to the latest version.
  After installation, run Wrangler with `npx wrangler`.

Using vars defined in .dev.vars
Your worker has access to the following bindings:
- KV Namespaces:
  - QWEN_KV: qwen_kv (local)
- Vars:
  - OPENAI_API_KEY: "test-client-key,
another-client-key"
[wrangler:wrn] Unable to fetch the `Request.cf` object! Falling back to a default placeholder...
Error: getaddrinfo ENOTFOUND workers.cloudflare.com
    at GetAddrInfoReqWrap.onlookupall [as oncomplete] (node:dns:122:26)
Attaching additional modules:
┌─────────────────┬────────┬──────────┐
│ qwen_worker/... │ python │ 0.00 KiB │
└─────────────────┴────────┴──────────┘
⎔ Starting local server...
"""
READY = "[wrangler:inf] Ready on http://127.0.0.1:8787\n"


def shown(text: str) -> list[str]:
    output = WranglerOutput()
    lines = [output.readable(line) for line in text.splitlines(keepends=True)]
    return [line for line in lines if line is not None]


def test_nothing_of_the_start_is_shown_and_no_variable() -> None:
    assert shown(START) == []


def test_ready_is_noticed_not_shown() -> None:
    output = WranglerOutput()
    assert not output.ready

    assert output.readable(READY) is None

    assert output.ready


def test_log_events_are_shown_bare_on_whichever_stream() -> None:
    event = json.dumps({"level": "error", "event": "unexpected error"})

    assert shown(f"{START}{READY}{event}\n") == [event]
    assert shown(f"\x1b[31m✘ \x1b[41;31m[\x1b[41;97mERROR\x1b[41;31m]\x1b[0m \x1b[1m{event}\x1b[0m\n") == [
        event
    ]
    assert shown(f"  {event}\n") == [event]


def test_requests_are_shown() -> None:
    assert shown("[wrangler:inf] GET /v1/models 200 OK (3ms)\n") == ["GET /v1/models 200 OK (3ms)"]


def test_a_python_traceback_is_shown_without_the_javascript_below_it() -> None:
    crash = """✘ [ERROR] PythonError: Traceback (most recent call last):
    File "/session/metadata/entry.py", line 5, in <module>
  ModuleNotFoundError: No module named 'nothing'
      at new_error (pyodide-internal:generated/emscriptenSetup:453:14)
      at wasm://wasm/0265dd42:wasm-function[300]:0x16c818
      at [object Object]x16c972
"""
    assert shown(crash) == crash.splitlines()[:3]


def test_unknown_trouble_is_shown() -> None:
    assert shown("✘ [ERROR] Something new went wrong\n") == ["✘ [ERROR] Something new went wrong"]
    assert shown("▲ [WARNING] Take care\n") == ["▲ [WARNING] Take care"]
