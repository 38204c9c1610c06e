"""Which voices a request is spoken with: the model's own, those of the library, and recordings sent with it."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from engine import Engine, ModelInfo, SpeechError
from engine import Reference as Recording
from engine.voices import BadRecording, prepare
from realtime.ears import HearingError, HearingOverloaded
from transports.accounts import Caller
from transports.errors import RequestError, invalid
from transports.fish.schema import Cast, Reference, TTSRequest
from transports.services import Services
from transports.store import BlobMissing
from transports.voices import MAX_RECORDING_BYTES, MAX_RECORDINGS, LibraryVoice, learned_id

MAX_IN_ALL = 40
"""Recordings of all speakers of one request."""

TRAINING_SECONDS = 30.0
"""How long a request waits for a new voice."""

_POLL_SECONDS = 0.2


def meant(name: str, info: ModelInfo, aliases: Mapping[str, str]) -> str:
    """The id of the voice that a name stands for: its own, if it is no alias; "" is the default voice."""
    return aliases.get(name, name) or info.default_voice


def own_voices(wanted: Any, info: ModelInfo, aliases: Mapping[str, str]) -> Cast | None:
    """The model's own voices, one for each speaker; None if others are wanted. An alias may name them.

    With none wanted, they are all in their order, the default first: for all speakers that the text may have.
    But cloned voices are not for all speakers to try: a stream would have to hear the recordings of every one.
    """
    if not wanted and info.clones:
        return Cast((info.default_voice,))
    if not wanted:
        others = (voice for voice in info.voice_ids if voice != info.default_voice)
        return Cast((info.default_voice, *others))
    voices = []
    for name in wanted if isinstance(wanted, list) else [wanted]:
        voice = meant(name, info, aliases) if isinstance(name, str) else None
        if voice not in info.voice_ids:
            return None
        voices.append(voice)
    return Cast(tuple(voices))


async def cast(services: Services, caller: Caller, request: TTSRequest) -> Cast:
    """The voices of a request, which the engine knows from now on. Recordings win over ids.

    Raises :class:`RequestError`, EngineError or HearingError.
    """
    info, aliases = services.engine.info, services.settings.voice_aliases
    if request.references:
        speakers = _by_speaker(request.references)
        voices = [await _inline(services, field, recordings) for field, recordings in speakers]
        return Cast(tuple(voices), _notes("references", info))
    if (own := own_voices(request.reference_id, info, aliases)) is not None:
        return own
    wanted = request.reference_id
    voices, learned = [], False
    for name in wanted if isinstance(wanted, list) else [wanted or ""]:
        voice = meant(name, info, aliases)
        if voice not in info.voice_ids:
            voice, learned = await _from_library(services, caller, name, voice), True
        voices.append(voice)
    return Cast(tuple(voices), _notes("reference_id", info) if learned else ())


def _notes(field: str, info: ModelInfo) -> tuple[str, ...]:
    if info.clones:
        return ()
    return (
        f"{field}: {info.name} cannot clone a voice; it speaks with its own timbre, moved toward the recordings",
    )


async def _from_library(services: Services, caller: Caller, name: str, id_: str) -> str:
    """Learn a voice of the library if it is not known; returns by what name it is."""
    voice = await _trained(services, caller, name, id_)
    learned = learned_id(voice)
    if not services.engine.knows(learned):
        try:
            references = await services.voices.references(voice)
        except BlobMissing:
            raise _unknown(name, services) from None
        await _learn(services.engine, learned, references, "reference_id")
    services.voices.used(voice.id)
    return learned


async def _trained(services: Services, caller: Caller, name: str, id_: str) -> LibraryVoice:
    """A voice of the library that may be used; a new one is waited for."""
    loop = asyncio.get_running_loop()
    end = loop.time() + TRAINING_SECONDS
    while (voice := await services.voices.usable(caller.account, id_)) is not None:
        match voice.state:
            case "trained":
                return voice
            case "failed":
                raise RequestError(
                    f"reference_id: {name[:100]!r} could not be trained: {voice.failure}",
                    field="reference_id",
                )
        if loop.time() > end:
            raise RequestError(
                f"reference_id: {name[:100]!r} is still being trained",
                503,
                field="reference_id",
                retry_after=5,
            )
        await asyncio.sleep(_POLL_SECONDS)
    raise _unknown(name, services)


def _unknown(name: str, services: Services) -> RequestError:
    own = ", ".join(services.engine.info.voice_ids)
    return invalid("reference_id", name, f"one of {own}, or the id of a voice in the library")


def _by_speaker(references: Sequence[Reference | Sequence[Reference]]) -> list[tuple[str, list[Reference]]]:
    """The recordings of each speaker, and how the field is called; a flat list is of one speaker."""
    flat = [item for item in references if isinstance(item, Reference)]
    speakers = [("references", flat)] if flat else []
    for number, item in enumerate(references):
        if not isinstance(item, Reference):
            speakers.append((f"references[{number}]", list(item)))
    if sum(len(recordings) for _, recordings in speakers) > MAX_IN_ALL:
        raise invalid("references", references, f"at most {MAX_IN_ALL} recordings in all")
    for field, recordings in speakers:
        if not 0 < len(recordings) <= MAX_RECORDINGS:
            raise invalid(field, f"{len(recordings)} recordings", f"1 to {MAX_RECORDINGS}")
        for number, reference in enumerate(recordings):
            if len(reference.audio) > MAX_RECORDING_BYTES:
                raise RequestError(
                    f"{field}[{number}].audio: got {len(reference.audio)} bytes; expected at most "
                    f"{MAX_RECORDING_BYTES}",
                    413,
                    field=field,
                )
    return speakers


async def _inline(services: Services, field: str, references: list[Reference]) -> str:
    """Learn a speaker's recordings if they are not known; returns by what name they are."""
    clones = services.engine.info.clones
    learned = await asyncio.to_thread(_content_id, references, clones)
    if not services.engine.knows(learned):
        recordings = [
            await _recording(services, f"{field}[{number}].audio", reference, hear=clones)
            for number, reference in enumerate(references)
        ]
        await _learn(services.engine, learned, recordings, field)
    return learned


def _content_id(references: list[Reference], clones: bool) -> str:
    """A name that stands for these recordings, and for what is said in them where that matters.

    Nobody can ask for it by a ``reference_id``: only who has the recordings speaks with them.
    """
    digest = hashlib.sha256()
    for reference in references:
        digest.update(hashlib.sha256(reference.audio).digest())
        digest.update(hashlib.sha256(reference.text.encode("utf-8", "replace") if clones else b"").digest())
    return f"inline-{digest.hexdigest()}"


async def _recording(services: Services, field: str, reference: Reference, *, hear: bool) -> Recording:
    """A recording as a model takes it. With ``hear`` its text is heard, if it is missing."""
    try:
        recording = await services.voices.in_thread(lambda: prepare(reference.audio))
    except BadRecording as error:
        raise RequestError(f"{field}: {error}", field=field) from None
    text = reference.text.strip()
    if hear and not text:
        try:
            text = (await services.ears.transcribe(reference.audio)).text
        except HearingOverloaded:
            raise
        except HearingError:
            pass  # there is no recogniser, or not for this: the voice works without, if not as well
    return recording.reference(text)


async def _learn(engine: Engine, voice: str, recordings: Sequence[Recording], field: str) -> None:
    try:
        await engine.learn(voice, recordings)
    except SpeechError as error:
        raise RequestError(f"{field}: {error}", field=field) from None
