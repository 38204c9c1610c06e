"""What a client may wish of its agent, beside what the operator set."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from realtime.mind import Tool
from transports.fields import given

MAX_TOOLS = 128
_Text = Annotated[str, Field(max_length=100_000)]


class ToolWish(BaseModel):
    """A function that the mind may call, as OpenAI's API has it; the client runs it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field("", max_length=10_000)
    parameters: dict[str, Any] = {"type": "object", "properties": {}}

    @property
    def tool(self) -> Tool:
        """In our own terms."""
        return Tool(self.name, self.description, self.parameters)


class AgentWishes(BaseModel):
    """Fields of a ``start``: null, or left out, is as the operator has it.

    ``request`` are fields of ``POST /v1/tts`` that say how the agent speaks; text and format among them mean
    nothing here. ``pause`` is the silence in seconds after which a turn counts as over, at first.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    request: dict[str, Any] = {}
    instructions: _Text | None = None
    greeting: _Text | None = None
    greeting_protected: bool = False
    language: str | None = Field(None, max_length=35)
    interruptible: bool = True
    digits_interrupt: bool = True
    pause: float | None = Field(None, ge=0.3, le=1.2)
    filler: Annotated[str, Field(max_length=1000)] | None = None
    filler_after: float | None = Field(None, ge=0.0, le=60.0)
    apology: Annotated[str, Field(max_length=1000)] | None = None
    tools: Annotated[list[ToolWish], Field(max_length=MAX_TOOLS)] = []

    @classmethod
    def fields_of(cls, message: dict[str, Any]) -> dict[str, Any]:
        """The fields of a message that are given, with tools as OpenAI wraps them or bare."""
        fields = given(message, cls)
        if isinstance(tools := fields.get("tools"), list):
            fields["tools"] = [_unwrapped(tool) for tool in tools]
        return fields


def _unwrapped(tool: Any) -> Any:
    if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
        tool = tool["function"]
    return given(tool, ToolWish) if isinstance(tool, dict) else tool
