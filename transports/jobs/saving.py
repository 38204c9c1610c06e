"""A whole speech in a file that is kept for a time."""

import asyncio
import tempfile
from pathlib import Path
from typing import IO

from transports.jobs.files import Kept
from transports.services import Services
from transports.speech import Speech


async def save(services: Services, speech: Speech) -> Kept:
    """Write all of a speech to a file, and end it. One that cannot be kept costs nothing. Raises EngineError."""
    file = await asyncio.to_thread(_temporary)
    try:
        async for audio in speech:
            await asyncio.to_thread(file.write, audio.data)
        await asyncio.to_thread(file.flush)
        output = speech.request.output
        return await services.files.keep(Path(file.name), output.mime, output.suffix)
    except BaseException:
        speech.refund()  # nobody has had any of it
        raise
    finally:
        speech.close()
        await asyncio.to_thread(file.close)


def _temporary() -> IO[bytes]:
    return tempfile.NamedTemporaryFile(prefix="parrotfish-", suffix=".part")
