"""Pages of metrics as figures, from pages that the test writes."""

import dataclasses
import io
import json
import math

import pytest
from rich.console import Console

from transports.top import Buckets, NoMetrics, View, figures, read, show

FIRST = """\
# TYPE parrotfish_build_info gauge
parrotfish_build_info{version="1.2.3",model="tones"} 1
# TYPE parrotfish_engine_state gauge
parrotfish_engine_state{state="loading"} 0
parrotfish_engine_state{state="ready"} 1
# TYPE parrotfish_engine_streams gauge
parrotfish_engine_streams{worker="0",what="open"} 3
parrotfish_engine_streams{worker="1",what="open"} 4
parrotfish_engine_streams{worker="0",what="speaking"} 2
parrotfish_engine_streams{worker="1",what="speaking"} 1
# TYPE parrotfish_engine_streams_limit gauge
parrotfish_engine_streams_limit{worker="0"} 8
parrotfish_engine_streams_limit{worker="1"} 8
# TYPE parrotfish_engine_pages gauge
parrotfish_engine_pages{worker="0",what="used"} 30
parrotfish_engine_pages{worker="0",what="cached"} 20
parrotfish_engine_pages{worker="0",what="free"} 50
# TYPE parrotfish_engine_busy_seconds_total counter
parrotfish_engine_busy_seconds_total{worker="0"} 10
# TYPE parrotfish_engine_audio_seconds_total counter
parrotfish_engine_audio_seconds_total{worker="0"} 100
# TYPE parrotfish_utterances_total counter
parrotfish_utterances_total{transport="live",model="tones",outcome="stop"} 10
parrotfish_utterances_total{transport="live",model="tones",outcome="error"} 2
# TYPE parrotfish_refusals_total counter
parrotfish_refusals_total{transport="http",reason="full"} 5
# TYPE parrotfish_onset_seconds histogram
parrotfish_onset_seconds_bucket{transport="live",model="tones",le="0.1"} 5
parrotfish_onset_seconds_bucket{transport="live",model="tones",le="0.2"} 10
parrotfish_onset_seconds_bucket{transport="live",model="tones",le="+Inf"} 10
parrotfish_onset_seconds_count{transport="live",model="tones"} 10
parrotfish_onset_seconds_sum{transport="live",model="tones"} 1.1
"""
LATER = (
    FIRST.replace('busy_seconds_total{worker="0"} 10', 'busy_seconds_total{worker="0"} 15')
    .replace('audio_seconds_total{worker="0"} 100', 'audio_seconds_total{worker="0"} 110')
    .replace('outcome="stop"} 10', 'outcome="stop"} 14')
    .replace('le="0.2"} 10', 'le="0.2"} 14')
    .replace('le="+Inf"} 10', 'le="+Inf"} 14')
)


def test_a_servers_whole_life() -> None:
    found = figures(read(FIRST, 100.0))
    assert (found.version, found.model, found.state, found.seconds) == ("1.2.3", "tones", "ready", None)
    assert (found.open, found.speaking, found.limit) == (7, 3, 16)
    assert found.pages_used == 0.3
    assert found.rtf == 0.1
    assert found.asr_p95 is None
    http, live = found.transports
    assert (http.transport, http.refused, http.ended) == ("http", 5, 0)
    assert (live.transport, live.ended, live.failed) == ("live", 12, 2)
    assert live.onset_p50 == pytest.approx(0.1)
    assert live.onset_p95 == pytest.approx(0.19)


def test_what_happened_between_two_readings() -> None:
    found = figures(read(LATER, 110.0), read(FIRST, 100.0))
    assert found.seconds == 10.0
    assert found.rtf == 0.5
    http, live = found.transports
    assert http.refused == 0
    assert (live.ended, live.failed) == (4, 0)
    assert live.onset_p50 == pytest.approx(0.15)  # all four between 0.1 and 0.2


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e308"])
@pytest.mark.parametrize("sample", [line for line in FIRST.splitlines() if not line.startswith("#")])
def test_samples_that_are_no_numbers_are_not_there(sample: str, value: str) -> None:
    name = sample.rpartition(" ")[0]
    page = FIRST.replace(sample, f"{name} {value}")
    if "build_info" in name:
        with pytest.raises(NoMetrics):
            read(page, 100.0)
        return
    for found in (figures(read(page, 100.0)), figures(read(page, 110.0), read(FIRST, 100.0))):
        assert found.version == "1.2.3"
        json.dumps(dataclasses.asdict(found), allow_nan=False)
        Console(file=io.StringIO()).print(show([View("http://a", found)]))


def test_a_server_that_has_begun_anew_counts_from_there() -> None:
    found = figures(read(FIRST, 110.0), read(LATER, 100.0))
    assert found.rtf == pytest.approx(0.1)
    live = found.transports[1]
    assert live.ended == 10
    assert live.onset_p50 == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.25, 0.5), (0.5, 1.0), (0.75, 2.0), (0.9, 2.6), (1.0, 3.0)]
)
def test_quantiles_are_prometheus_own(share: float, expected: float) -> None:
    buckets = Buckets((1.0, 3.0, math.inf), (2.0, 4.0, 4.0), 6.0)
    assert buckets.quantile(share) == pytest.approx(expected)
    assert Buckets().quantile(share) is None


def test_beyond_the_last_bound_nothing_is_known() -> None:
    assert Buckets((1.0, math.inf), (0.0, 3.0), 90.0).quantile(0.5) == 1.0


@pytest.mark.parametrize(
    "page",
    [
        *("<html>", '{"message": "no"}', "up 1\n", "parrotfish_build_info{ 1\n"),
        *(FIRST.replace('le="0.1"', label) for label in ('le="x"', 'le="NaN"', 'l="0.1"')),
    ],
)
def test_a_page_of_something_else_is_refused(page: str) -> None:
    with pytest.raises(NoMetrics):
        read(page, 0.0)


def test_servers_stand_side_by_side_and_one_that_is_away_says_why() -> None:
    there = View("http://one:8080", figures(read(FIRST, 1.0)))
    away = View("http://two:8080", None, "cannot be reached: refused")
    out = io.StringIO()
    Console(file=out, width=120).print(show([there, away]))
    text = out.getvalue()
    assert "http://one:8080" in text
    assert "cannot be reached: refused" in text
    assert "3 / 16" in text
    assert "30%" in text
    assert "190 ms" in text
