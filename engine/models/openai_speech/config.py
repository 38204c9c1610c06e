"""Where a speech endpoint is, and what it can do beyond what all of them can."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import httpx

from engine.urls import without_secrets

Cloning = Literal["none", "one", "all"]
"""How many recordings of a voice the endpoint takes with a request, as ``references``."""

CLONING: tuple[Cloning, ...] = get_args(Cloning)

_CONNECT_SECONDS = 5.0
_CONNECTIONS_KEPT = 64
_KEPT_SECONDS = 60.0  # of an idle connection: a conversation has pauses


@dataclass(frozen=True, slots=True)
class OpenAISpeechConfig:
    """An endpoint at ``url``, such as https://api.openai.com/v1.

    ``model`` and ``voices`` are what they are called there; where they are empty the endpoint is asked.
    PCM that does not say its rate is taken to have ``sample_rate`` Hz, which is that of the model in any case.
    ``speeds`` is the range of its own ``speed`` field; what goes beyond is stretched in time here. One that
    ``reads_tags`` gets ``[tags]`` inside the text. ``cloning`` is how it takes recordings. ``sampling`` sends it
    temperature, top_p and their kin. ``fields`` go into each request as they are; a field that is None is left
    out. ``loudness`` is what its voices measure, in LUFS. It must begin to answer, and go on, within
    ``silence_seconds``. Up to ``max_streams`` speak at a time.
    """

    url: str
    model: str = ""
    voices: tuple[str, ...] = ()
    key: str | None = field(default=None, repr=False)
    sample_rate: int = 24_000
    speeds: tuple[float, float] = (1.0, 1.0)
    reads_tags: bool = False
    cloning: Cloning = "none"
    sampling: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    loudness: float = -20.0
    silence_seconds: float = 30.0
    max_streams: int = 64

    @property
    def place(self) -> str:
        """The URL, without what is secret in it, for those who run the server."""
        return without_secrets(self.url)

    @property
    def headers(self) -> dict[str, str]:
        """Those of every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def timeout(self) -> httpx.Timeout:
        """Limits of a request's parts."""
        return httpx.Timeout(self.silence_seconds, connect=_CONNECT_SECONDS, pool=None)

    @property
    def limits(self) -> httpx.Limits:
        """As many connections as streams need: how many these are is decided elsewhere."""
        return httpx.Limits(
            max_connections=None,
            max_keepalive_connections=_CONNECTIONS_KEPT,
            keepalive_expiry=_KEPT_SECONDS,
        )

    @property
    def standing_fields(self) -> dict[str, object]:
        """What is the same in all requests.

        SGLang-Omni streams if ``stream`` is true, vLLM-Omni if ``stream_format`` is "audio", OpenAI always; but
        OpenAI refuses fields that it does not know.
        """
        fields: dict[str, object] = {
            "model": self.model,
            "response_format": "pcm",
            "stream_format": "audio",
            "stream": None if httpx.URL(self.url).host == "api.openai.com" else True,
            **self.fields,
        }
        return {name: value for name, value in fields.items() if value is not None}
