"""What `make dev` prints once the Worker answers."""

import json

_MODEL = "qwen3-coder-plus"


def instructions(url: str, *, needs_key: bool) -> str:
    """How to call the Worker, ready to be pasted into another terminal in this folder.

    A client key is never shown: the snippets take it from the environment.
    """
    request = {"model": _MODEL, "stream": True, "messages": [{"role": "user", "content": "Say hello."}]}
    header = ' \\\n  -H "Authorization: Bearer $OPENAI_API_KEY"' if needs_key else ""
    key = "" if needs_key else ', api_key="unused"'
    first = "First: export OPENAI_API_KEY=<one of the keys in .dev.vars>\n\n" if needs_key else ""
    return f"""
Ready on {url} (open it in a browser; Ctrl-C ends it). Or try it in another terminal:

{first}curl -N {url}/v1/chat/completions{header} \\
  -H 'Content-Type: application/json' \\
  -d '{json.dumps(request)}'

.venv/bin/python - <<'EOF'
from openai import OpenAI

client = OpenAI(base_url="{url}/v1"{key})
stream = client.chat.completions.create(
    model="{_MODEL}", messages=[{{"role": "user", "content": "Say hello."}}], stream=True
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
EOF
"""
