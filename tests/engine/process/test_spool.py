"""Recordings that a worker may need again."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from engine import Reference
from engine.process.spool import Spool
from tests.tones import recording


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_they_are_kept_sample_for_sample_for_this_user_only(tmp_path: Path) -> None:
    spool = Spool()
    assert list(tmp_path.iterdir()) == []
    given = [recording(440, "one"), Reference(np.zeros(10, np.float32), 8000, "")]
    kept = spool.keep(given)
    assert [(rate, text) for _, rate, text in kept] == [(44_100, "one"), (8000, "")]
    for (file, _, _), reference in zip(kept, given, strict=True):
        assert np.fromfile(file, np.float32).tobytes() == reference.pcm.tobytes()
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    other = spool.keep(given)
    spool.drop(kept)
    spool.drop(kept)
    assert not Path(kept[0][0]).exists()
    assert Path(other[0][0]).exists()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_engine_has_left_is_removed_and_nothing_of_a_living_one(tmp_path: Path) -> None:
    living, killed = Spool(), Spool()
    kept = living.keep([recording(440)])
    killed.keep([recording(330)])
    killed._locked.close()  # as its end does
    assert len(list(tmp_path.iterdir())) == 2
    Spool()
    assert [str(path) for path in tmp_path.iterdir()] == [str(Path(kept[0][0]).parent)]
    living.close()


def test_a_full_disk_leaves_no_half_of_a_voice(tmp_path: Path) -> None:
    spool = Spool()
    spool.keep([recording(440)])
    (folder,) = tmp_path.iterdir()
    (folder / "3.f32").mkdir()  # in the place of the second file
    with pytest.raises(OSError, match=r"3\.f32"):
        spool.keep([recording(440), recording(330)])
    assert sorted(path.name for path in folder.iterdir()) == ["1.f32", "3.f32", "lock"]
    spool.close()
