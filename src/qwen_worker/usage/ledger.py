"""What an isolate knows of usage: plain data that all its requests share."""

from qwen_worker.credentials.lease import Lease
from qwen_worker.usage.budget import Budget
from qwen_worker.usage.counters import Counters, utc_day

MOST_MODELS = 200
"""How many models get rows of their own: a host may take any name, and a client may invent many."""


class Ledger:
    """Counts that wait to be written, what limited keys have used, and whose turn it is to write or read."""

    __slots__ = ("budgets", "counters", "failed_ms", "job", "minutes", "models", "turn")

    def __init__(self) -> None:
        self.counters = Counters()
        self.budgets: dict[str, Budget] = {}
        """By the label of the keys; only those with a daily limit have one."""
        self.minutes: dict[str, tuple[int, int]] = {}
        """By label: a minute since the Unix epoch, and how many requests it has seen."""
        self.models: set[str] = set()
        """The models that have answered, the first MOST_MODELS of them."""
        self.job = Lease()
        """Held by the job that writes."""
        self.turn = Lease()
        """Held while the database is asked: what is read must not be half written."""
        self.failed_ms: int | None = None
        """When the last writing failed; None: it did not."""

    def knows_model(self, model: str) -> bool:
        """Notes that a model has answered. Returns whether it may have rows of its own."""
        if len(self.models) < MOST_MODELS:
            self.models.add(model)
        return model in self.models

    def budget(self, label: str, now_ms: int) -> Budget:
        """Today's budget of a label."""
        day = utc_day(now_ms)
        budget = self.budgets.get(label)
        if budget is None:
            budget = self.budgets[label] = Budget(day)
        budget.begin(day, now_ms)
        return budget
