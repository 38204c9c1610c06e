"""SGLang's process as its parent sees it: started, spoken to over a pair of sockets, and ended."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.errors import ModelGone
from engine.models.sglang.messages import Abort, Failed, News, Ready, Speak

_PATIENCE = 10.0  # seconds that the process has to end by itself

_log = logging.getLogger(__name__)


class SGLangFailed(ModelGone):
    """SGLang did not start, or has ended. Its own words are in the log of the process."""


class Client:
    """One process of SGLang's engine.

    It is a process of its own since SGLang, when one of its parts fails, kills the whole process that it was
    started from. ``python`` is the interpreter that has SGLang installed. What arrives is kept by request until
    :meth:`take`. Methods may be called from any thread.
    """

    def __init__(
        self, arguments: Mapping[str, Any], environment: Mapping[str, str], python: Path | None
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [str(python or sys.executable), "-m", "engine.models.sglang.host", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # what SGLang starts ends with it; an interrupt is the server's to handle
            )
        self._connection = Connection(ours.detach())
        self._news = threading.Condition()
        self._arrived: dict[str, list[News]] = {}
        self._ended = False
        self._gone: Callable[[ModelGone], None] | None = None
        self._connection.send(dict(arguments))
        self._listener: threading.Thread | None = None

    def wait_ready(self) -> Ready:
        """Wait until SGLang has loaded its model. Raises :class:`SGLangFailed` if it does not get there."""
        try:
            ready = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            raise SGLangFailed(
                f"SGLang did not start (exit status {self._process.returncode}); what it said is in the log"
            ) from None
        if isinstance(ready, Failed):
            self.close()
            raise SGLangFailed(ready.reason)
        assert isinstance(ready, Ready), "the first message is one of the two"
        self._listener = threading.Thread(target=self._listen, name="parrotfish-sglang", daemon=True)
        self._listener.start()
        return ready

    def send(self, message: Speak | Abort) -> None:
        """Ask for something; its news are kept from now on, or no more.

        Raises :class:`SGLangFailed` if there is nobody to ask; an abort never does.
        """
        with self._news:
            if isinstance(message, Speak):
                self._arrived[message.request] = []
            else:
                self._arrived.pop(message.request, None)
        try:
            self._connection.send(message)
        except OSError:
            if isinstance(message, Speak):
                raise self._failure() from None

    def take(self, requests: list[str], timeout: float) -> dict[str, list[News]]:
        """The news of these requests since the last call; waits for the first of them, ``timeout`` seconds at
        most.

        Raises :class:`SGLangFailed` if none can come any more.
        """
        with self._news:
            self._news.wait_for(
                lambda: self._ended or any(self._arrived.get(request) for request in requests), timeout
            )
            taken = {request: news for request in requests if (news := self._arrived.get(request))}
            for request in taken:
                self._arrived[request] = []
            if self._ended and not taken:
                raise self._failure()
        return taken

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """Have this called when the process has ended, on any thread; at once if it has."""
        with self._news:
            self._gone = gone
            ended = self._ended
        if ended:
            gone(self._failure())

    def close(self) -> None:
        """End the process, and all that it has started. Idempotent."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            _log.warning("SGLang does not end by itself; it is killed")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # also what it may have left behind
        self._process.wait()
        if self._listener is not None:
            self._listener.join()
        self._connection.close()

    def _listen(self) -> None:
        try:
            while True:
                batch = self._connection.recv()
                with self._news:
                    for news in batch:
                        if (waiting := self._arrived.get(news.request)) is not None:
                            waiting.append(news)
                    self._news.notify_all()
        except (EOFError, OSError):
            pass
        with self._news:
            self._ended = True
            self._news.notify_all()
            gone = self._gone
        if gone is not None:
            gone(self._failure())

    def _failure(self) -> SGLangFailed:
        return SGLangFailed("SGLang has ended; what it said about it is in the log")
