"""The source keeps the rules of the runtimes, and each rule finds what it is there to find."""

from pathlib import Path

import pytest

from tests.unit.runtime_rules import RULES, check, check_folder
from tools.repository import SOURCE

JS_OBJECT = "from qwen_worker.platform.interop import js_object\n"

BROKEN = [
    ("live-object-at-import", "import js\nHEADERS = js.Headers.new()"),
    ("live-object-at-import", "from js import Object\nEMPTY = Object.new()"),
    ("live-object-at-import", "from js import JSON as J\nx = [J.parse('{}')]"),
    ("live-object-at-import", "from pyodide import ffi\nX = ffi.to_js([1])"),
    ("live-object-at-import", "from pyodide.ffi import create_proxy\nclass A:\n    p = create_proxy(print)"),
    ("live-object-at-import", JS_OBJECT + "def f(x=js_object({})): pass"),
    ("live-object-at-import", "try:\n    X = Thing.new()\nexcept Exception: pass"),
    ("unpredictable-at-import", "import random\nSALT = random.random()"),
    ("unpredictable-at-import", "from os import urandom as u\nSALT = u(8)"),
    ("unpredictable-at-import", "import time\nclass A:\n    started = time.time()"),
    ("unpredictable-at-import", "from random import Random\nR = Random()"),
    ("dict-to-javascript", "import js\ndef f(): js.Response.new('', {'status': 418})"),
    ("dict-to-javascript", "from js import fetch\ndef f(u): return fetch(u, {'method': 'POST'})"),
    ("dict-to-javascript", "import js\ndef f(u):\n    o = {'a': 1}\n    return js.fetch(u, o)"),
    ("dict-to-javascript", "def f(kv, t): kv.put('a', 'b', dict(ttl=t))"),
    ("dict-to-javascript", "def f(kv, t): kv.put('a', 'b', {} if t is None else {'ttl': t})"),
    ("dict-to-javascript", "from pyodide.ffi import to_js\ndef f(): return to_js({'a': 1})"),
    ("dict-to-javascript", "def f(g, names): return lambda: g({n: 1 for n in names})"),
    ("kept-future", "class A:\n    def f(self, loop): self.shared = loop.create_future()"),
    ("kept-future", "import asyncio\ndef f(waiting): waiting['a'] = asyncio.Future()"),
    ("event-loop-timer", "from asyncio import sleep\nasync def f(): await sleep(0.02)"),
    ("event-loop-timer", "import asyncio\nasync def f(x): await asyncio.wait(x, timeout=1)"),
    ("event-loop-timer", "def f(loop): loop.call_later(1, print)"),
]

ALLOWED = [
    "from qwen_worker.platform.options import response_options\ndef f(): response_options(200, {'a': 'b'})",
    "import js\ndef f(): return js.Headers.new()",
    "from js import Object\nfrom pyodide.ffi import jsnull, to_js\n_from_entries = Object.fromEntries",
    JS_OBJECT + "import js\ndef f(u): return js.fetch(u, js_object({'method': 'POST'}))",
    JS_OBJECT + "import js\ndef f(u):\n    o = {'a': 1}\n    return js.fetch(u, js_object(o))",
    "from pyodide.ffi import to_js\ndef f(v): return to_js({'a': 1}, dict_converter=v)",
    "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    await asyncio.wait(x)",
    "import random, time, os\ndef f(): return random.random(), time.time(), os.urandom(8)",
    "def f(clock): clock.call_later(1, print)",
    "class A:\n    def f(self): self._clock.call_later(1, print)",
    "import asyncio\ndef f():\n    done = asyncio.get_running_loop().create_future()",
    "import re\nPATTERN = re.compile('a')\nNAMES = frozenset({'a'})",
    "def f(key):\n    import hmac\n    return hmac.new(key)",
]


def test_the_source_keeps_the_rules() -> None:
    assert check_folder(SOURCE) == []


def test_a_folder_is_searched_to_its_depth(tmp_path: Path) -> None:
    for folder in ("core", "core/platform"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text("import js\nKEPT = js.Object.new()\n")

    assert check_folder(tmp_path) == [
        "core/module.py:2: live-object-at-import: js.Object.new()",
        "core/platform/module.py:2: live-object-at-import: js.Object.new()",
    ]


@pytest.mark.parametrize(("rule", "source"), BROKEN)
def test_a_rule_finds_what_breaks_it(rule: str, source: str) -> None:
    assert {violation.rule for violation in check(source, is_platform=True)} == {rule}


@pytest.mark.parametrize("source", ALLOWED)
def test_what_is_harmless_is_allowed(source: str) -> None:
    assert check(source, is_platform=True) == []


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES)
