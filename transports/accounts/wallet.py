"""``/wallet/{user_id}/...``: what an account has left, as the Fish Audio API tells it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select

from transports.accounts.auth import Authenticated
from transports.accounts.tables import MICROS, Account, Package
from transports.description import refuses
from transports.errors import RequestError
from transports.services import services_of

router = APIRouter(prefix="/wallet/{user_id}")

# What an account that needs no credit is said to have: the API has no word for that.
ENDLESS = Decimal(999_999_999)


async def _owner(user_id: str, caller: Authenticated) -> str:
    """The account whose wallet it is: ``self``, or the caller's own id."""
    if user_id not in ("self", caller.account):
        raise RequestError("user_id: this wallet belongs to somebody else; expected self", 403)
    return caller.account


@router.get("/api-credit", summary="Credit that is left", responses=refuses(400, 403))
async def api_credit(
    request: Request, account_id: Annotated[str, Depends(_owner)], check_free_credit: bool = False
) -> dict[str, Any]:
    """The credit, as a decimal number in a string. ``has_free_credit``: the account needs none."""
    async with services_of(request).database.reading() as session:
        account = await session.get_one(Account, account_id)
    credit = Decimal(account.credit_micros) / MICROS if account.limited else ENDLESS
    answer = {
        "_id": account.id,
        "user_id": account.id,
        "credit": f"{credit:f}",
        "created_at": _time(account.created_at),
        "updated_at": _time(account.updated_at),
        "has_phone_sha256": False,
    }
    return answer | ({"has_free_credit": not account.limited} if check_free_credit else {})


@router.get("/package", summary="Prepaid units that are left", responses=refuses(403))
async def package(request: Request, account_id: Annotated[str, Depends(_owner)]) -> dict[str, Any]:
    """The account's package; who has none has one of nothing. A unit is a UTF-8 byte of text that is spoken."""
    async with services_of(request).database.reading() as session:
        account = await session.get_one(Account, account_id)
        found = (await session.scalars(select(Package).where(Package.account_id == account_id))).one_or_none()
    return {
        "_id": found.id if found else account.id,
        "user_id": account.id,
        "type": found.type if found else "none",
        "total": found.total if found else 0,
        "balance": found.balance if found else 0,
        "created_at": _time((found or account).created_at),
        "updated_at": _time((found or account).updated_at),
        "finished_at": _time(found.finished_at) if found and found.finished_at else None,
    }


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
