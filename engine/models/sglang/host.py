"""The process that runs SGLang's engine, started by :class:`engine.models.sglang.client.Client`.

``python -m engine.models.sglang.host FD`` reads SGLang's arguments and then requests from the socket ``FD``, and
writes what becomes of them. It ends when the socket does.
"""

import asyncio
import os
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from engine.models.sglang.messages import Abort, Failed, News, Ready, Speak


class Host:
    """Carries requests to SGLang and its news back. All but the reading happens on SGLang's event loop."""

    def __init__(self, engine: Any, connection: Connection) -> None:
        self._manager = engine.tokenizer_manager
        self._connection = connection
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outbox: list[News] = []

    async def serve(self) -> None:
        """Until the other side hangs up."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="requests", daemon=True).start()
        await self._over.wait()
        for task in self._tasks:
            task.cancel()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while (message := self._connection.recv()) is not None:
                loop.call_soon_threadsafe(self._take, message)
        except (EOFError, OSError):
            pass
        loop.call_soon_threadsafe(self._over.set)

    def _take(self, message: Speak | Abort) -> None:
        if isinstance(message, Abort):
            self._manager.abort_request(rid=message.request)
            return
        task = asyncio.get_running_loop().create_task(self._speak(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _speak(self, message: Speak) -> None:
        from sglang.srt.managers.io_struct import GenerateReqInput

        asked = GenerateReqInput(
            input_ids=message.ids,
            rid=message.request,
            sampling_params={
                "max_new_tokens": message.limit,
                "custom_params": message.side,
            },
            extra_key=message.key,
            stream=True,
        )
        try:
            async for chunk in self._manager.generate_request(asked, None):
                self._post(_news(message.request, chunk["meta_info"]))
        except Exception as error:  # whatever SGLang refuses a request with
            self._post(News(message.request, [], 0, f"{type(error).__name__}: {error}"))

    def _post(self, news: News) -> None:
        # One message for all rows of a step: their tasks run in the same round of the loop.
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(news)

    def _flush(self) -> None:
        batch, self._outbox = self._outbox, []
        try:
            self._connection.send(batch)
        except OSError:
            self._over.set()


def _news(request: str, told: dict[str, Any]) -> News:
    reason = told.get("finish_reason")
    ended = None
    if reason is not None:
        ended = (
            reason["type"] if reason["type"] in ("stop", "length") else str(reason.get("message") or reason)
        )
    rows = [[int(number) for number in row] for row in told.get("frame") or ()]
    return News(request, rows, int(told.get("cached_tokens") or 0), ended)


def main() -> None:
    """Run until the other side hangs up."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    arguments = connection.recv()
    try:
        import sglang
        from sglang.srt.entrypoints.engine import Engine
    except ImportError as error:
        connection.send(
            Failed(
                f"{sys.executable} has no SGLang ({error}): pip install 'parrotfish[sglang]', or name another"
            )
        )
        return
    engine = Engine(**arguments)
    positions = int(engine.get_server_info()["max_total_num_tokens"])
    connection.send(Ready(sglang.__version__, positions))
    engine.loop.run_until_complete(Host(engine, connection).serve())
    engine.shutdown()


if __name__ == "__main__":
    main()
