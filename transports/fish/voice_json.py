"""Voices as the Fish Audio API words them: those of the library, and the model's own."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from engine import Voice
from transports.voices import LibraryVoice, State, Visibility

OWN_AUTHOR = "parrotfish"
"""Whose the model's own voices are."""

_NO_TIME = datetime.fromtimestamp(0, UTC)


class SampleJson(BaseModel):
    """Something that can be heard of a voice: ``audio`` is its address."""

    title: str
    text: str
    task_id: str
    audio: str


class AuthorJson(BaseModel):
    """Whose voice it is."""

    id: str = Field(serialization_alias="_id")
    nickname: str
    avatar: str = ""


class VoiceJson(BaseModel):
    """A voice, field by field after the SDK and the API's description. ``failure`` is ours: why training failed.

    Nobody can like, mark or share a voice here.
    """

    id: str = Field(serialization_alias="_id")
    type: Literal["tts"] = "tts"
    title: str
    description: str
    cover_image: str
    train_mode: Literal["fast"] = "fast"
    state: State
    failure: str
    tags: list[str]
    samples: list[SampleJson]
    created_at: datetime
    updated_at: datetime
    languages: list[str]
    visibility: Visibility
    lock_visibility: bool = False
    dmca_taken_down: bool = False
    default_text: str = ""
    quality: None = None
    like_count: int = 0
    mark_count: int = 0
    shared_count: int = 0
    task_count: int
    liked: bool = False
    unliked: bool = False
    marked: bool = False
    author: AuthorJson


class PageJson(BaseModel):
    """Some voices, and how many there are in all."""

    total: int
    items: list[VoiceJson]
    has_more: bool


def voice_json(voice: LibraryVoice, base: str) -> VoiceJson:
    """A voice as the API words it; addresses begin with ``base``, which ends with a slash."""
    address = f"{base}model/{voice.id}"
    return VoiceJson(
        id=voice.id,
        title=voice.title,
        description=voice.description,
        cover_image=f"{address}/cover" if voice.cover else "",
        state=voice.state,
        failure=voice.failure,
        tags=list(voice.tags),
        samples=[
            SampleJson(
                title=f"{voice.title} {sample.number + 1}",
                text=sample.text,
                task_id=f"{voice.id}-{sample.number}",
                audio=f"{address}/samples/{sample.number}.flac",
            )
            for sample in voice.samples
        ],
        created_at=voice.created_at,
        updated_at=voice.updated_at,
        languages=list(voice.languages),
        visibility=voice.visibility,
        task_count=voice.task_count,
        author=AuthorJson(id=voice.account, nickname=voice.author),
    )


def own_json(voice: Voice) -> VoiceJson:
    """One of the model's own voices: public, without recordings, and as old as time."""
    return VoiceJson(
        id=voice.id,
        title=voice.name,
        description=voice.description,
        cover_image="",
        state="trained",
        failure="",
        tags=[],
        samples=[],
        created_at=_NO_TIME,
        updated_at=_NO_TIME,
        languages=[voice.language],
        visibility="public",
        task_count=0,
        author=AuthorJson(id=OWN_AUTHOR, nickname=OWN_AUTHOR),
    )
