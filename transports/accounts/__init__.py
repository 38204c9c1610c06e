"""Who may call: accounts, their keys, what they have used, and what they may still use."""

from transports.accounts.accounts import Accounts, Caller, ConcurrencyExceeded
from transports.accounts.admission import Admission, OutOfCredit
from transports.accounts.keyring import KeyInfo, Keyring, KeyringError
from transports.accounts.ledger import Kind, Prices
from transports.accounts.limits import Limits

__all__ = [
    "Accounts",
    "Admission",
    "Caller",
    "ConcurrencyExceeded",
    "KeyInfo",
    "Keyring",
    "KeyringError",
    "Kind",
    "Limits",
    "OutOfCredit",
    "Prices",
]
