"""The messages of the dubbing socket, checked. All times are in seconds of the captions' clock."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from realtime.dubbing import Caption
from transports.errors import invalid
from transports.fields import check

MAX_TEXT = 500
"""Characters of a caption: half a minute of speech, where two full lines of subtitles are 84."""

MAX_WAITING = 500
"""Captions that may wait to be heard."""

MAX_VOICES = 16
"""Voices of one feed, which may all be heard at a time."""

MAX_AHEAD = 3600.0
"""By how much a caption, or the clock, may be away from the time that it is."""

MAX_LENGTH = 600.0
"""Seconds from a caption's start to its end."""

Clock = Annotated[float, Field(ge=-1e10, le=1e10, allow_inf_nan=False, strict=False)]
"""A time of day in seconds, since 1970 perhaps."""

Id = Annotated[str, Field(min_length=1, max_length=100)]
Voice = Annotated[str, Field(max_length=100)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class StartMessage(_Message):
    """The first message: what audio is wanted, and what the captions' clock says."""

    format: Literal["wav", "pcm", "mp3", "opus", "mulaw", "alaw"] = "pcm"
    sample_rate: int | None = None
    mp3_bitrate: int = 128
    opus_bitrate: int = 32
    voice: Voice | None = None
    normalize: bool = True
    clock: Clock = 0.0
    delay: float = Field(2.0, ge=0.0, le=60.0)
    max_speed: float = Field(1.3, ge=1.0, le=1.3)
    max_drift: float = Field(2.0, ge=0.0, le=30.0)


class CaptionMessage(_Message):
    """A caption, or a new version of one."""

    id: Id
    start: Clock
    end: Clock
    text: Text
    voice: Voice = ""

    def caption(self, clock: float) -> Caption:
        """The caption at the time that it is. Raises :class:`transports.errors.RequestError`."""
        if not 0 <= self.end - self.start <= MAX_LENGTH:
            raise invalid("end", self.end, f"0 to {MAX_LENGTH:g} s behind the start at {self.start:g}")
        if self.start - clock > MAX_AHEAD:
            raise invalid("start", self.start, f"at most {MAX_AHEAD:g} s from now, which is {clock:.3f}")
        return Caption(self.id, self.start, self.end, self.text, self.voice)


class ReviseMessage(_Message):
    """Some fields of a caption that has been sent."""

    id: Id
    start: Clock | None = None
    end: Clock | None = None
    text: Text | None = None
    voice: Voice | None = None

    def applied(self, caption: Caption, clock: float) -> Caption:
        """The caption with these fields. Raises :class:`transports.errors.RequestError`."""
        given = self.model_dump(exclude_none=True)
        before: dict[str, Any] = {
            "start": caption.start,
            "end": caption.end,
            "text": caption.text,
            "voice": caption.voice,
        }
        return check(CaptionMessage, {**before, **given}).caption(clock)


class RemoveMessage(_Message):
    """A caption is void."""

    id: Id


class ClockMessage(_Message):
    """What the captions' clock says now."""

    time: Clock
