"""A recording heard for one caller, in whatever dialect it was asked for."""

import asyncio

from starlette.requests import Request

from realtime.ears import Transcript
from transports.accounts import Caller, Kind
from transports.errors import RequestError
from transports.services import services_of


async def heard(request: Request, caller: Caller, audio: bytes, language: str | None) -> Transcript:
    """What is said in ``audio``, paid for by the caller; the request's body has been read.

    It ends when the client goes. Raises RequestError or HearingError.
    """
    services = services_of(request)
    with await services.accounts.admit(caller, Kind.ASR) as admission:
        hearing = asyncio.create_task(services.ears.transcribe(audio, language, admission.take))
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait((hearing, gone), return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                raise RequestError("the client is gone")  # nobody is there to read it
            return hearing.result()
        finally:
            hearing.cancel()
            gone.cancel()
            await asyncio.gather(hearing, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
