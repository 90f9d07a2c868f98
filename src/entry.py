"""The Worker's only entry module: hands the runtime's events to the gateway."""

from typing import Any

from qwen_worker.platform.interop import WorkerEntrypoint
from qwen_worker.platform.worker import scheduled, serve

if WorkerEntrypoint is None:

    def on_fetch(*event: Any) -> Any:
        """Serves a fetch event (request, env, ctx) where the runtime has no `workers` module.

        It takes any number of arguments, because matching named parameters costs Pyodide time at every call.
        """
        return serve(*event)

else:
    import qwen_worker.preload  # noqa: F401 - the deployment's memory snapshot is to hold everything

    class Default(WorkerEntrypoint):  # type: ignore[misc]
        """The Worker's default entrypoint."""

        async def fetch(self, request: Any) -> Any:
            """Serves a fetch event."""
            return await serve(request, self.env, self.ctx)

        async def scheduled(self, controller: Any, *_: Any) -> None:
            """Serves a cron event."""
            await scheduled(self.env, self.ctx)
