from datetime import timedelta
from decimal import Decimal

import pytest

from transports.accounts import Keyring, KeyringError, Limits
from transports.accounts.secret import key_id
from transports.store import Database


@pytest.fixture
def keyring(database: Database) -> Keyring:
    return Keyring(database)


def id_of(key: str) -> str:
    found = key_id(key)
    assert found is not None
    return found


async def test_a_key_is_listed_with_all_but_its_secret(keyring: Keyring) -> None:
    assert not await keyring.any_key()
    key = await keyring.create(
        "phone", credit=Decimal("2.5"), limits=Limits(60, 4), expires_in=timedelta(days=30)
    )
    assert await keyring.any_key()
    (listed,) = await keyring.list()
    assert (listed.id, listed.name, listed.account_name, listed.state) == (
        id_of(key),
        "phone",
        "phone",
        "valid",
    )
    assert (listed.credit, listed.package, listed.limits) == (Decimal("2.5"), None, Limits(60, 4))
    assert listed.expires_at is not None
    assert listed.expires_at - listed.created_at == pytest.approx(
        timedelta(days=30), abs=timedelta(seconds=5)
    )
    assert key.rpartition("_")[2] not in repr(listed)


async def test_keys_share_an_account_if_they_are_told_to(keyring: Keyring) -> None:
    first = await keyring.create("first", account="us", credit=Decimal(1))
    await keyring.create("second", account="us")
    await keyring.add_credit(id_of(first), Decimal(2))
    assert await keyring.add_package(id_of(first), 100) == 100
    assert await keyring.add_package(id_of(first), 50) == 150
    one, other = await keyring.list()
    assert one.account == other.account
    assert one.credit == other.credit == 3
    assert one.package == other.package == 150


async def test_two_keys_of_one_name_are_not_made_by_mistake(keyring: Keyring) -> None:
    await keyring.create("phone")
    with pytest.raises(KeyringError, match="--account"):
        await keyring.create("phone")
    assert len(await keyring.list()) == 1


async def test_a_revoked_key_stays_in_the_list(keyring: Keyring) -> None:
    key = id_of(await keyring.create("phone"))
    await keyring.revoke(key)
    await keyring.revoke(key)
    assert [listed.state for listed in await keyring.list()] == ["revoked"]
    assert await keyring.any_key()


async def test_an_expired_key_is_listed_as_such(keyring: Keyring) -> None:
    await keyring.create("phone", expires_in=timedelta(microseconds=1))
    assert [listed.state for listed in await keyring.list()] == ["expired"]


async def test_credit_is_not_taken_that_is_not_there(keyring: Keyring) -> None:
    key = id_of(await keyring.create("phone", credit=Decimal(1)))
    assert await keyring.add_credit(key, Decimal("-0.4")) == Decimal("0.6")
    with pytest.raises(KeyringError, match=r"at least -0\.6"):
        await keyring.add_credit(key, Decimal("-0.7"))
    assert await keyring.add_credit(key, Decimal(0)) == Decimal("0.6")


@pytest.mark.parametrize("name", ["", "x" * 101])
async def test_a_name_has_a_length(keyring: Keyring, name: str) -> None:
    with pytest.raises(KeyringError, match="1 to 100"):
        await keyring.create(name)


async def test_a_key_that_is_not_there_is_told(keyring: Keyring) -> None:
    for call in (keyring.revoke("nobody"), keyring.add_credit("nobody", Decimal(1))):
        with pytest.raises(KeyringError, match="'nobody'"):
            await call
