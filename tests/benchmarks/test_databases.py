"""The benchmarks of the library and of accounts measure what they say, on SQLite."""

from pathlib import Path

import orjson
import pytest

from benchmarks import accounts, library
from benchmarks.accounts import Cost
from benchmarks.library import Pages


def test_the_library_is_asked_for_what_is_in_it(tmp_path: Path) -> None:
    library.main(["--voices", "400", "--rounds", "2", "--database", "sqlite", "--out", str(tmp_path)])
    pages = [Pages(**one) for one in orjson.loads((tmp_path / "library.json").read_bytes())["pages"]]
    found = {one.query: (one.voices, one.found) for one in pages}
    assert found["100 voices"] == (100, 300)
    assert found["own"] == (100, 100)
    assert found["of another account"] == (100, 200)
    assert found["two tags"] == (15, 15)
    assert found["one title"] == (1, 1)
    assert found["a tag that is none"] == found["a title that is none"] == (0, 0)
    assert all(one.found for one in pages if "none" not in one.query), "a query that asks for nothing"
    assert all(0 < one.p50 <= one.p95 <= one.longest for one in pages)


def test_accounts_are_charged_for_what_is_measured(tmp_path: Path) -> None:
    accounts.main(["--requests", "16", "--database", "sqlite", "--out", str(tmp_path)])
    costs = [Cost(**one) for one in orjson.loads((tmp_path / "accounts.json").read_bytes())["costs"]]
    assert [one.name for one in costs] == ["anybody", "unlimited", "credit", "package", "live"]
    assert all(one.requests == 16 for one in costs)
    assert all(one.loop > 0 for one in costs)


def test_numbers_that_cannot_be_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for main, arguments, said in (
        (library.main, ["--voices", "0"], "got 0; expected 1 or more"),
        (accounts.main, ["--requests", "15"], "got 15; expected 16 or more"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err
