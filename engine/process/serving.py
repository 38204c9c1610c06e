"""The process of one worker: the thread that owns the model, and a socket to the engine that started it."""

import contextlib
import ctypes
import gc
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence

import numpy as np

from engine import logs, origin
from engine.errors import EngineError, Overloaded, SpeechError
from engine.process.messages import (
    FROM_WORKER,
    TO_WORKER,
    Beat,
    Begin,
    Close,
    Failure,
    Forget,
    Learn,
    Learned,
    Logged,
    Open,
    Outcome,
    Outcomes,
    Played,
    Ready,
    Say,
    Stop,
    Taken,
    Unloadable,
)
from engine.process.spec import ModelSpec
from engine.process.wire import Splitter
from engine.speech import Frame, ModelInfo, Reference
from engine.worker import Delivery, Worker

# How long a thread in pure Python may keep the others from running; Python's own 5 ms would be heard.
_SWITCH_SECONDS = 0.0005
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_READ = 1 << 18
_ASSUMED_DEAD = 1


def serve(descriptor: int) -> None:
    """Be a worker for the engine at the other end of a socket. Never returns, and never outlives that engine."""
    # The engine says when to stop: a signal to a terminal's or a service's whole group does not. Processes that a
    # model starts do not inherit this, as they would SIG_IGN.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, lambda *_: None)
    if sys.platform == "linux":
        # Also while something holds the interpreter, and could not notice that the socket is closed.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.setswitchinterval(_SWITCH_SECONDS)
    _Serving(socket.socket(fileno=descriptor)).run()


class _Serving:
    def __init__(self, connection: socket.socket) -> None:
        connection.set_inheritable(False)
        self._connection = connection
        self._sending = threading.Lock()
        self._lessons: queue.SimpleQueue[Learn | Forget] = queue.SimpleQueue()
        self._worker: Worker
        self._begin: Begin

    def run(self) -> None:
        """Do what the engine says, until it says stop or is gone."""
        splitter = Splitter()
        with contextlib.suppress(ConnectionError):
            while data := self._connection.recv(_READ):
                for body in splitter.push(data):
                    self._take(TO_WORKER.read(body))
        os._exit(_ASSUMED_DEAD)

    def _take(self, message: object) -> None:
        match message:
            case Say(stream, segment):
                self._worker.say(stream, segment)
            case Taken(stream, seconds):
                self._worker.taken(stream, seconds)
            case Played(stream, ahead):
                self._worker.played(stream, ahead)
            case Close(stream):
                self._worker.close(stream)
            case Open(stream, options):
                try:
                    self._worker.open(stream, options)
                except Overloaded as error:  # who let it in knows better, but a stream has an end
                    self._send(Outcomes((Outcome(stream, None, Failure.of(SpeechError(str(error)))),)))
            case Learn() | Forget():
                self._lessons.put(message)
            case Begin():
                self._load(message)
            case Stop():
                self._worker.stop()
                self._worker.join()  # whoever waits for us kills us if that takes too long
                os._exit(0)

    def _load(self, begin: Begin) -> None:
        self._begin = begin
        _log_to(self._send, begin)
        self._worker = Worker(
            ModelSpec.unpacked(begin.spec),
            max_streams=begin.max_streams,
            max_ahead=begin.max_ahead,
            max_untaken=begin.max_untaken,
            deliver=self._deliver,
            died=lambda _: os._exit(_ASSUMED_DEAD),  # why is in the log
        )
        self._worker.start(self._loaded)

    def _loaded(self, result: ModelInfo | BaseException) -> None:
        """Called on the worker's thread."""
        if isinstance(result, BaseException):
            reason = str(result) or type(result).__name__
            self._send(Unloadable(reason, told=isinstance(result, EngineError)))
            return
        gc.collect()
        gc.freeze()  # what has been loaded stays: the collector need not look at it
        self._send(Ready(result, self._worker.max_streams))
        for work in (self._beat, self._learn):
            threading.Thread(target=work, name=f"parrotfish{work.__name__}", daemon=True).start()

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Called on the worker's thread, which waits while the engine does not listen."""
        self._send(Outcomes(tuple(_outcome(delivery) for delivery in deliveries)))

    def _beat(self) -> None:
        pause, turn, beats = threading.Event(), None, 0
        while True:
            pause.wait(self._begin.beat)
            before, turn = turn, self._worker.turn
            beats = beats + 1 if turn is not None and turn == before else 0
            self._send(Beat(beats * self._begin.beat, self._worker.numbers()))

    def _learn(self) -> None:
        """Lessons one after the other, beside the model's own thread."""
        while True:
            match self._lessons.get():
                case Forget(voice):
                    self._worker.forget(voice)
                case Learn(lesson, voice, recordings):
                    failure = None
                    try:
                        self._worker.learn(voice, [_reference(*recording) for recording in recordings])
                    except SpeechError as error:
                        failure = Failure.of(error)
                    except OSError as error:  # forgotten meanwhile, or the disk is gone
                        failure = Failure.of(SpeechError(f"the recordings cannot be read: {error}"))
                    self._send(Learned(lesson, failure))

    def _send(self, message: object) -> None:
        data = FROM_WORKER.pack(message)
        try:
            with self._sending:
                self._connection.sendall(data)
        except OSError:
            os._exit(_ASSUMED_DEAD)  # nobody is left to speak for


def _outcome(delivery: Delivery) -> Outcome:
    stream, outcome, timing = delivery
    if isinstance(outcome, Frame):
        return Outcome(stream, outcome, timing=timing)
    assert isinstance(outcome, SpeechError)
    return Outcome(stream, None, Failure.of(outcome))


def _reference(path: str, rate: int, text: str) -> Reference:
    return Reference(np.fromfile(path, np.float32), rate, text)


def _log_to(send: Callable[[object], None], begin: Begin) -> None:
    """Have the engine's process log what is logged here, and what a model does while it is loaded."""

    class Sender(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text, _, trace = logs.plain(record).partition("\n")
            send(Logged(record.name, record.levelno, text, trace, origin.current()))

    logs.show_texts(begin.texts)
    logging.basicConfig(level=begin.libraries, handlers=[Sender()])
    logging.getLogger("engine").setLevel(begin.ours)
    logging.getLogger("engine.models").setLevel(min(begin.ours, logging.INFO))
