from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks.conversation.judging import Alarm, Answer, Interruption
from benchmarks.conversation.levels import Level, Words
from benchmarks.conversation.report import Results, save, show, summary

MACHINE = {
    "packages": {"parrotfish": "1"},
    "revision": "abc",
    "date": "today",
    "cpu": "x",
    "cores": 2,
    "load_before": 0.1,
    "python": "3",
}
LEVEL = Level(
    callers=2,
    seconds=60.0,
    judgements=[
        Answer("Hello?", None, decided=0.5, onset=0.6, longest_wait=0.0, server={"decided": 0.49}),
        Answer("Hello?", None, cut_in=True, decided=0.7, onset=1.0, longest_wait=0.1),
        Answer("Hello?", "nothing was heard"),
        Interruption("Stop.", None, from_voice=0.2, from_voiced=0.1, told=0.5, longest_wait=0.15),
        Alarm("cough", None, noticed=True, resumed=True, hole=0.4, twice=0.01, longest_wait=0.0),
        Alarm("cough", None, noticed=True, resumed=True, hole=0.8, twice=-0.02, longest_wait=0.0),
        Alarm("yeah", None, noticed=True),
    ],
    words=Words(100, 1, 2),
    plain_words=Words(50, 1, 0),
    client_lag=[0.001, 0.003],
    server_cpu=0.5,
    client_cpu=0.1,
    model_cpu=0.1,
    machine_cpu=1.0,
    broken=[],
)


def test_a_level_in_numbers() -> None:
    numbers = summary(LEVEL)
    assert (numbers["answers"], numbers["cut_in"]) == (3, 1)
    assert numbers["onset"]["p50"] == pytest.approx(0.8)
    assert numbers["ours"]["p50"] == pytest.approx(0.2)
    assert numbers["server"]["decided"]["p50"] == 0.49
    assert numbers["first_byte"]["p50"] is None
    assert (numbers["interrupted"], numbers["from_voice"]["p95"]) == (1, 0.2)
    assert numbers["alarms"]["cough"] == {"times": 2, "noticed": 2, "resumed": 2}
    assert numbers["alarms"]["yeah"]["resumed"] == 0
    assert numbers["hole"]["p50"] == pytest.approx(0.6)
    assert numbers["lost"] == 0.02
    assert (numbers["replies"], numbers["c100"]) == (5, 0.8)
    assert numbers["cores"]["others"] == pytest.approx(0.3)


def test_what_went_wrong_is_said_and_all_is_saved(tmp_path: Path) -> None:
    results = Results({"seed": 1}, MACHINE, [LEVEL])
    assert results.problems() == ["2 at once: answer, 'Hello?': nothing was heard"]
    save(results, tmp_path / "conversation.json")
    document = orjson.loads((tmp_path / "conversation.json").read_bytes())
    assert len(document["levels"][0]["each"]) == len(LEVEL.judgements)
    console = Console(record=True, width=120)
    show(results, console)
    assert "(≤ 300) 200" in console.export_text()
