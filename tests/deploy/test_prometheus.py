"""The rules and the dashboard ask for what is on the page, and Prometheus' own tool accepts both."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, EngineConfig
from tests.engine.test_numbers import PagedTones
from tests.transports.metrics.page import Page
from tests.transports.metrics.test_reading import everything
from transports.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "parrotfish.json"
_NAME = re.compile(r"\b(?:parrotfish|process)_[a-z_]+\b")


async def _page() -> bytes:
    async with Engine(PagedTones, EngineConfig(max_streams=2)) as engine:
        metrics = Metrics(engine)
        metrics.start(lambda: {"agent": 0})
        for event in everything():
            metrics.meters.note(event)
        page = await metrics.page()
        await metrics.close()
        return page.data


@pytest.fixture(scope="module")
def page() -> bytes:
    """A page on which everything has happened."""
    return asyncio.run(_page())


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions(node: Any) -> Iterator[str]:
    """Whatever a dashboard asks Prometheus."""
    match node:
        case dict():
            for key, value in node.items():
                if key == "expr" or (key == "query" and isinstance(value, str)):
                    yield value
                else:
                    yield from expressions(value)
        case list():
            for value in node:
                yield from expressions(value)


def test_every_rule_asks_for_what_there_is(page: bytes) -> None:
    names = Page(page.decode()).names
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        asked = set(_NAME.findall(rule["expr"]))
        assert asked <= names, rule["expr"]
        assert set(re.findall(r"\bparrotfish:[a-z_:0-9]+", rule["expr"])) <= recorded
        assert asked or "parrotfish:" in rule["expr"] or rule["expr"].startswith("up{")


def test_every_alert_says_what_it_is_about() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 10
    operations = (DEPLOY.parent / "docs" / "operations.md").read_text()
    for rule in alerts:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["alert"] in operations


def test_every_panel_asks_for_what_there_is(page: bytes) -> None:
    names = Page(page.decode()).names
    dashboard = json.loads(DASHBOARD.read_text())
    asked = list(expressions(dashboard))
    assert len(asked) > 30
    for expression in asked:
        found = set(_NAME.findall(expression))
        assert found or expression == "prometheus"
        assert found <= names, expression
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


def test_what_the_dashboard_counts_by_is_a_label(page: bytes) -> None:
    labels = {"le", "instance"}
    for family in Page(page.decode()).families.values():
        for sample in family.samples:
            labels |= sample.labels.keys()
    for expression in [*expressions(json.loads(DASHBOARD.read_text())), *(rule["expr"] for rule in rules())]:
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= labels, expression


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool here: Debian has it in the package prometheus")
    return found


def test_promtool_has_nothing_against_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_has_nothing_against_the_page(promtool: str, page: bytes) -> None:
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
