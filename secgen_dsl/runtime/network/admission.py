"""Takes connections off a listening socket, and holds few of those that are nobody's yet.

Whoever may reach the port can open as many connections as it likes.  They must not use up this
process's files, nor keep a party out: one too many ends the oldest that has not proved whose it is.
A party proves that within a few hundredths of a second.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

STRANGERS = 128
"""Connections that have not proved yet whose they are; far below the usual 1024 open files."""

BACKLOG = 512
"""Connections that the system holds until they are taken."""


class Admission:
    """Serves every connection in a task of its own.

    Args:
        serve: serves one; must call ``known`` when the other end has proved who it is.  The socket
            is closed here when ``serve`` ends before that, unless it has called ``taken``.
        strangers: how many are served at a time that are not known yet.
        on_refused: called with each that had to make place, before it is closed.
    """

    def __init__(
        self,
        serve: Callable[[socket.socket], Awaitable[None]],
        strangers: int = STRANGERS,
        on_refused: Callable[[socket.socket], None] = lambda _: None,
    ) -> None:
        self._serve = serve
        self._most = strangers
        self._on_refused = on_refused
        self._strangers: dict[asyncio.Task[None], socket.socket | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def taken(self) -> None:
        """The socket of the current task's connection belongs to a transport, which closes it."""
        task = asyncio.current_task()
        if task in self._strangers:
            self._strangers[task] = None

    def known(self) -> None:
        """The connection that the current task serves has proved whose it is."""
        task = asyncio.current_task()
        if task is not None:
            self._strangers.pop(task, None)

    async def run(self, listener: socket.socket) -> None:
        """Take connections until cancelled; then those end that are still served.

        Args:
            listener: listens; closed here.
        """
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        try:
            while True:
                await asyncio.sleep(0)  # a full backlog gives the loop no pause by itself
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError:  # the caller has gone, or too many files are open
                    await asyncio.sleep(0.1)
                    continue
                task = loop.create_task(self._one(sock))
                self._tasks.add(task)
                self._strangers[task] = sock
                task.add_done_callback(self._ended)
                if len(self._strangers) > self._most:
                    self._refuse_oldest()
        finally:
            listener.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _refuse_oldest(self) -> None:
        task, sock = next(iter(self._strangers.items()))
        del self._strangers[task]
        task.cancel()
        if sock is not None:
            unused = sock
            task.add_done_callback(lambda _: unused.close())
            self._on_refused(unused)

    async def _one(self, sock: socket.socket) -> None:
        await self._serve(sock)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        sock = self._strangers.pop(task, None)
        if sock is not None:
            sock.close()
