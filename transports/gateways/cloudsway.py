"""CloudsWay MaaS: Fish Audio's own API behind ``/v1/ai/{endpoint}/fishaudio``, whatever the endpoint is called.

Its document makes a new voice public unless told otherwise; here it is private, as the official client has it.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from transports.fish.asr import DOCUMENTED as ASR
from transports.fish.asr import router as asr_router
from transports.fish.asr import speech_to_text
from transports.fish.http import router as http_router
from transports.fish.models import router as models_router


def _endpoint(_: Annotated[str, Path(alias="endpoint", description="Any; there it says who pays.")]) -> None:
    """What the address has more than Fish Audio's."""


router = APIRouter(prefix="/v1/ai/{endpoint}/fishaudio", dependencies=[Depends(_endpoint)])
for _router in (http_router, asr_router, models_router):
    router.include_router(_router)
router.post("/asr", summary="Speech to text", **ASR)(speech_to_text)  # as in its example of a msgpack body
