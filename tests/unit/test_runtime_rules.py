"""The source keeps the rules of the runtimes, and each rule finds what it is there to find."""

from pathlib import Path

import pytest

from tests.unit.runtime_rules import RULES, check, check_folder
from tools.repository import SOURCE

JS_OBJECT = "from qwen_worker.platform.interop import js_object\n"

BROKEN = [
    ("runtime-outside-platform", "import js"),
    ("runtime-outside-platform", "from pyodide.ffi import to_js"),
    ("runtime-outside-platform", "def f():\n    from workers import fetch"),
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
    ("shareable-awaitable", "import asyncio\nLOCK = asyncio.Lock()"),
    ("shareable-awaitable", "from asyncio import Event\nclass A:\n    def __init__(self): self.e = Event()"),
    ("shareable-awaitable", "class A:\n    def f(self, loop): self.shared = loop.create_future()"),
    ("shareable-awaitable", "import asyncio\ndef f(waiting): waiting['a'] = asyncio.Future()"),
    ("shareable-awaitable", "import asyncio\nTASK = asyncio.ensure_future(work)"),
    ("asyncio-timer", "import asyncio\nasync def f(x): await asyncio.wait_for(x, 1)"),
    ("asyncio-timer", "import asyncio\nasync def f():\n    async with asyncio.timeout(1): pass"),
    ("asyncio-timer", "from asyncio import sleep\nasync def f(): await sleep(0.02)"),
    ("asyncio-timer", "import asyncio\nasync def f(x): await asyncio.wait(x, timeout=1)"),
    ("asyncio-timer", "def f(loop): loop.call_later(1, print)"),
    ("heavy-import", "from dataclasses import dataclass"),
    ("heavy-import", "def f():\n    import uuid"),
    ("heavy-import", "from email.utils import parsedate"),
    ("heavy-import", "import datetime"),
    ("heavy-import", "from urllib.request import urlopen"),
    ("newer-python", "type Name = int"),
    ("newer-python", "def f[T](x: T) -> T: return x"),
    ("newer-python", "from typing import override"),
    ("newer-python", "import itertools\nx = itertools.batched"),
]

ALLOWED = [
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
    "try:\n    from _sha2 import sha256\nexcept ImportError:\n    from hashlib import sha256",
    "import re\nPATTERN = re.compile('a')\nNAMES = frozenset({'a'})",
    "def f(key):\n    import hmac\n    return hmac.new(key)",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import datetime",
]


def test_the_source_keeps_the_rules() -> None:
    assert check_folder(SOURCE) == []


def test_a_folder_is_searched_to_its_depth(tmp_path: Path) -> None:
    for folder in ("core", "core/platform"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text("import js\nKEPT = js.Object.new()\n")

    assert check_folder(tmp_path) == [
        "core/module.py:1: runtime-outside-platform: import js",
        "core/module.py:2: live-object-at-import: js.Object.new()",
        "core/platform/module.py:2: live-object-at-import: js.Object.new()",
    ]


@pytest.mark.parametrize(("rule", "source"), BROKEN)
def test_a_rule_finds_what_breaks_it(rule: str, source: str) -> None:
    found = check(source, is_platform=rule != "runtime-outside-platform")

    assert {finding.rule for finding in found} == {rule}


@pytest.mark.parametrize("source", ALLOWED)
def test_what_is_harmless_is_allowed(source: str) -> None:
    assert check(source, is_platform=True) == []


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES)
