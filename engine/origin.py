"""On whose behalf something is done: ids for logs and traces, and never a key, a name or a text.

Whoever takes a request in says so once, with :func:`begin`. What is done for it in the same task, or in tasks
that are made there, finds it with :func:`current`; what is done elsewhere, such as in the engine's thread, is
handed it.
"""

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 0x01
# What a tracestate may be long at least, and what of it is printable.
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A place in a distributed trace, as W3C Trace Context has it: ids in hexadecimal digits.

    ``state`` is what the tracing systems on the way say to each other, handed on as it came.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    @classmethod
    def parse(cls, header: str | None, state: str | None = None) -> "TraceParent | None":
        """What the headers ``traceparent`` and ``tracestate`` say; None if that is nothing, or malformed."""
        if header is None or not (found := _TRACEPARENT.fullmatch(header.strip(" \t"))):
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
            return None
        if state is None or not _TRACESTATE.fullmatch(state):
            state = ""
        return cls(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), state)

    @property
    def headers(self) -> dict[str, str]:
        """The same as headers of a request that is made because of it."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"}
        if self.state:
            headers["tracestate"] = self.state
        return headers


@dataclass(frozen=True, slots=True)
class Origin:
    """One request or socket: its id, over which ``transport`` it came, and the id of its caller's API key.

    ``trace`` is the span that belongs to it, or that of its client if this server makes none; None without
    either.
    """

    request: str
    transport: str
    key: str | None = None
    trace: TraceParent | None = None


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin | None:
    """That of what runs now; None for what the server does of its own accord."""
    return _current.get()


def begin(origin: Origin) -> None:
    """From now on this task, and those that it makes, work for this one."""
    _current.set(origin)


@contextlib.contextmanager
def within(origin: Origin | None) -> Iterator[None]:
    """What is done here is done for this one: for threads and tasks that work for many."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)


def trace_headers() -> dict[str, str]:
    """Headers for a request to another server that is made now, so that its spans become part of the trace."""
    origin = _current.get()
    return origin.trace.headers if origin is not None and origin.trace is not None else {}
