"""The node agent: keeps a session with an engine, whatever happens to the link, and runs what it asks.

Owns: the node's identity in every handshake, the reconnecting, and the end.
Asks: `connect` for a link; the runner for the work; the outbox for what has to be said.
Never: reads settings, sets up logging or signals, or ends a task because the engine is away.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from spore.capabilities import LoadMeter, node_capabilities
from spore.errors import LinkRefused
from spore.outbox import Outbox
from spore.parcel import Parcel
from spore.runner import Runner
from spore.session import Session
from spore.shelf import Shelf, shelved
from spore.skills.processes import Marks
from spore.skills.registry import Registry
from venom_engine.protocol.messages import FEATURES, Link, LinkClosed, NodeHandshake

T = TypeVar("T")
Connect = Callable[[], Awaitable[Link]]

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.2, 10.0
#: A session that lasted so long was a good one, also with an engine that never says WELCOME.
GOOD_SESSION_SECONDS = 5.0
#: One line about failed tries at most so often.
LOG_EVERY_SECONDS = 5.0
#: How long a leaving node waits until the engine has stored its last answers.
DELIVERY_SECONDS = 3.0

logger = logging.getLogger("spore")


class Agent:
    """One node. `run` it once; `stop` ends it.

    With a `state_dir`, answers that could not be handed over outlive the process, and are offered by
    the next one that has the same `node_id`.
    """

    def __init__(
        self,
        *,
        name: str,
        node_id: str,
        registry: Registry,
        workspace: Path,
        state_dir: Path | None = None,
        token: str | Callable[[], str] = "",
        tags: Iterable[str] = (),
        slots: int = 1,
        heartbeat_seconds: float = 30.0,
    ) -> None:
        self.name, self.node_id = name, node_id
        self._token = token
        self._workspace = workspace
        self._heartbeat_seconds = heartbeat_seconds
        self._capabilities = node_capabilities(registry.skills, tags=tuple(tags), slots=slots)
        self._load = LoadMeter()
        self._shelf = Shelf(state_dir) if state_dir else None
        self._outbox = Outbox(self._forgotten)
        self._marks = Marks(node_id)
        self._wake = asyncio.Event()
        self._runner = Runner(
            node_id=node_id,
            registry=registry,
            outbox=self._outbox,
            marks=self._marks,
            slots=slots,
            workspace=workspace,
            on_news=self._tell_news,
        )
        self._session: Session | None = None
        self._delivered = asyncio.Event()
        self._unshelved = asyncio.Event()
        self._left = asyncio.Event()
        self._original = False
        self._lease_seconds = float("inf")
        self._last_contact = time.monotonic()
        self._last_log = float("-inf")

    @property
    def connected(self) -> bool:
        """Whether an engine has said WELCOME in a session that still stands."""
        return self._session is not None and self._session.welcome is not None

    @property
    def stuck(self) -> int:
        """How many functions were stopped and have not returned."""
        return self._runner.stuck

    async def run(self, connect: Connect) -> None:
        """Serve until `stop`. Raises LinkRefused when the engine does not want this node.

        When this ends, in whatever way, no process of a task is left.
        """
        self._workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        swept = await self._marks.sweep()
        if swept.count:
            logger.warning("Stopped %d processes that an earlier run of this node left.", swept.count)
        for parcel in self._shelf.read() if self._shelf else ():
            self._outbox.restore(parcel)
        failures = 0
        shelving = asyncio.create_task(self._keep_on_shelf(), name="spore shelf")
        try:
            while not self._left.is_set():
                link = await self._linked(connect)
                good = link is not None and await self._serve(link)
                failures = 0 if good else failures + 1
                await self._unless_left(asyncio.sleep(_pause_after(failures)))
        finally:
            await self._runner.close(drain=0)
            shelving.cancel()
            await asyncio.wait({shelving})
            await self._shelve()
            if len(self._outbox):
                where = "on disk, for the next start" if self._shelf else "nowhere"
                logger.warning("%d answers were not handed over; kept: %s.", len(self._outbox), where)

    async def stop(self, *, drain: float = 0.0) -> None:
        """End gracefully: take nothing new, let tasks run up to `drain` seconds, interrupt the rest.

        Their answers are handed to the engine if it is there. A second call may shorten the drain.
        """
        await self._runner.close(drain)
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                while self._session is not None and len(self._outbox):
                    self._delivered.clear()
                    await self._delivered.wait()
        except TimeoutError:
            logger.debug("The engine did not confirm the last answers in time.")
        self._left.set()

    async def _linked(self, connect: Connect) -> Link | None:
        """A link; None when there is none to be had now."""
        try:
            return await self._unless_left(_awaited(connect))
        except LinkRefused:
            raise
        except (LinkClosed, OSError, ImportError) as error:  # ImportError: a proxy needs a package
            self._tell_failure(error)
            return None

    async def _serve(self, link: Link) -> bool:
        """One session. True when it was a good one."""
        began = time.monotonic()
        session = self._session = Session(
            link,
            node_id=self.node_id,
            runner=self._runner,
            outbox=self._outbox,
            load=self._load.read,
            heartbeat_seconds=self._heartbeat_seconds,
            wake=self._wake,
            on_sent=self._delivered.set,
            original=self._original,
        )
        try:
            await self._unless_left(session.serve(self._handshake()))
            if self._left.is_set():
                await session.farewell("the node is stopping")
        finally:
            self._session = None
            self._outbox.end()
            self._unshelved.set()
            self._runner.look_for_room()
            self._delivered.set()
            await link.close()
        self._last_contact = time.monotonic()
        self._original = session.is_original
        if session.welcome:
            self._lease_seconds = session.welcome.lease_seconds
        return session.welcome is not None or self._last_contact - began > GOOD_SESSION_SECONDS

    def _handshake(self) -> NodeHandshake:
        return NodeHandshake(
            node_id=self.node_id,
            node_name=self.name,
            capabilities=self._capabilities,
            token=self._token() if callable(self._token) else self._token,
            features=FEATURES,
            held=self._outbox.held(),
        )

    def _tell_news(self) -> None:
        self._wake.set()
        if self._outbox.away:
            self._unshelved.set()

    async def _keep_on_shelf(self) -> None:
        """While the engine is away, write down what has ended."""
        while True:
            await self._unshelved.wait()
            self._unshelved.clear()
            if self._outbox.away:
                await self._shelve()

    async def _shelve(self) -> None:
        for parcel in self._outbox if self._shelf else ():
            answer = None if parcel.on_disk else shelved(parcel)
            if self._shelf is None or answer is None:
                continue
            try:
                await asyncio.to_thread(self._shelf.write, answer)
            except OSError as error:
                logger.warning("An answer could not be written down: %s. It is kept in memory.", error)
                return
            parcel.on_disk = True
            if parcel.request_id not in self._outbox:  # stored by the engine in the meantime
                self._forgotten(parcel)

    def _forgotten(self, parcel: Parcel) -> None:
        if self._shelf is not None and parcel.on_disk:
            self._shelf.remove(parcel.request_id)

    def _tell_failure(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._last_log < LOG_EVERY_SECONDS:
            return
        self._last_log = now
        away = now - self._last_contact
        held = ""
        if self._runner.running:
            held = f" {self._runner.running} tasks go on."
            if away > self._lease_seconds:
                held += " Their leases have ended; their results will be offered all the same."
        logger.warning("No engine for %.0f s: %s. Trying again.%s", away, error, held)

    async def _unless_left(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work, or drop it when the agent is to end."""
        doing = asyncio.create_task(work)
        left = asyncio.create_task(self._left.wait())
        try:
            await asyncio.wait({doing, left}, return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            left.cancel()
            doing.cancel()
            await asyncio.wait({doing, left})


async def _awaited(connect: Connect) -> Link:
    return await connect()


def _pause_after(failures: int) -> float:
    longest = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10))
    return random.uniform(0.5, 1.0) * longest
