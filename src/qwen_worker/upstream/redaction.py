"""Takes secrets out of what an upstream says, before a client, a log or an error gets to see it."""

import re

REDACTED = "[redacted]"

_LONGEST_IDENTIFIER = 128

_looks_secret = re.compile(
    r"\bsk-[\w.*-]{4,}"
    r"|\bbearer\s+[^\s\"',;]+"
    r"|\beyJ[\w-]+\.[\w.-]+"
    r"|(?:token|key)(?: provided)?[\"']?\s*[:=]\s*[\"']?[\w.~+/=*-]{6,}"
    r"|\b(?=\w*\d)(?=\w*[a-z])\w{32,}",
    re.IGNORECASE | re.ASCII,
)
_identifier = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*", re.ASCII).fullmatch


def redacted(words: str, secrets: "list[str]") -> str:
    """`words` without the secrets, in whatever case, and without anything that looks like one."""
    known = [re.escape(secret) for secret in sorted(set(secrets), key=len, reverse=True) if secret]
    if known:
        words = re.sub("|".join(known), REDACTED, words, flags=re.IGNORECASE)
    return _looks_secret.sub(REDACTED, words)


def identifier(word: object, secrets: "list[str]") -> str | None:
    """`word` if it looks like an id or a code and holds no secret; otherwise None.

    It is too short for a sentence, so it holds no part of a prompt or a completion.
    """
    if not isinstance(word, str) or len(word) > _LONGEST_IDENTIFIER or not _identifier(word):
        return None
    # A request id may look like a token: 32 hexadecimal digits are what DashScope sends.
    folded = word.lower()
    holds_secret = any(secret and secret.lower() in folded for secret in secrets)
    return None if holds_secret or folded.startswith(("sk-", "eyj")) else word
