import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.models.dual_ar import DualARModel, DualAROptions, load_dual_ar
from engine.models.dual_ar.config import Layout
from tests.engine.conformance.crowd import Crowd
from tests.engine.models.dual_ar.babble import folder

STREAMS = 12
PYTHON = "PARROTFISH_SGLANG_PYTHON"


def _ours() -> DualARModel:
    return load_dual_ar(folder(Layout.S2_PRO), DualAROptions(device="cpu", max_streams=STREAMS))


def _sglang() -> DualARModel:
    from engine.models.sglang import SGLangOptions, load_sglang

    options = DualAROptions(device="cpu", max_streams=STREAMS, kv_memory=64 << 20)
    return load_sglang(folder(Layout.S2_PRO), options, SGLangOptions(python=Path(os.environ[PYTHON])))


@pytest.fixture(
    scope="session",
    params=[
        "ours",
        pytest.param(
            "sglang",
            marks=[
                pytest.mark.skipif(PYTHON not in os.environ, reason="SGLang is not here: make test-sglang"),
                pytest.mark.timeout(600),  # it takes half a minute to start
            ],
        ),
    ],
)
def model(request: pytest.FixtureRequest) -> Iterator[DualARModel]:
    """One model on each engine."""
    made = {"ours": _ours, "sglang": _sglang}[request.param]()
    made.warm()
    yield made
    made.close()


@pytest.fixture
def crowd(model: DualARModel) -> Iterator[Crowd]:
    """Contexts of the engine under test."""
    crowd = Crowd(model._batcher)
    yield crowd
    crowd.leave()
