"""Which account a request goes to: the only one, or one of several.

Everything here happens before the first byte reaches the client. With one account there is nothing to choose:
it does not rest, and failures in passing are tried again there.
"""

from typing import TypeVar

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.upstream.attempts import ATTEMPTS, Exchange, Inspect, open_on_account

T = TypeVar("T")


async def open_completion(exchange: Exchange, pool: AccountPool, inspect: Inspect[T]) -> tuple[T, str]:
    """Sends the request to Qwen until it is answered or the bounds are reached.

    Returns what `inspect` has made of the answer, and the label of the account that gave it.

    `inspect` looks at a 2xx answer whose body has not been read; a ProxyError that it raises counts as Qwen's
    answer. Raises ProxyError: what the client should be told.
    """
    if pool.memory is None:
        account = pool.only_account(exchange.chat.model)
        return await open_on_account(exchange, account, inspect, attempts=ATTEMPTS), account.label
    from qwen_worker.accounts.failover import SeveralAccounts

    search = SeveralAccounts(exchange, pool.serving(exchange.chat.model), pool.memory)
    result = await search.open(inspect)
    return result, search.label
