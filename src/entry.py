"""The Worker's only entry module: hands the runtime's events to the gateway."""

from typing import Any

from qwen_worker.platform.worker import WorkerEntrypoint, serve, tick

if WorkerEntrypoint is None:

    async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
        return await serve(request, env, ctx)

else:

    class Default(WorkerEntrypoint):  # type: ignore[misc]
        async def fetch(self, request: Any) -> Any:
            return await serve(request, self.env, self.ctx)

        async def scheduled(self, controller: Any, *_: Any) -> None:
            await tick(self.env, self.ctx)
