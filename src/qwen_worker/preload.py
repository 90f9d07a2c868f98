"""Everything that is imported only where it is needed, imported at once: for runtimes with a memory snapshot.

Where each start compiles the source, what a request does not need is better not loaded. Cloudflare takes a
snapshot of the memory after the imports of a deployment instead: there a module costs a start nothing if it
is loaded by then, and CPU time of a request's small allowance if it is not.
"""

# ruff: noqa: F401

import qwen_worker.accounts.descriptions
import qwen_worker.accounts.record
import qwen_worker.accounts.standing
import qwen_worker.credentials.account
import qwen_worker.routes.health
import qwen_worker.upstream.errors
import qwen_worker.upstream.portal_rules
import qwen_worker.upstream.qwen_rules
import qwen_worker.upstream.rewrite
import qwen_worker.upstream.several_accounts
import qwen_worker.upstream.stream_end
import qwen_worker.upstream.stream_start
