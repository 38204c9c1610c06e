"""One request to an endpoint: sent, tried again if need be, and read as it is spoken."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping

import httpx

from engine.errors import SpeechError
from engine.models.openai_speech.config import OpenAISpeechConfig
from engine.models.openai_speech.pcm import PcmReader, answered_rate
from engine.models.openai_speech.refusal import BUSY, LONGEST_WAIT, SHOWN, refusal, retry_after
from engine.speech import Pcm

_BACK_OFF = (0.2, 0.6)  # seconds before the second and the third attempt, on average
# Nobody was there, or hung up without an answer, as servers do with connections that were idle for long.
_UNANSWERED = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)

_log = logging.getLogger(__name__)


class Endpoint:
    """The endpoint's side of all streams, on one event loop."""

    def __init__(self, config: OpenAISpeechConfig) -> None:
        self._config = config
        self._client = httpx.AsyncClient(
            base_url=config.url,
            # Compressed audio would come later, and PCM does not compress.
            headers={**config.headers, "Accept-Encoding": "identity"},
            timeout=config.timeout,
            limits=config.limits,
        )
        self._rates_told = {config.sample_rate}

    async def connect(self) -> None:
        """Open a connection, which the first stream will then find."""
        try:
            await self._client.get("models")
        except httpx.HTTPError as error:
            _log.info("%s: %s", self._config.place, error or type(error).__name__)

    async def speak(self, body: bytes, headers: Mapping[str, str]) -> AsyncGenerator[Pcm, None]:
        """The speech that a JSON body asks for, at the config's rate, as it comes; maybe none.

        Raises :class:`SpeechError`. Closing it, or cancelling whoever waits for it, ends the request at once.
        """
        config = self._config
        response = await self._answer(body, headers)
        try:
            if not response.is_success:  # what it says may quote the text: it is for whoever wrote that
                _log.warning("%s answered %d", config.place, response.status_code)
                raise refusal(response.status_code, response.headers, await _beginning(response), config.key)
            rate = answered_rate(response.headers, config.sample_rate)
            self._note(rate)
            reader = PcmReader(rate, config.sample_rate)
            async for data in response.aiter_bytes():
                yield reader.push(data)
            yield reader.end()
        except httpx.ReadTimeout:
            raise SpeechError(
                f"the speech endpoint fell silent for {config.silence_seconds:g} s in the middle of its answer"
            ) from None
        except httpx.HTTPError as error:
            _log.info("%s broke off: %s", config.place, error or type(error).__name__)
            raise SpeechError("the speech endpoint broke off in the middle of its answer") from None
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The beginning of an answer. What nobody has begun to answer may be asked again."""
        for pause in (*_BACK_OFF, None):
            request = self._client.build_request(
                "POST", "audio/speech", content=body, headers={"Content-Type": "application/json", **headers}
            )
            wait = None if pause is None else pause * random.uniform(0.5, 1.5)
            try:
                response = await self._client.send(request, stream=True)
            except _UNANSWERED as error:
                if wait is None:
                    raise self._unreachable(error) from None
            except httpx.TimeoutException:
                raise SpeechError(
                    f"the speech endpoint did not begin to answer within {self._config.silence_seconds:g} s"
                ) from None
            except httpx.HTTPError as error:
                raise self._unreachable(error) from None
            else:
                if response.status_code not in BUSY or wait is None:
                    return response
                wait = max(wait, retry_after(response.headers) or 0.0)
                if wait > LONGEST_WAIT:
                    return response
                await response.aclose()
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt has returned or raised")

    def _note(self, rate: int) -> None:
        """Tell the operator, once, of a rate that is not the one that was configured."""
        if rate not in self._rates_told:
            self._rates_told.add(rate)
            _log.warning(
                "%s answers with %d Hz, which is converted to %d Hz",
                self._config.place,
                rate,
                self._config.sample_rate,
            )

    def _unreachable(self, error: httpx.HTTPError) -> SpeechError:
        """Listeners are not told where it would be."""
        reason = " ".join(str(error).split()) or type(error).__name__
        _log.warning("%s cannot be reached: %s", self._config.place, reason)
        return SpeechError("the speech endpoint cannot be reached")


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error's body as is looked at."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= 8 * SHOWN:
            break
    return body[: 8 * SHOWN]
