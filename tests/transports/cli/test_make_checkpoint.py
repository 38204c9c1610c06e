import json
import re
import subprocess
import sys
from collections import namedtuple

import pytest
from click.testing import CliRunner

from tests.transports.cli.process import ROOT, run
from transports.cli import main


def make(*arguments: object) -> object:
    return CliRunner().invoke(main, ["make-checkpoint", *map(str, arguments)])


def test_a_tiny_one_is_made_and_what_to_do_with_it_is_said(tmp_path):
    folder = tmp_path / "new" / "babble"
    done = run("make-checkpoint", "--like", "s2-pro", "--seed", "3", str(folder))
    assert done.code == 0, done.err
    told = rf"{re.escape(str(folder))}: \d\d MB of random weights\. Try: parrotfish serve --model (\S+)\n"
    assert re.fullmatch(told, done.out.decode()).group(1) == str(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "fish_qwen3_omni"
    assert [path.name for path in folder.parent.iterdir()] == ["babble"]


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(tmp_path):
    assert make("--like", "s1-mini", tmp_path).exit_code == 0
    assert (tmp_path / "model.pth").exists()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = make("--like", "s2-pro", tmp_path)
    assert again.exit_code == 1
    assert f"{tmp_path} exists and is not an empty folder: name another, or remove it first" in again.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 10**7, 10**7))
    done = make("--like", "s2-pro", "--scale", "full", tmp_path / "x")
    assert done.exit_code == 1
    assert f"{tmp_path} has 0.0 GB free, and 11.1 GB are needed: free some" in done.output
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told_and_not_traced(tmp_path):
    (tmp_path / "file").touch()
    done = make("--like", "s2-pro", tmp_path / "file" / "x")
    assert done.exit_code == 1
    assert f"{tmp_path}/file/x could not be written: Not a directory.\nName a folder" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x"], "Missing option '--like'"),
        (["--like", "s3", "x"], "'s3' is not one of 's2-pro', 's1-mini'"),
        (["--like", "s2-pro"], "Missing argument 'DIR'"),
        (["--like", "s2-pro", "--scale", "huge", "x"], "'huge' is not one of 'tiny', 'full'"),
        (["--like", "s2-pro", "--seed", "-1", "x"], "-1 is not in the range x>=0"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments, told):
    done = make(*arguments)
    assert done.exit_code == 2
    assert told in done.output


def test_without_torch_it_says_what_to_install_and_help_still_works(tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None\n"  # import torch: ImportError, as where there is none
        "from transports.cli import main; main(sys.argv[1:])"
    )

    def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "make-checkpoint", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = without_torch("--like", "s2-pro", str(tmp_path / "x"))
    assert done.returncode == 1
    assert "torch is needed to make a checkpoint" in done.stderr
    assert "pip install 'parrotfish[s2]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert without_torch("--help").returncode == 0
