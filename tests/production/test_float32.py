"""Numbers packed by JavaScript, on the Pythons of production, against Python's own."""

from typing import Any

import pytest

from tests.production.pyodide_worker import PyodideWorker

SETUP = """
import json, random, struct
from qwen_worker.platform.float32 import pack_floats
"""


def run(worker: PyodideWorker, code: str) -> Any:
    """The value of the last line."""
    return worker.run(SETUP + code)


def test_every_number_is_what_python_makes_of_it(worker: PyodideWorker) -> None:
    code = """
numbers = random.Random(7)
between = [
    struct.unpack("<f", struct.pack("<I", bits))[0] * (1 + 2**-24)
    for bits in range(1, 2**31 - 2**23 - 1, 999_983)
]
arrays = [
    [numbers.uniform(-0.2, 0.2) for _ in range(1024)],
    [numbers.uniform(-1, 1) * 10.0 ** numbers.randint(-60, 38) for _ in range(1024)],
    [numbers.randint(-(10**30), 10**30) for _ in range(100)],
    between,
    [],
    [-0.0, 3.4028235e38, -3.4028235e38],
]
packed = pack_floats([json.dumps(array)[1:-1].encode() for array in arrays])
packed == [struct.pack(f"<{len(array)}f", *array) for array in arrays]
"""
    assert run(worker, code) is True


@pytest.mark.parametrize(
    "array",
    [
        "null",
        '"1"',
        "true",
        "[1]",
        "{}",
        "1,",
        ",",
        "1 2",
        "-",
        "NaN",
        "1e39",
        "-1e39",
        "1e400",
        "1],[2",
        "ü",
    ],
)
def test_anything_else_is_refused(worker: PyodideWorker, array: str) -> None:
    code = f"""
def outcome():
    try:
        return pack_floats([b"0.5, 1", {array.encode()!r}])
    except ValueError:
        return "refused"
outcome()
"""
    assert run(worker, code) == "refused"


@pytest.mark.parametrize("level", ["[", '{"a":'])
def test_deep_nesting_does_not_end_the_isolate(worker: PyodideWorker, level: str) -> None:
    code = f"""
def outcome():
    try:
        return pack_floats([b'{level}' * 200_000])
    except ValueError:
        return "refused"
outcome()
"""
    assert run(worker, code) == "refused"


def test_no_arrays_are_no_arrays(worker: PyodideWorker) -> None:
    assert run(worker, "pack_floats([])") == []
