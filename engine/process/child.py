"""The engine's end of one worker's process: its birth, the messages to and from it, and its end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

from engine.posting import post
from engine.process.config import ProcessConfig, Pulse
from engine.process.messages import FROM_WORKER, TO_WORKER, Beat, Begin, Stop
from engine.process.wire import Splitter

_BACKLOG = 1 << 24
"""Bytes that may wait to be read by a worker. It reads all the time: one that does not is stuck."""

_LONGEST_BEAT = 1.0  # seconds between two beats
_BEATS = 4  # within the time after which a worker counts as hung


def beat_seconds(config: ProcessConfig) -> float:
    """How often a worker has to tell that it lives."""
    return min(_LONGEST_BEAT, config.hang_seconds / _BEATS)


class Child(asyncio.Protocol):
    """One process, from its start to its end. All calls belong to the event loop.

    ``take`` is called with each message, but for beats, of which it gets only the numbers in them; ``lost`` once,
    as soon as nothing more will come.
    """

    def __init__(
        self, config: ProcessConfig, take: Callable[[object], None], lost: Callable[[], None]
    ) -> None:
        self._config = config
        self._take, self._lost = take, lost
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pulse: Pulse | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._connected = True
        self._killed = ""  # why, if we did it
        self._code: int | None = None
        self.gone: asyncio.Future[str] = self._loop.create_future()
        """How it ended, in words, once the process is no more."""

    async def start(self, begin: Begin, environment: Mapping[str, str]) -> None:
        """Start the process and tell it to begin. Raises OSError if there can be no further process."""
        try:
            await self._connect(environment)
        except BaseException:
            if not self.gone.done():
                self.gone.set_result("it could not be started")
            raise
        self.send(begin)

    async def _connect(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            self._transport, _ = await self._loop.create_unix_connection(lambda: self, sock=ours)
            # A thread that outlives the process, which ends with the thread that made it (see serving.py).
            threading.Thread(
                target=self._keep, args=(theirs, environment), name="parrotfish-keeper", daemon=True
            ).start()
        except BaseException:
            theirs.close()
            if self._transport is None:
                ours.close()
            else:
                self._transport.abort()
            raise

    @property
    def pid(self) -> int:
        """Of the process; 0 before there is one."""
        return 0 if self._process is None else self._process.pid

    def watch(self) -> None:
        """From now on, end it if it hangs: it is loaded."""
        beat = beat_seconds(self._config)
        self._pulse = Pulse(beat, self._config.hang_seconds)
        self._tick = self._loop.call_later(beat, self._ticked, beat)

    def send(self, message: object) -> None:
        """Have a message written; nothing happens if nobody is there to read it.

        Raises TypeError or ValueError if it cannot be packed.
        """
        data = TO_WORKER.pack(message)
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _BACKLOG:
            self.kill("it does not read what it is told")

    def kill(self, why: str) -> None:
        """End it now, as a crash."""
        self._killed = self._killed or why
        if self._transport is not None:
            self._transport.abort()
        if self._process is not None and self._code is None:
            self._process.kill()

    async def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        self.send(Stop())
        try:
            async with asyncio.timeout(self._config.stop_seconds):
                await asyncio.shield(self.gone)
        except TimeoutError:
            self.kill("it did not stop")
            await asyncio.shield(self.gone)

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self._pulse is not None:
            self._pulse.heard()
        try:
            messages = [FROM_WORKER.read(body) for body in self._splitter.push(data)]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self.kill(f"it sent what cannot be read: {error}")
            return
        for message in messages:
            if isinstance(message, Beat) and self._pulse is not None:
                self._pulse.beat(message.busy)
            self._take(message)

    def connection_lost(self, _: Exception | None) -> None:
        """Nothing more will come: it has ended, or is about to."""
        self._connected = False
        if self._tick is not None:
            self._tick.cancel()
        if self._process is not None and self._code is None:
            self._process.kill()
        self._lost()
        self._settle()

    def _ticked(self, beat: float) -> None:
        assert self._pulse is not None
        if (why := self._pulse.ticked()) is not None:
            self.kill(f"it hung: {why}")
            return
        self._tick = self._loop.call_later(beat, self._ticked, beat)

    def _started(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if not self._connected:
            process.kill()

    def _exited(self, code: int) -> None:
        self._code = code
        if self._transport is not None:
            self._transport.close()
        self._settle()

    def _not_started(self, error: OSError) -> None:
        self._killed = f"it could not be started: {error}"
        self._exited(-1)

    def _settle(self) -> None:
        if not self._connected and self._code is not None and not self.gone.done():
            self.gone.set_result(self._killed or _ending(self._code))

    # What the keeper's thread does.

    def _keep(self, theirs: socket.socket, environment: Mapping[str, str]) -> None:
        with theirs:
            command = [sys.executable, "-P", "-m", "engine.process", str(theirs.fileno())]
            path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # noqa: PTH109
            try:
                process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what a library prints is no output of ours
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # a terminal's Ctrl-C is for the engine, also while the worker starts
                    env={**os.environ, "PYTHONPATH": path, **environment},
                )
            except OSError as error:
                post(self._loop, self._not_started, error)
                return
        post(self._loop, self._started, process)
        post(self._loop, self._exited, process.wait())


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"it ended with code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
