import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from transports.accounts import Keyring, KeyringError, Limits
from transports.accounts.ledger import Bill, Kind, Ledger, Prices
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
    assert key.split("_", 2)[2] not in repr(listed)


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


async def test_what_is_given_and_spent_at_once_adds_up(keyring: Keyring, database: Database) -> None:
    first = await keyring.create("first", account="us", credit=Decimal(1))
    (owner,) = {key.account for key in await keyring.list()}
    ledger = Ledger(database, Prices(tts=Decimal(1_000_000)))  # a byte costs one
    await asyncio.gather(
        *(keyring.create(f"key {n}", account="us", credit=Decimal(10)) for n in range(10)),
        *(keyring.add_credit(id_of(first), Decimal(10)) for _ in range(10)),
        *(ledger.settle([Bill(owner, id_of(first), Kind.TTS, str(n), 0)]) for n in range(10)),
        *(keyring.add_package(id_of(first), 10) for _ in range(10)),
    )
    assert {(key.credit, key.package) for key in await keyring.list()} == {(201, 100)}


async def test_keys_that_are_made_at_once_share_their_new_account(keyring: Keyring) -> None:
    await asyncio.gather(*(keyring.create(f"key {n}", account="us", credit=Decimal(1)) for n in range(10)))
    assert {(key.account_name, key.credit) for key in await keyring.list()} == {("us", 10)}


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


@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines", "\x1b[2J", "\udc80"])
async def test_a_name_is_a_line_of_text(keyring: Keyring, name: str) -> None:
    with pytest.raises(KeyringError, match=r"name: got .* expected 1 to 100 characters on a line"):
        await keyring.create(name)
    if name:
        with pytest.raises(KeyringError, match="account: got"):
            await keyring.create("phone", account=name)
    key = id_of(await keyring.create("phone"))
    with pytest.raises(KeyringError, match=r"type: got .* expected 1 to 40 characters on a line"):
        await keyring.add_package(key, 1, name)


async def test_a_packages_units_have_an_end(keyring: Keyring) -> None:
    key = id_of(await keyring.create("phone"))
    await keyring.add_package(key, 2**62 - 1)
    with pytest.raises(KeyringError, match="units: got 1; expected less"):
        await keyring.add_package(key, 1)


@pytest.mark.parametrize("amount", ["0.0000001", "1.9999999", "-0.0000001", "1e-30"])
async def test_less_than_can_be_counted_is_not_rounded_away(keyring: Keyring, amount: str) -> None:
    key = id_of(await keyring.create("phone", credit=Decimal("0.000001")))
    with pytest.raises(KeyringError, match="at most 6 decimal places"):
        await keyring.add_credit(key, Decimal(amount))
    with pytest.raises(KeyringError, match="at most 6 decimal places"):
        await keyring.create("other", credit=Decimal(amount))


async def test_a_key_that_is_not_there_is_told(keyring: Keyring) -> None:
    for call in (keyring.revoke("nobody"), keyring.add_credit("nobody", Decimal(1))):
        with pytest.raises(KeyringError, match="'nobody'"):
            await call
