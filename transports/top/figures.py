"""Two readings of a server → the figures by which a person sees how it is doing."""

from dataclasses import dataclass

from transports.top.reading import Buckets, Reading

_OUTCOMES_WELL = ("stop", "cancelled", "gone")


@dataclass(frozen=True, slots=True)
class TransportFigures:
    """How one transport is served; times in seconds, None where nothing happened."""

    transport: str
    streams: int
    ended: int
    failed: int
    refused: int
    onset_p50: float | None
    onset_p95: float | None
    first_byte_p95: float | None
    underruns: int
    underrun_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How a server is doing.

    What is of this moment: ``open`` streams, those that are ``speaking`` and ``waiting``, the ``limit``; workers
    and pages; connections. The rest is of the last ``seconds``, None for its whole life: ``rtf`` is seconds of
    computing for each of speech, times are in seconds, and None where nothing happened.
    """

    version: str
    model: str
    state: str
    seconds: float | None
    open: int
    speaking: int
    waiting: int
    limit: int
    workers: int
    workers_up: int
    restarts: int
    connections: dict[str, int]
    memory_bytes: int | None
    cpu: float | None
    rtf: float | None
    step_p95: float | None
    batch_mean: float | None
    pages_used: float | None
    prefix_hits: float | None
    cancel_p95: float | None
    asr_p95: float | None
    llm_p95: float | None
    turn_p95: float | None
    lag_p99: float | None
    transports: tuple[TransportFigures, ...]


def figures(now: Reading, before: Reading | None = None) -> Figures:
    """What happened between two readings of a server; in its whole life, without an earlier one."""
    window = _Window(now, before)
    workers = "parrotfish_engine_streams"
    used = now.sum("parrotfish_engine_pages", what="used")
    pages = now.sum("parrotfish_engine_pages")
    memory = now.sum("process_resident_memory_bytes")
    seconds = None if before is None else now.at - before.at
    return Figures(
        version=now.label("parrotfish_build_info", "version") or "",
        model=now.label("parrotfish_build_info", "model") or "",
        state=now.label("parrotfish_engine_state", "state") or "",
        seconds=seconds,
        open=int(now.sum(workers, what="open") or 0),
        speaking=int(now.sum(workers, what="speaking") or 0),
        waiting=int(now.sum(workers, what="waiting") or 0),
        limit=int(now.sum("parrotfish_engine_streams_limit") or 0),
        workers=len(now.values("parrotfish_engine_worker_up", "worker")),
        workers_up=int(now.sum("parrotfish_engine_worker_up") or 0),
        restarts=int(window.grown("parrotfish_engine_restarts_total")),
        connections={
            kind: int(now.sum("parrotfish_connections", kind=kind) or 0)
            for kind in now.values("parrotfish_connections", "kind")
        },
        memory_bytes=None if memory is None else int(memory),
        cpu=None if not seconds else window.grown("process_cpu_seconds_total") / seconds,
        rtf=window.ratio("parrotfish_engine_busy_seconds_total", "parrotfish_engine_audio_seconds_total"),
        step_p95=window.buckets("parrotfish_engine_step_seconds").quantile(0.95),
        batch_mean=window.buckets("parrotfish_engine_batch_streams").mean,
        pages_used=None if not pages or used is None else used / pages,
        prefix_hits=window.ratio(
            "parrotfish_engine_prefix_found_total", "parrotfish_engine_prefix_asked_total"
        ),
        cancel_p95=window.buckets("parrotfish_engine_release_seconds").quantile(0.95),
        asr_p95=window.buckets("parrotfish_asr_seconds", kind="final").quantile(0.95),
        llm_p95=window.buckets("parrotfish_llm_first_token_seconds").quantile(0.95),
        turn_p95=window.buckets("parrotfish_turn_seconds", stage="first_audio").quantile(0.95),
        lag_p99=window.buckets("parrotfish_event_loop_lag_seconds").quantile(0.99),
        transports=tuple(window.transport(name) for name in window.transports()),
    )


class _Window:
    """What lies between two readings."""

    def __init__(self, now: Reading, before: Reading | None) -> None:
        self._now = now
        self._before = before

    def grown(self, name: str, **labels: str) -> float:
        """By how much a counter has grown; all of it if the server has begun anew."""
        now = self._now.sum(name, **labels) or 0.0
        before = (self._before.sum(name, **labels) or 0.0) if self._before else 0.0
        return now - before if now >= before else now

    def ratio(self, part: str, whole: str) -> float | None:
        """How much two counters have grown, one of the other."""
        grown = self.grown(whole)
        return self.grown(part) / grown if grown else None

    def buckets(self, name: str, **labels: str) -> Buckets:
        """What has come into a histogram."""
        now = self._now.buckets(name, **labels)
        return now.since(self._before.buckets(name, **labels)) if self._before else now

    def transports(self) -> list[str]:
        """Those on which something is, or was, spoken or refused."""
        names = ("parrotfish_streams", "parrotfish_utterances_total", "parrotfish_refusals_total")
        return sorted({value for name in names for value in self._now.values(name, "transport")})

    def transport(self, name: str) -> TransportFigures:
        ended = {
            outcome: self.grown("parrotfish_utterances_total", transport=name, outcome=outcome)
            for outcome in ("error", *_OUTCOMES_WELL)
        }
        onset = self.buckets("parrotfish_onset_seconds", transport=name)
        underruns = self.buckets("parrotfish_underrun_seconds", transport=name)
        return TransportFigures(
            transport=name,
            streams=int(self._now.sum("parrotfish_streams", transport=name) or 0),
            ended=int(sum(ended.values())),
            failed=int(ended["error"]),
            refused=int(self.grown("parrotfish_refusals_total", transport=name)),
            onset_p50=onset.quantile(0.5),
            onset_p95=onset.quantile(0.95),
            first_byte_p95=self.buckets("parrotfish_first_byte_seconds", transport=name).quantile(0.95),
            underruns=int(underruns.count),
            underrun_seconds=underruns.total,
        )
