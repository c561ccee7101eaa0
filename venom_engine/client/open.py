"""An engine for your own program: one inside it, or one that runs elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from venom_engine.client.base import EngineClient
from venom_engine.client.discover import resolve
from venom_engine.settings import Settings


@asynccontextmanager
async def open_engine(
    url: str | None = None,
    *,
    token: str | None = None,
    state_dir: Path | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[EngineClient]:
    """Speak to the engine at `url`; without one, run an engine with a local node in this process.

        async with open_engine() as engine:
            await engine.submit(TaskRequest(content="hello"))

    `token`: for the engine at `url`; one on this machine is found in the state folder. The state
    folder comes from `state_dir`, else from `settings` or the environment.
    """
    if url is None:
        from venom_engine.embedded import running_local_engine

        chosen = settings or Settings()
        if state_dir is not None:
            chosen = chosen.model_copy(update={"venom_state_dir": state_dir})
        async with running_local_engine(chosen) as engine:
            yield engine
    else:
        from venom_engine.client.remote import RemoteClient

        if state_dir is None and settings is not None:
            state_dir = settings.venom_state_dir
        address, found = resolve(url, token, state_dir)
        async with RemoteClient(address, found) as client:
            yield client
