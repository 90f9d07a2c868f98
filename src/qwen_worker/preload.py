"""Everything that is imported only where it is needed, imported at once: for runtimes with a memory snapshot.

A runtime that compiles the source at each start should load only what a request needs. Cloudflare takes a
snapshot of the memory after the imports of a deployment instead: a module in the snapshot costs a start
nothing, and a module that is loaded later costs a request some of its little CPU time.
"""

# ruff: noqa: F401

import qwen_worker.accounts.cooldown_record
import qwen_worker.accounts.failover
import qwen_worker.accounts.health
import qwen_worker.accounts.login_book
import qwen_worker.accounts.login_upkeep
import qwen_worker.accounts.model_lists
import qwen_worker.api.chat.repair
import qwen_worker.api.chat.stream_end
import qwen_worker.api.chat.stream_start
import qwen_worker.api.completions.handler
import qwen_worker.api.content_encoding
import qwen_worker.api.embeddings.handler
import qwen_worker.api.health
import qwen_worker.api.health_stream
import qwen_worker.api.in_turn
import qwen_worker.api.logins
import qwen_worker.api.messages.bridge
import qwen_worker.api.messages.count_handler
import qwen_worker.api.messages.errors
import qwen_worker.api.messages.handler
import qwen_worker.api.messages.models
import qwen_worker.api.messages.native
import qwen_worker.api.responses.handler
import qwen_worker.api.responses.native
import qwen_worker.api.responses.native_end
import qwen_worker.api.responses.posted_to_chat
import qwen_worker.api.usage
import qwen_worker.config.aliases
import qwen_worker.config.base_url
import qwen_worker.config.described_keys
import qwen_worker.config.descriptions
import qwen_worker.config.pasted
import qwen_worker.config.pasted_json
import qwen_worker.config.pasted_list
import qwen_worker.config.prices
import qwen_worker.credentials.description
import qwen_worker.credentials.failure
import qwen_worker.credentials.oauth_source
import qwen_worker.credentials.store
import qwen_worker.fingerprint
import qwen_worker.last_cron
import qwen_worker.platform.database
import qwen_worker.platform.float32
import qwen_worker.platform.pushed_pipe
import qwen_worker.platform.pushing
import qwen_worker.sse
import qwen_worker.streams.translated
import qwen_worker.upstream.bridged_chat
import qwen_worker.upstream.errors
import qwen_worker.upstream.host_models
import qwen_worker.upstream.redaction
import qwen_worker.upstream.rules.common
import qwen_worker.upstream.rules.dashscope
import qwen_worker.upstream.rules.portal
import qwen_worker.upstream.whole_answer
import qwen_worker.usage.estimates
import qwen_worker.usage.ledger
import qwen_worker.usage.limits
import qwen_worker.usage.meter
import qwen_worker.usage.upkeep
import qwen_worker.usage.writer
