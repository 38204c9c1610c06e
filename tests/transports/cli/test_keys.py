import json
import re
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.transports.cli.process import curl_line, read_rest, run, server
from tests.transports.postgres import Postgres
from transports.cli import main


@pytest.fixture
def keys(tmp_path: Path):
    def keys(*arguments: str) -> Result:
        command, *rest = arguments
        return CliRunner().invoke(main, ["keys", command, "--data", str(tmp_path), *rest])

    return keys


def create(keys, *arguments: str) -> str:
    result = keys("create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def listed(keys) -> list[dict[str, object]]:
    return json.loads(keys("list", "--json").stdout)


def test_a_key_is_printed_once_and_alone(keys):
    result = keys("create", "--name", "phone")
    assert re.fullmatch(r"pf_[a-z0-9]{10}_[\w-]{43}\n", result.stdout)
    assert "cannot be shown again" in result.stderr
    secret = result.stdout.strip().split("_", 2)[2]
    for arguments in (["list"], ["list", "--json"]):
        assert secret not in keys(*arguments).output


def test_a_key_has_what_it_was_given(keys):
    key = create(
        keys, *"--name phone --account us --expires 30d --credit 2.5 --rpm 60 --concurrency 4".split()
    )
    (found,) = listed(keys)
    assert found["id"] == key.split("_")[1]
    assert found["account_name"] == "us"
    assert found["credit"] == "2.5"
    assert found["limits"] == {"requests_per_minute": 60, "max_concurrency": 4}
    assert "phone" in keys("list").stdout


def test_credit_and_package_go_up_and_down(keys):
    key = create(keys, "--name", "phone")
    assert listed(keys)[0]["credit"] is None
    assert keys("credit", key, "+10").stdout == "credit: 10\n"
    assert keys("credit", key.split("_")[1], "-2.5").stdout == "credit: 7.5\n"
    assert keys("package", key, "1000").stdout == "package: 1000\n"
    result = keys("credit", key, "-8")
    assert result.exit_code == 1
    assert "-7.5, which is all there is" in result.output


def test_a_key_is_revoked_by_its_id_or_its_text(keys):
    for name in ("one", "two"):
        key = create(keys, "--name", name)
        result = keys("revoke", key if name == "one" else key.split("_")[1])
        assert result.exit_code == 0
        assert key.split("_", 2)[2] not in result.output
    assert [key["state"] for key in listed(keys)] == ["revoked", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create"], "--name"),
        (["create", "--name", "x", "--expires", "soon"], "--expires"),
        (["create", "--name", "x", "--credit", "-1"], "below zero"),
        (["create", "--name", "x", "--credit", "NaN"], "--credit"),
        (["create", "--name", "x", "--rpm", "0"], "--rpm"),
        (["credit", "nobody", "much"], "AMOUNT"),
        (["revoke", "nobody"], "there is no 'nobody'"),
    ],
)
def test_what_is_wrong_is_named(keys, arguments, told):
    result = keys(*arguments)
    assert result.exit_code in (1, 2)
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_database_that_is_not_there_is_told_without_its_password():
    env = {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/parrotfish"}
    for arguments in (["keys", "list"], ["serve", "--port", "0"]):
        done = run(*arguments, env=env)
        assert done.code == 1
        assert "127.0.0.1:1/parrotfish cannot be used" in done.err
        assert "hunter2" not in done.err
        assert "Traceback" not in done.err


def test_others_are_not_served_without_keys_unless_it_is_said(tmp_path):
    data = ["--data", str(tmp_path)]
    done = run("serve", "--host", "0.0.0.0", "--port", "0", *data)
    assert done.code == 1
    assert "parrotfish keys create" in done.err
    assert "--open" in done.err
    with server("--host", "0.0.0.0", "--open", *data) as (process, url, printed):
        assert "open to whoever reaches it" in printed
        speech = httpx.post(f"{url}/v1/tts", json={"text": "Hello."}, trust_env=False, timeout=60)
        assert speech.status_code == 200
        process.terminate()
        read_rest(process)


def test_keys_of_postgresql_are_those_of_every_server(postgres: Postgres, tmp_path):
    env = {"DATABASE_URL": postgres.database()}
    key = run("keys", "create", "--name", "all", env=env).out.decode().strip()
    with server("--host", "0.0.0.0", "--data", str(tmp_path), env=env) as (process, url, printed):
        assert "Authorization: Bearer $FISH_API_KEY" in curl_line(printed)
        for token, status in ((key, 200), ("any", 401)):
            speech = httpx.post(
                f"{url}/v1/tts",
                json={"text": "Hello."},
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=60,
            )
            assert speech.status_code == status
        process.terminate()
        read_rest(process)
    (found,) = json.loads(run("keys", "list", "--json", env=env).out)
    assert found["text_bytes"] == len("Hello.")
