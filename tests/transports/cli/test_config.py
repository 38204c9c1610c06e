"""Options from a file, under the environment and the command line; ``parrotfish config`` says which is which."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tests.transports.cli.process import ROOT, server
from transports.cli import main
from transports.cli.configuration import is_secret
from transports.cli.serve import serve

SECRET = "geheim-1234"
PHONE_KEY = f"pf_abcdefghij_{SECRET:x<43}"
Effective = dict[str, tuple[Any, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def parrotfish(*arguments: object, **env: str | None) -> tuple[int, str]:
    """Exit code and output of a command in this process."""
    result = CliRunner(env=env).invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def effective(*arguments: object, **env: str | None) -> Effective:
    """What ``parrotfish config --json`` says: option to value, source and name."""
    code, output = parrotfish("config", "--json", *arguments, **env)
    assert code == 0, output
    return {
        one["option"]: (one["value"], one["source"], one["name"]) for one in json.loads(output)["settings"]
    }


# -- where a value comes from -------------------------------------------------------------------------


def test_each_place_is_over_the_next(file: Path) -> None:
    file.write_text("port = 7001\nmax-ahead = 3\nmax_text = 500\nhost = '127.0.0.2'\n")
    found = effective(
        "--config",
        file,
        "--port",
        9000,
        PARROTFISH_PORT="8001",
        PARROTFISH_MAX_AHEAD="4",
        PARROTFISH_GRACE="5",
    )
    assert found["port"] == (9000, "command line", "--port")
    assert found["max-ahead"] == (4.0, "environment", "PARROTFISH_MAX_AHEAD")
    assert found["grace"] == (5.0, "environment", "PARROTFISH_GRACE")
    assert found["max-text"] == (500, "file", str(file))
    assert found["host"] == ("127.0.0.2", "file", str(file))
    assert found["vad"][1:] == ("default", "")


def test_variables_of_their_own_names_are_told() -> None:
    found = effective(DATABASE_URL="sqlite:///x.db")
    assert found["database-url"] == ("sqlite:///x.db", "environment", "DATABASE_URL")


def test_all_options_of_serve_are_there_and_all_kinds_of_values(file: Path) -> None:
    file.write_text(
        'open = true\ngraphs = false\nmodel = "x"\nallow-origin = ["https://a.example", "https://b.example"]\n'
        'price-tts = 15\nengine-voices = "a,b"\n'
        '[voice-alias]\nx1 = "heart"\nx2 = "otto"\n[engine-fields]\nlanguage = "en"\nn = 3\n'
    )
    found = effective("--config", file)
    options = {option.opts[0].removeprefix("--") for option in serve.params if option.expose_value}
    assert found.keys() == options
    assert found["open"][0] is True
    assert found["graphs"][0] is False
    assert found["allow-origin"][0] == ["https://a.example", "https://b.example"]
    assert found["price-tts"][0] == "15"
    assert found["engine-voices"][0] == ["a", "b"]
    assert found["voice-alias"][0] == {"x1": "heart", "x2": "otto"}
    assert json.loads(found["engine-fields"][0]) == {"language": "***", "n": 3}


def test_people_get_a_table(file: Path) -> None:
    file.write_text(f'port = 7001\ninstructions = "{"Be kind. " * 50}"\n')
    code, output = parrotfish("config", "--config", file)
    assert code == 0
    assert re.search(rf"^port +7001 +file {re.escape(str(file))}$", output, re.M)
    assert re.search(r"^grace +30.0 +default$", output, re.M)
    assert re.search(r"^engine-rate +\(24000\) +default$", output, re.M)
    assert re.search(r"^instructions +Be kind. Be.*… +file ", output, re.M)


def test_tables_are_headings(file: Path) -> None:
    file.write_text("[whatever]\nport = 7001\n[asr]\nasr-model = 'large-v3'\nasr = 'whisper'\n")
    found = effective("--config", file)
    assert found["port"][0] == 7001
    assert found["asr"][0] == "whisper"
    assert found["asr-model"][0] == "large-v3"


def test_the_file_in_the_data_folder_need_not_be_named(tmp_path: Path) -> None:
    assert effective(PARROTFISH_DATA=str(tmp_path))["port"][1] == "default"
    place = tmp_path / "parrotfish.toml"
    place.write_text("port = 7002")
    assert effective(PARROTFISH_DATA=str(tmp_path))["port"] == (7002, "file", str(place))
    other = tmp_path / "other.toml"
    other.write_text("grace = 2")
    found = effective(PARROTFISH_DATA=str(tmp_path), PARROTFISH_CONFIG=str(other))
    assert found["port"][1] == "default"
    assert found["grace"] == (2.0, "file", str(other))


# -- what is wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("max-steams = 3", "max-steams: there is no such option; did you mean max-streams?"),
        ("[limits]\nmax_steams = 3", "max_steams: there is no such option; did you mean max-streams?"),
        ("qqqqqqq = 3", "qqqqqqq: there is no such option; parrotfish config lists all"),
        ("config = 'x'", "config: there is no such option"),
        ("port = 70000", "port: '70000': 70000 is not in the range 0<=x<=65535"),
        ("port = 80.5", "port: '80.5': '80.5' is not a valid integer"),
        ("port = true", "port: 'true': 'true' is not a valid integer"),
        ("max-ahead = nan", "max-ahead: 'nan': nan is not a number up to 1000000"),
        ("grace = inf", "grace: 'inf': inf is not a number up to 1000000"),
        ("open = 'perhaps'", "open: 'perhaps'"),
        ("log-level = 'loud'", "log-level: 'loud'"),
        ("port = [1, 2]", "port: got a list; expected one value"),
        ("[a.port]\nx = 1", "port: got a table; expected one value"),
        ("allow-origin = [['x']]", "allow-origin: got a list; expected one value"),
        ("engine-url = 'host'", "engine-url: 'host': 'host' does not begin with http"),
        ("public-url = 'http://'", "public-url: 'http://': 'http://' names no host"),
        ("llm-url = 'https://:80/v1'", "llm-url: 'https://:80/v1': 'https://:80/v1' names no host"),
        (
            "asr-url = 'ftp://host'",
            "asr-url: 'ftp://host': 'ftp://host' does not begin with http:// or https://",
        ),
        (
            "engine-url = 'http://host:x/v1'",
            "engine-url: 'http://host:x/v1': 'http://host:x/v1' has a host or",
        ),
        (
            "redis-url = 'redis://host:x'",
            "redis-url: 'redis://host:x': 'redis://host:x' has a host or a port",
        ),
        ("port = 1\n[a]\nport = 2", "port: it is there twice"),
        ("max-streams = 1\nmax_streams = 2", "max_streams: it is there twice"),
        ("port = ", "Invalid value (at"),
    ],
)
@pytest.mark.parametrize("command", ["config", "serve", "voices"])
def test_a_mistake_is_told_with_file_key_and_value(file: Path, command: str, content: str, told: str) -> None:
    file.write_text(content)
    code, output = parrotfish(command, "--config", file)
    assert code == 1
    assert f"Error: {file}: {told}" in output


def test_a_wrong_value_is_one_even_if_another_is_used(file: Path) -> None:
    file.write_text("port = 'x'")
    code, output = parrotfish("config", "--config", file, "--port", 9000)
    assert code == 1
    assert "port: 'x'" in output


def test_a_file_that_is_not_there(file: Path) -> None:
    code, output = parrotfish("config", "--config", file)
    assert code == 2
    assert "does not exist" in output


def test_a_file_that_is_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    code, output = parrotfish("config", "--config", file)
    assert code == 1
    assert str(file) in output


@pytest.mark.parametrize("command", ["config", "serve"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("PARROTFISH_MAX_STREAM", "did you mean PARROTFISH_MAX_STREAMS?"),
        ("PARROTFISH_METRIC_PORT", "did you mean PARROTFISH_METRICS_PORT?"),
        ("PARROTFISH_QQQQQQ", "parrotfish config lists all that there are"),
    ],
)
def test_a_variable_that_is_no_option_is_a_mistake(command: str, name: str, advice: str) -> None:
    code, output = parrotfish(command, "--host", "192.0.2.1", **{name: "3"})
    assert code == 1
    assert f"Error: {name} is in the environment, and there is no such option; {advice}" in output


def test_variables_of_others_are_none() -> None:
    """Of other programs of ours, those that options name, and what Kubernetes tells of a service parrotfish."""
    others = {
        "PARROTFISH_SECRET": "x" * 32,
        "PARROTFISH_API_KEY": "x",
        "PARROTFISH_LLM": "x",
        "PARROTFISH_SERVICE_HOST": "10.96.0.1",
        "PARROTFISH_SERVICE_PORT": "80",
        "PARROTFISH_SERVICE_PORT_HTTP": "80",
        "PARROTFISH_WEB_PORT": "tcp://10.96.0.1:80",
        "PARROTFISH_PORT_80_TCP": "tcp://10.96.0.1:80",
        "PARROTFISH_PORT_80_TCP_ADDR": "10.96.0.1",
    }
    assert effective("--llm-key-env", "PARROTFISH_LLM", **others)["llm-key-env"][0] == "PARROTFISH_LLM"


# -- secrets ------------------------------------------------------------------------------------------


def test_secrets_are_not_printed(file: Path) -> None:
    file.write_text(
        f'twilio-token = "{SECRET}"\ndatabase-url = "postgresql://user:{SECRET}@host/name"\n'
        f'engine-url = "http://user:{SECRET}@host/v1"\nredis-url = "redis://host:6379/0?password={SECRET}"\n'
        f'llm-url = "https://host/v1?key={SECRET}"\nasr-url = "https://host/v1?token={SECRET}"\n'
        f'otlp-endpoint = "https://{SECRET}@host"\nblobs-url = "s3://key:se/{SECRET}@bucket"\n'
        f'public-url = "https://user:{SECRET}@host"\ninstructions = "See https://host/?key={SECRET} for all."\n'
        f'[engine-fields]\napi_key = "{SECRET}"\nnested = [{{x = "{SECRET}"}}]\n'
    )
    for arguments in ([], ["--json"]):
        code, output = parrotfish("config", "--config", file, *arguments, PARROTFISH_PHONE_KEY=PHONE_KEY)
        assert code == 0
        assert SECRET not in output
        assert "postgresql://***@host/name" in output
        assert "https://host/v1?***" in output
        assert "See https://host/?*** for all." in output
    found = effective("--config", file, PARROTFISH_PHONE_KEY=PHONE_KEY)
    assert found["twilio-token"] == ("***", "file", str(file))
    assert found["phone-key"] == ("***", "environment", "PARROTFISH_PHONE_KEY")


@pytest.mark.parametrize(
    "content",
    [
        f'twilio-token = ["{SECRET}"]',
        f'llm-url = "htp://host/v1?key={SECRET}"',
        f'asr-url = "user:{SECRET}@host/v1"',
        f"""engine-fields = '{{"key": "{SECRET}"'""",
        f"""engine-fields = '["{SECRET}"]'""",
    ],
)
def test_nor_are_they_in_errors(file: Path, content: str) -> None:
    file.write_text(content)
    code, output = parrotfish("config", "--config", file)
    assert code == 1
    assert content.partition(" ")[0] in output
    assert SECRET not in output


def test_nor_are_they_in_those_of_the_command_line() -> None:
    for option, value in (
        ("--llm-url", f"http//user:{SECRET}@host"),
        ("--engine-fields", f'{{"key": "{SECRET}"'),
        ("--redis-url", f"host?password={SECRET}"),
    ):
        code, output = parrotfish("config", option, value)
        assert code == 2
        assert option in output
        assert SECRET not in output


def test_an_option_that_is_called_like_a_secret_is_one() -> None:
    public = {"telnyx_key", "tls_key"}  # verifies signatures; is a file's name
    suspicious = re.compile(r"(^|_)(key|token|secret|password)$")
    found = {option.name for option in serve.params if suspicious.search(option.name or "")}
    assert {"twilio_token", "phone_key"} <= found
    hidden = {option.name for option in serve.params if is_secret(option)}
    assert found - public <= hidden


# -- other commands -----------------------------------------------------------------------------------


def test_options_that_commands_share_with_serve_mean_the_same() -> None:
    """A file is for all of them: none may have another meaning for a key of it."""
    of_serve = {option.name: option for option in serve.params}

    def check(command: click.Command) -> int:
        shared = 0
        for option in command.params:
            if isinstance(option, click.Option) and option.name in of_serve and option.expose_value:
                other = of_serve[option.name]
                assert (option.opts, type(option.type), option.multiple) == (
                    other.opts,
                    type(other.type),
                    other.multiple,
                ), f"{command.name} {option.opts}"
                shared += 1
        inner = command.commands.values() if isinstance(command, click.Group) else ()
        return shared + sum(check(each) for each in inner)

    context = click.Context(main)
    for name in ("say", "dub", "hear", "doctor", "voices", "keys"):
        command = main.get_command(context, name)
        assert command is not None
        assert check(command) > 0, name


def test_the_same_file_leads_other_commands_to_the_same_database(file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    file.write_text(f'database-url = "{url}"\nport = 7001\n')
    code, output = parrotfish("keys", "create", "--name", "me", PARROTFISH_CONFIG=str(file))
    assert code == 0, output
    assert (tmp_path / "kept.db").exists()
    named = ["--config", file]
    for arguments in (
        ["keys", *named, "list"],
        ["keys", "list", *named],
        ["keys", "list", "--database-url", url],
    ):
        code, output = parrotfish(*arguments)
        assert code == 0, output
        assert re.search(r"\bme\b", output), arguments


def test_a_server_runs_by_its_file(file: Path) -> None:
    file.write_text("max-streams = 3\n")
    with server("--config", str(file)) as (_, url, printed):
        assert url.startswith("http://127.0.0.1:")
        assert "3 streams at once" in printed


# -- what the documentation says ----------------------------------------------------------------------


def test_the_documents_example_works(file: Path) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    file.write_text(example)
    found = effective("--config", file)
    keys = re.findall(r"^([a-z-]+) = ", example, re.M)
    assert len(keys) > 9
    for key in [*keys, "voice-alias"]:
        assert found[key][1:] == ("file", str(file)), key
    assert found["voice-alias"][0] == {"933563129e564b19a115bedd57b7406a": "anna"}
    assert found["allow-origin"][0] == ["https://example.com", "https://www.example.com"]
    assert found["instructions"][0].startswith("You are the voice")
