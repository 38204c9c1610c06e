"""Servers whose limits are so tight that a test reaches them at once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from transports.security import Limits, SecurityConfig
from transports.settings import Settings

Serve = Callable[..., Running]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with these limits that trusts no proxy, unless told to: this machine is a stranger, too."""
    with ExitStack() as stack:

        def start(
            *,
            hosts: tuple[str, ...] = (),
            proxies: tuple[str, ...] = (),
            settings: Any = None,
            **limits: float,
        ) -> Running:
            security = SecurityConfig(hosts=hosts, proxies=proxies, limits=Limits(**limits))  # type: ignore[arg-type]
            made = Settings(
                port=0,
                asr=None,
                engine=EngineConfig(max_streams=4, max_ahead=3600.0),
                security=security,
                **(settings or {}),
            )
            return stack.enter_context(contextmanager(run_server)(made, ToneModel))

        yield start
