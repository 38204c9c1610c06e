"""``parrotfish voices``: the library from the command line."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.transports.voices.recordings import recording
from transports.cli import main


def parrotfish(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["voices", *arguments])


def test_a_voice_is_added_listed_and_removed(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    file = tmp_path / "said.ogg"
    file.write_bytes(recording("opus"))
    added = parrotfish("add", "Walter", str(file), "--text", "What is said.", "--data", data)
    assert added.exit_code == 0, added.output
    voice = added.output.strip()
    (listed,) = json.loads(parrotfish("list", "--json", "--data", data).output)
    assert (listed["id"], listed["title"], listed["samples"][0]["text"]) == (voice, "Walter", "What is said.")
    assert parrotfish("list", "--data", data).output.split() == [voice, "private", "Walter", "(created)"]
    assert parrotfish("remove", voice, "--data", data).exit_code == 0
    assert parrotfish("list", "--data", data).output == ""


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    file = tmp_path / "said.wav"
    file.write_text("nothing")
    for arguments, says in (
        (("add", "Walter", str(file)), "voices[0]: the recording cannot be read"),
        (("remove", "none"), "there is none of the id 'none'"),
        (("list", "--account", "nobody"), "there is no account 'nobody'"),
    ):
        refused = parrotfish(*arguments, "--data", data)
        assert refused.exit_code != 0
        assert says in refused.output
    assert not list((tmp_path / "data" / "blobs").glob("??/??/*"))
