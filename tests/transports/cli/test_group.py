import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from engine.models.hibari import HibariModel
from tests.transports.cli.process import ROOT, run
from transports.cli import main
from transports.cli.group import COMMANDS
from transports.version import VERSION


def test_help_names_every_command_and_gives_examples():
    done = run("--help")
    assert done.code == 0
    for command, summary in COMMANDS.items():
        assert f"  {command}" in done.out.decode()
        assert summary in done.out.decode()
    assert 'parrotfish say "Hello there." -o hello.mp3\n' in done.out.decode()


@pytest.mark.parametrize("arguments", [["--help"], ["version"]])
def test_help_and_version_load_none_of_the_heavy_parts(arguments):
    program = (
        "import sys; from transports.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "print([name for name in ('numpy', 'av', 'fastapi', 'rich', 'websockets') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_all_its_options(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    ctx_command = main.get_command(None, command)  # type: ignore[arg-type]
    for parameter in ctx_command.params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def numbers(command: click.Command) -> list[click.Option]:
    """The options of a command, or of a group of them, that take a number with a fraction."""
    own = [option for option in command.params if isinstance(option.type, click.types.FloatParamType)]
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own + [option for one in inner for option in numbers(one)]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e+300"])
def test_a_number_that_is_none_is_a_usage_error_of_every_option(command, value):
    group_command = main.get_command(None, command)  # type: ignore[arg-type]
    for option in numbers(group_command):
        with pytest.raises(click.BadParameter) as refused:
            option.process_value(click.Context(group_command), value)
        assert option.opts[0] in refused.value.format_message()
        assert value in refused.value.format_message()


def test_version_says_which_parrotfish_python_and_platform():
    done = run("version")
    assert done.code == 0
    assert done.out.decode().startswith(f"parrotfish {VERSION}\nPython {sys.version.split()[0]}")


@pytest.mark.parametrize(("options", "told"), [((), False), (("-W", "default"), True)])
def test_warnings_of_libraries_are_told_to_those_only_who_ask(options, told):
    program = (
        "import warnings; from transports.cli import main\n"
        "main(['version'], standalone_mode=False); warnings.warn('Old version')"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ("UserWarning: Old version" in done.stderr) == told


def test_a_wrong_command_is_a_usage_error():
    result = CliRunner().invoke(main, ["sing"])
    assert result.exit_code == 2
    assert "No such command 'sing'" in result.output


def test_voices_lists_id_name_and_description_the_default_first():
    info = HibariModel().info
    listed = json.loads(CliRunner().invoke(main, ["voices", "--json"]).output)
    assert {voice["id"] for voice in listed} == set(info.voice_ids)
    assert listed[0]["id"] == info.default_voice
    plain = CliRunner().invoke(main, ["voices"]).output
    for voice in info.voices:
        assert voice.id in plain
        assert voice.description in plain


def test_a_part_that_is_missing_is_told_and_not_traced(tmp_path):
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so: cannot open')")
    done = run("say", "Hello.", "-o", str(tmp_path / "x.wav"), env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 1
    assert "libavcodec.so" in done.err
    assert "pip install --force-reinstall" in done.err
    assert "Traceback" not in done.err
