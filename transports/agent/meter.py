"""What a conversation uses, paid for by its caller."""

from types import TracebackType
from typing import Self

from transports.accounts import Accounts, Admission, Caller, Kind

_PATIENCE_SECONDS = 1.0  # a conversation that ended a moment ago still counts as running


class CallMeter:
    """What is heard and spoken in one conversation; to be used in an ``async with``.

    Of the requests that a key may have open at a time it takes two: one that recognises, and one that speaks.
    Entering raises RequestError if the caller may not.
    """

    def __init__(self, accounts: Accounts, caller: Caller) -> None:
        self._accounts = accounts
        self._caller = caller
        self._open: list[Admission] = []

    async def __aenter__(self) -> Self:
        try:
            for kind in (Kind.ASR, Kind.TTS):
                self._open.append(await self._accounts.admit(self._caller, kind, patience=_PATIENCE_SECONDS))
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def heard(self, seconds: float) -> None:
        """Pay for audio that is recognised. Raises RequestError if that cannot be done (any more)."""
        await self._open[0].take(seconds, streamed=True)

    async def spoke(self, size: int) -> None:
        """Pay for text that is spoken; raises likewise."""
        await self._open[1].take(size, streamed=True)

    def _close(self) -> None:
        for admission in self._open:
            admission.close()
