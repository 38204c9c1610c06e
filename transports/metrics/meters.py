"""Counts what drivers tell: an observer with Prometheus' counters and histograms.

Labels are the transport, the model, and words of our own: a stranger can make none of them up, so that there are
no more series however many callers, voices and paths there are.
"""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine.origin import Origin
from realtime.observer import (
    Admitted,
    Answered,
    Audible,
    Begun,
    Encoded,
    Ended,
    Floor,
    Missing,
    Observation,
    Recognised,
    Refused,
    Said,
    Sent,
    SpeechId,
    Thought,
    TurnedAway,
    Underrun,
)

TRANSPORTS = frozenset(
    ("http", "live", "openai", "gateway", "asr", "asr_live", "agent", "webrtc", "telephony", "dub")
)
"""Every other one counts as "other"; what the server does of its own accord, such as a job, as "server"."""

ANSWERED = frozenset(("http", "openai", "gateway", "asr"))
"""Transports on which a refusal is an answer with its status: it is counted as that, whatever else it was."""

REASONS = {401: "key", 402: "credit", 403: "forbidden", 421: "forbidden", 429: "limit"}
"""What statuses mean that refuse a caller who asks for nothing wrong; 503 means that something is missing."""

MISSING: dict[Missing, str] = {"room": "full", "engine": "crashed", "ears": "hearing", "store": "store"}
"""What that is called."""

SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_WAITS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

_PREFIX = "parrotfish"


class Meters:
    """An observer that counts. ``engine_state`` says what the engine is doing when it takes nobody."""

    def __init__(self, registry: CollectorRegistry, engine_state: Callable[[], str]) -> None:
        self._engine_state = engine_state

        def counter(name: str, doc: str, *labels: str) -> Counter:
            return Counter(name, doc, labels, namespace=_PREFIX, registry=registry)

        def histogram(name: str, doc: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, doc, labels, namespace=_PREFIX, registry=registry, buckets=buckets)

        spoken = ("transport", "model")
        self._utterances = counter(
            "utterances", "Utterances that are over, by how they ended.", *spoken, "outcome"
        )
        self._streams = Gauge(
            "streams", "Utterances under way.", spoken, namespace=_PREFIX, registry=registry
        )
        self._refusals = counter("refusals", "Callers that were turned away.", "transport", "reason")
        self._onset = histogram(
            "onset_seconds",
            "From the text that let the first words be spoken until a listener hears them.",
            SECONDS,
            *spoken,
        )
        self._first_byte = histogram(
            "first_byte_seconds",
            "From the first of the text until the first audio was given to the wire.",
            SECONDS,
            *spoken,
        )
        self._stage = histogram(
            "stage_seconds", "Where the time to the first audio went.", _SHORT, "stage", "model"
        )
        self._underruns = histogram(
            "underrun_seconds",
            "Silences in the middle of speech that came too late, each with its length.",
            _WAITS,
            *spoken,
        )
        self._speech = counter("speech_seconds", "Audio that was made.", *spoken)
        self._characters = counter("speech_characters", "Characters that were handed to the engine.", *spoken)
        self._asr = histogram(
            "asr_seconds", "From handing audio over until its words were known.", SECONDS, "kind"
        )
        self._asr_audio = counter("asr_audio_seconds", "Audio that was recognised.", "kind")
        self._first_token = histogram(
            "llm_first_token_seconds", "From asking the mind until it began to reply.", SECONDS
        )
        self._llm = histogram(
            "llm_seconds", "From asking the mind until its reply was over.", SECONDS, "outcome"
        )
        self._turns = histogram(
            "turn_seconds",
            "From the end of a caller's voice until his words were known (transcript), his turn was thought over "
            "(decided), the mind began to write (first_token) and he heard the reply (first_audio).",
            SECONDS,
            "stage",
            "transport",
        )
        self._floor = counter(
            "agent_floor",
            "Agents held by a voice, resumed, interrupted, or heard to the end.",
            "what",
            "transport",
        )
        self.lag = histogram("event_loop_lag_seconds", "How late the event loop was at a timer.", _SHORT)
        self._counts: dict[type, Callable[[Any], None]] = {
            Admitted: self._admitted,
            Refused: self._refused,
            Said: self._said,
            Begun: self._begun,
            Encoded: self._encoded,
            Sent: self._sent,
            Audible: self._audible,
            Underrun: self._underrun,
            Ended: self._ended,
            TurnedAway: self._turned_away,
            Recognised: self._recognised,
            Thought: self._thought,
            Answered: self._answered,
            Floor: self._spoke,
        }

    def note(self, event: Observation) -> None:
        """Count it."""
        if (count := self._counts.get(type(event))) is not None:
            count(event)

    # -- utterances ---------------------------------------------------------------------------------

    def _admitted(self, event: Admitted) -> None:
        self._streams.labels(*_spoken(event.speech)).inc()

    def _refused(self, event: Refused) -> None:
        transport, model = _spoken(event.speech)
        self._utterances.labels(transport, model, "refused").inc()
        if event.reason != "other" and transport not in ANSWERED:
            self._turn_away(transport, MISSING["room" if event.reason == "full" else "engine"])

    def _said(self, event: Said) -> None:
        if event.segment == 0:
            self._stage.labels("chunk", event.speech.model).observe(event.at - event.text)

    def _begun(self, event: Begun) -> None:
        if event.segment == 0:
            model = event.speech.model
            self._stage.labels("queue", model).observe(event.prefill - event.said)
            self._stage.labels("prefill", model).observe(event.prefilled - event.prefill)
            self._stage.labels("first_frame", model).observe(event.at - event.prefilled)

    def _encoded(self, event: Encoded) -> None:
        if event.segment == 0:
            self._stage.labels("encode", event.speech.model).observe(event.at - event.began)

    def _sent(self, event: Sent) -> None:
        self._first_byte.labels(*_spoken(event.speech)).observe(event.at - event.text)
        self._stage.labels("send", event.speech.model).observe(event.at - event.encoded)

    def _audible(self, event: Audible) -> None:
        self._onset.labels(*_spoken(event.speech)).observe(event.at - event.text)

    def _underrun(self, event: Underrun) -> None:
        self._underruns.labels(*_spoken(event.speech)).observe(event.seconds)

    def _ended(self, event: Ended) -> None:
        labels = _spoken(event.speech)
        self._streams.labels(*labels).dec()
        self._utterances.labels(*labels, event.outcome).inc()
        self._speech.labels(*labels).inc(event.seconds)
        self._characters.labels(*labels).inc(event.characters)

    # -- refusals, hearing, conversations -----------------------------------------------------------

    def _turned_away(self, event: TurnedAway) -> None:
        reason = MISSING[event.missing] if event.status == 503 else REASONS.get(event.status)
        if reason is not None:
            self._turn_away(_transport(event.origin), reason)

    def _turn_away(self, transport: str, reason: str) -> None:
        if reason in ("full", "crashed") and (state := self._engine_state()) != "ready":
            reason = state
        self._refusals.labels(transport, reason).inc()

    def _recognised(self, event: Recognised) -> None:
        self._asr.labels(event.kind).observe(event.at - event.began)
        self._asr_audio.labels(event.kind).inc(event.seconds)

    def _thought(self, event: Thought) -> None:
        if event.first is not None:
            self._first_token.observe(event.first - event.asked)
        self._llm.labels(event.outcome).observe(event.at - event.asked)

    def _answered(self, event: Answered) -> None:
        transport = _transport(event.origin)
        for stage, at in (
            ("transcript", event.transcript),
            ("decided", event.decided),
            ("first_token", event.first_token),
            ("first_audio", event.at),
        ):
            self._turns.labels(stage, transport).observe(at - event.ended)

    def _spoke(self, event: Floor) -> None:
        self._floor.labels(event.what, _transport(event.origin)).inc()


def _transport(origin: Origin | None) -> str:
    if origin is None:
        return "server"
    return origin.transport if origin.transport in TRANSPORTS else "other"


def _spoken(speech: SpeechId) -> tuple[str, str]:
    return _transport(speech.origin), speech.model
