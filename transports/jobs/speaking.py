"""The jobs that speak a text into a file."""

import asyncio
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from engine import EngineStopped, Overloaded
from realtime.ears import HearingOverloaded
from transports.accounts import Caller, Limits
from transports.errors import RequestError
from transports.fields import check
from transports.fish.http import speak
from transports.fish.schema import TTSRequest
from transports.jobs.queue import Later
from transports.jobs.saving import save
from transports.jobs.tables import Job
from transports.services import Services
from transports.store import StoreError

# How long a job waits for a database or a disk that is away or full.
_STORE_SECONDS = 15.0


class SpeakingJob(BaseModel):
    """What such a job is to do: the fields of a request, who made it, and the address of this server."""

    model_config = ConfigDict(strict=True)

    request: dict[str, Any]
    account: str
    key: str | None
    name: str
    base: str


def speaking_job(caller: Caller, request: dict[str, Any], base: str) -> dict[str, Any]:
    """The payload of a job that speaks."""
    return SpeakingJob(
        request=request, account=caller.account, key=caller.key, name=caller.name, base=base
    ).model_dump()


async def speak_later(services: Services, job: Job) -> dict[str, Any]:
    """Do such a job: the result is ``{"url"}``, of a file. It is paid for once, however often it is tried."""
    wanted, wire = await asyncio.to_thread(_parsed, job)
    caller = Caller(wanted.account, wanted.key, wanted.name, Limits())
    try:
        speech = await speak(services, caller, wire, job.id, promised=True)
        return {"url": services.files.url(wanted.base, await save(services, speech))}
    except (Overloaded, HearingOverloaded) as error:
        raise Later(error.retry_after, str(error), counts=False) from None
    except EngineStopped as error:
        raise Later(1, str(error), counts=False) from None
    except StoreError as error:  # perhaps all of it was spoken before
        raise Later(_STORE_SECONDS, str(error), counts=False) from None
    except RequestError as error:
        if error.status not in (429, 503):
            raise
        raise Later(error.retry_after or 1, str(error), counts=False) from None


def _parsed(job: Job) -> tuple[SpeakingJob, TTSRequest]:
    wanted = SpeakingJob.model_validate_json(job.payload)
    return wanted, check(TTSRequest, wanted.request)


def request_of(job: Job) -> dict[str, Any]:
    """What a job was asked to speak, without recordings; nothing, if that was too much to be kept."""
    fields = orjson.loads(job.payload)["request"] if job.payload else {}
    return {name: value for name, value in fields.items() if name != "references"}
