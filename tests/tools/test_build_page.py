"""The page's files: small, complete, with nothing in them that its Content-Security-Policy forbids."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qwen_worker.api.routes import find_route
from tools.repository import ROOT
from tools.worker_config import complete_page

PUBLIC = ROOT / "public"
BUILD = ROOT / "tools" / "build_page.mjs"
INDEX = (PUBLIC / "index.html").read_text()
MOST_BYTES = 150_000
MOST_COMPRESSED_BYTES = 60_000


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """What is served, after the build."""
    complete_page()
    return [file for file in PUBLIC.rglob("*") if file.is_file() and file.name != "_headers"]


def extract(markdown: str) -> "subprocess.CompletedProcess[str]":
    """The snippets of a document, as JSON."""
    script = f"import {{ snippets }} from {json.dumps(BUILD.as_uri())};"
    script += "import { readFileSync } from 'node:fs';"
    script += "console.log(JSON.stringify(snippets(readFileSync(0, 'utf8'))));"
    return subprocess.run(
        [shutil.which("node") or "node", "--input-type=module", "--eval", script],
        input=markdown,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_is_small(files: list[Path]) -> None:
    contents = [file.read_bytes() for file in files]

    assert sum(map(len, contents)) < MOST_BYTES
    assert sum(len(gzip.compress(content)) for content in contents) < MOST_COMPRESSED_BYTES


def test_what_the_page_loads_is_there(files: list[Path]) -> None:
    served = {f"/{file.relative_to(PUBLIC)}" for file in files}
    named = set(re.findall(r'(?:href|src)="(/[^"#]+)"', INDEX))
    for file in files:
        if file.suffix == ".js" and file.parent.name == "page":
            imports = re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', file.read_text())
            named |= {f"/{(file.parent / name).resolve().relative_to(PUBLIC)}" for name in imports}
    assert named
    assert named <= served
    assert served - named <= {"/index.html", "/page/built/snippets.json"}, "files that nobody asks for"


def test_no_file_is_in_the_way_of_an_api(files: list[Path]) -> None:
    for file in files:
        path = f"/{file.relative_to(PUBLIC)}"
        for spelling in (path, path.removesuffix(".html"), path.removesuffix("index.html")):
            assert spelling == "/" or find_route(spelling) is None, spelling


def test_both_policies_agree() -> None:
    """A meta element cannot say frame-ancestors; everything else both say."""
    headers = (PUBLIC / "_headers").read_text()
    header = re.search(r"Content-Security-Policy: (.*)", headers)
    meta = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', INDEX)
    assert header
    assert meta
    policy = header[1].split("; ")

    assert [rule for rule in policy if rule != "frame-ancestors 'none'"] == meta[1].split("; ")
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert not any(word in header[1] for word in ("unsafe", "http", "*", "data:"))
    assert "X-Content-Type-Options: nosniff" in headers
    assert "Referrer-Policy: no-referrer" in headers


def test_nothing_is_inline_or_foreign(files: list[Path]) -> None:
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", INDEX)
    for file in [PUBLIC / "index.html", *(file for file in files if file.parent.name == "page")]:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1:8787", "")
        assert not re.search(r"https?://", text), file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), file


def test_snippets_are_found_with_their_captions() -> None:
    markdown = (
        "## Tools\n\n### One\n\n```sh\nnot marked\n```\n\n"
        "<!-- page -->\n`a file`:\n\n```toml\nkey = 1\n```\n\n"
        "<!-- page -->\n```console\n$ run\n$ stop\n```\n\n"
        "### Two\n\n<!-- page -->\n```text\nx\n\ny\n```\n"
    )

    assert json.loads(extract(markdown).stdout) == [
        {
            "group": "Tools",
            "name": "One",
            "blocks": [
                {"caption": "`a file`", "language": "toml", "code": "key = 1\n"},
                {"caption": "", "language": "console", "code": "run\nstop\n"},
            ],
        },
        {
            "group": "Tools",
            "name": "Two",
            "blocks": [{"caption": "", "language": "text", "code": "x\n\ny\n"}],
        },
    ]


@pytest.mark.parametrize("markdown", ["", "<!-- page -->\nA sentence.\n\n```sh\nls\n```\n"])
def test_a_mark_without_a_snippet_fails_the_build(markdown: str) -> None:
    failed = extract(markdown)

    assert failed.returncode != 0
    assert "snippets that follow one" in failed.stderr


def test_the_built_snippets_are_those_of_the_documentation(files: list[Path]) -> None:
    assert PUBLIC / "page" / "built" / "snippets.json" in files
    tools = json.loads((PUBLIC / "page" / "built" / "snippets.json").read_text())
    documented = (ROOT / "docs" / "clients.md").read_text().replace("\n$ ", "\n")

    assert len(tools) >= 13
    assert all(block["code"] in documented for tool in tools for block in tool["blocks"])
