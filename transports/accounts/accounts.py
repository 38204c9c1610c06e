"""Who is calling, and whether they may: what every endpoint asks before it works."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import uuid4

from transports.accounts.admission import Admission, Charge, OutOfCredit, Till
from transports.accounts.keyring import Keyring, state
from transports.accounts.ledger import Kind, Ledger, Prices
from transports.accounts.limits import Limiter, Limits, LocalLimiter
from transports.accounts.secret import key_id, matches
from transports.accounts.tables import LOCAL_ACCOUNT, Account, ApiKey
from transports.errors import RequestError
from transports.store import Database, now

# How long a running server may not know that a key was revoked, or that the first one was created.
CACHE_SECONDS = 2.0
CACHE_KEYS = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the account that owns and pays; ``key`` is None for anybody, on a server that is open."""

    account: str
    key: str | None
    name: str
    limits: Limits


ANYBODY = Caller(LOCAL_ACCOUNT, None, "local", Limits())


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as it was in the database at a (monotonic) time."""

    key: ApiKey
    limited: bool
    caller: Caller
    at: float


class Accounts:
    """The accounts of a server. Money is everybody's; how many requests there are is counted by ``limiter``.

    ``open_to_all`` serves whoever comes. ``open_without_keys`` does so until the first key is created.
    """

    def __init__(
        self,
        database: Database,
        prices: Prices,
        *,
        open_to_all: bool,
        open_without_keys: bool,
        limiter: Limiter | None = None,
    ) -> None:
        self._database = database
        self._ledger = Ledger(database, prices)
        self._till = Till(self._ledger)
        self._keyring = Keyring(database)
        self._open_to_all = open_to_all
        self._open_without_keys = open_without_keys
        self._no_key_at = -CACHE_SECONDS
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._limiter = limiter or LocalLimiter()

    def start(self) -> None:
        """Begin to count requests, and to settle what they have used."""
        self._limiter.start()
        self._till.start()

    async def close(self) -> None:
        """Settle what is left."""
        await self._till.close()
        await self._limiter.close()

    async def authenticate(self, token: str | None, *, direct: bool = True) -> Caller:
        """Who bears the token. Raises RequestError with 401.

        A server that is open only as long as it has no key is so for callers that are ``direct``, those of its
        machine.
        """
        problem = "missing; give an API key as Authorization: Bearer pf_..."
        if token:
            problem = "this API key is not known here"
            if (
                (id_ := key_id(token))
                and (known := await self._lookup(id_))
                and matches(token, known.key.digest)
            ):
                if (current := state(known.key, now())) == "valid":
                    return known.caller
                problem = f"this API key is {current}"
        if await self._is_open():
            if direct or self._open_to_all:
                return ANYBODY
            problem = (
                "without keys this server serves programs of its own machine, and this came through a proxy, "
                "from another site's page, or by another name; parrotfish keys create makes one"
            )
        raise _unauthorized(problem)

    async def admit(
        self,
        caller: Caller,
        kind: Kind,
        *,
        request_id: str | None = None,
        promised: bool = False,
        patience: float = 0.0,
    ) -> Admission:
        """Let a request begin, or raise RequestError: 401 if its key is void by now, 429, 402.

        It runs until :meth:`Admission.close`. Of several requests with one ``request_id`` only one is paid for.
        One that was ``promised`` was counted then, as one of those that the key may make in a minute.
        For ``patience`` seconds it waits for one of too many to end.
        """
        if caller.key is None:
            await self._check_open()
            return Admission(kind, self._check_open)
        known = await self._valid(caller.key)
        caller = known.caller
        place = await self._limiter.enter(
            known.key.id, known.caller.limits, counted=not promised, patience=patience
        )
        try:
            if known.limited and not await self._ledger.solvent(caller.account):
                raise OutOfCredit
        except BaseException:
            place.leave()
            raise
        charge = Charge(
            caller.account,
            known.key.id,
            kind,
            request_id or uuid4().hex,
            known.limited,
            request_id is not None,
            place,
            self._till,
        )
        return Admission(kind, partial(self._valid, known.key.id), charge)

    async def _check_open(self) -> None:
        """Raise RequestError if not anybody may call by now."""
        if not await self._is_open():
            raise _unauthorized("this server has come to ask for API keys")

    async def _valid(self, id_: str) -> _Known:
        """A key that was given. Raises RequestError if it is void by now."""
        known = await self._lookup(id_)
        if known is None or (current := state(known.key, now())) != "valid":
            raise _unauthorized(f"this API key is {current if known else 'gone'}")
        return known

    async def _lookup(self, id_: str) -> _Known | None:
        """A key as it is in the database, or was a moment ago."""
        at = monotonic()
        if (known := self._known.get(id_)) and at - known.at < CACHE_SECONDS:
            return known
        async with self._database.reading() as session:
            key = await session.get(ApiKey, id_)
            account = await session.get(Account, key.account_id) if key else None
        if key is None or account is None:
            self._known.pop(id_, None)
            return None
        limits = Limits(key.requests_per_minute, key.max_concurrency)
        known = _Known(key, account.limited, Caller(account.id, key.id, key.name, limits), at)
        self._known[id_] = known
        self._known.move_to_end(id_)
        if len(self._known) > CACHE_KEYS:
            self._known.popitem(last=False)
        return known

    async def _is_open(self) -> bool:
        """Whether anybody may call."""
        if self._open_to_all or not self._open_without_keys:
            return self._open_to_all
        at = monotonic()
        if at - self._no_key_at >= CACHE_SECONDS:
            if await self._keyring.any_key():
                self._open_without_keys = False  # and for good: keys are not deleted
            self._no_key_at = at
        return self._open_without_keys


def _unauthorized(problem: str) -> RequestError:
    return RequestError(f"Authorization: {problem}", 401)
