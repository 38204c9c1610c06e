"""Who may call: accounts, their keys, what they have used, and what they may still use."""

from transports.accounts.accounts import Accounts, Caller
from transports.accounts.admission import Admission, OutOfCredit
from transports.accounts.keyring import KeyInfo, Keyring, KeyringError
from transports.accounts.ledger import Kind, Prices
from transports.accounts.limits import ConcurrencyExceeded, Limiter, Limits, LocalLimiter
from transports.store import StoreError

__all__ = [
    "Accounts",
    "Admission",
    "Caller",
    "ConcurrencyExceeded",
    "KeyInfo",
    "Keyring",
    "KeyringError",
    "Kind",
    "Limiter",
    "Limits",
    "LocalLimiter",
    "OutOfCredit",
    "Prices",
    "make_limiter",
]


def make_limiter(redis_url: str | None) -> Limiter:
    """Who counts the requests of keys: this process, or Redis for a whole fleet. Raises :class:`StoreError`."""
    if redis_url is None:
        return LocalLimiter()
    try:
        from transports.accounts.shared import SharedLimiter  # only for those who have a fleet
    except ModuleNotFoundError as error:
        raise StoreError(f"{error.name} is missing; pip install 'parrotfish[redis]'") from None
    return SharedLimiter(redis_url)
