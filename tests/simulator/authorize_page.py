"""The page on which a user approves or denies a login, for browsers and tests that click."""

from __future__ import annotations

import html

from aiohttp import web

from tests.simulator.oauth import OAuthState

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated Qwen</title></head>
<body><h1>Simulated Qwen</h1>{content}</body></html>"""
_QUESTION = """<p>Log in with code <strong>{code}</strong>?</p>
<form method="post"><input type="hidden" name="user_code" value="{code}">
<button name="decision" value="approve">Approve</button> <button name="decision" value="deny">Deny</button>
</form>"""


async def answer(request: web.Request, oauth: OAuthState) -> web.Response:
    """`GET /authorize?user_code=...` asks; a POST with `user_code` and `decision`, `approve` or `deny`,
    decides.
    """
    form = await request.post() if request.method == "POST" else request.query
    user_code, decision = str(form.get("user_code", "")), form.get("decision")
    try:
        oauth.device_flow.code(user_code)
    except KeyError:
        return _page(404, "<p>There is no such code.</p>")
    if request.method != "POST":
        return _page(200, _QUESTION.format(code=html.escape(user_code)))
    if decision not in ("approve", "deny"):
        return _page(400, "<p>Approve or deny?</p>")
    (oauth.approve if decision == "approve" else oauth.deny)(user_code)
    return _page(200, "<p>Approved.</p>" if decision == "approve" else "<p>Denied.</p>")


def _page(status: int, content: str) -> web.Response:
    return web.Response(status=status, text=_PAGE.format(content=content), content_type="text/html")
