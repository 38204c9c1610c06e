"""The API against its own description: whatever is sent to any operation, what comes back is what it says.

Schemathesis makes the requests, valid and not. ``API_EXAMPLES`` is how many of each kind for each operation.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import ormsgpack
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from starlette.routing import Route

from engine import EngineConfig
from engine.models.hibari import HibariModel
from tests.transports.accounts.test_routes import leaves
from tests.transports.conftest import Running, run_server
from tests.transports.gateways.conftest import recording
from tests.transports.voices.recordings import PNG
from transports.accounts import Keyring
from transports.app import create_app
from transports.security.config import Limits
from transports.settings import Settings
from transports.store import Database, database_url

EXAMPLES = int(os.environ.get("API_EXAMPLES", "6"))
KINDS = {"valid": GenerationMode.POSITIVE, "invalid": GenerationMode.NEGATIVE}
DESCRIPTION = create_app(Settings(), HibariModel).openapi()
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}

load_all_checks()
CHECKS = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
FILES = st.sampled_from([recording(), PNG, recording()[:3000]]) | st.binary(max_size=200)
schemathesis.openapi.format("binary", FILES)
schemathesis.openapi.format("byte", FILES.map(lambda file: b64encode(file).decode()))


@schemathesis.serializer("application/msgpack")
def _msgpack(_: Any, value: Any) -> bytes:
    return ormsgpack.packb(_packable(value))


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def _text(_: Any, value: Any) -> bytes:
    return str(value).encode(errors="replace")


def _packable(value: Any) -> Any:
    """The value without what only JSON has: lone surrogates, and integers of any size."""
    match value:
        case dict():
            return {_packable(str(name)): _packable(item) for name, item in value.items()}
        case list():
            return [_packable(item) for item in value]
        case int() if not -(2**63) <= value < 2**64:
            return float("inf")
        case str():
            return value.encode(errors="replace").decode()
        case None | bool() | int() | float() | bytes():
            return value
        case _:  # a file
            return bytes(value)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, requests.Session]]:
    """A server with a library of its own, and a session with its key."""
    data = tmp_path_factory.mktemp("described")
    config = EngineConfig(max_streams=8, max_ahead=3600.0)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {asyncio.run(_first_key(data))}"
        for running in run_server(Settings(port=0, engine=config, data=data)):
            yield running, session
            running.until_idle()


def _takes_anything(operation: str) -> bool:
    method, path = operation.split()
    described = DESCRIPTION["paths"][path][method.lower()]
    return "parameters" in described or "requestBody" in described


def _voice(server: Running, session: requests.Session) -> str:
    """The id of a new voice."""
    files = [("voices", ("a.wav", recording())), ("cover_image", ("a.png", PNG))]
    made = session.post(f"{server.url}/model", {"title": "A voice", "texts": ["ah"]}, files=files, timeout=30)
    return str(made.json()["_id"])


def _with_voices_that_there_are(case: schemathesis.Case, voice: str) -> None:
    if "voice_id" in case.path_parameters:
        case.path_parameters["voice_id"] = voice
    if "model_id" in case.query:
        case.query["model_id"] = voice
    if isinstance(case.body, dict) and "text" in case.body:
        case.body["reference_id"] = "heart"


async def _first_key(data: Any) -> str:
    database = Database(database_url(None, data))
    await database.start()
    try:
        return await Keyring(database).create("anybody")
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("operation", "kind"),
    [(name, kind) for name in OPERATIONS for kind in KINDS if kind == "valid" or _takes_anything(name)],
)
def test_every_operation_answers_as_it_is_described(
    described: tuple[Running, requests.Session], operation: str, kind: str
) -> None:
    server, session = described
    voice = _voice(server, session) if "{voice_id}" in operation or "/fish-audio/model/" in operation else ""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=KINDS[kind]))
    def answers(case: schemathesis.Case) -> None:
        if kind == "valid":
            _with_voices_that_there_are(case, voice)
        answer = case.call(server.url, session=session, timeout=30)
        if answer.content == b"Invalid HTTP request received.":  # uvicorn's word for an address of 64 KiB
            return
        if answer.status_code == 414:  # before anybody knows what is asked for
            assert len(answer.request.path_url) > Limits().line - 100
            return
        case.validate_response(answer, checks=CHECKS)

    answers()


def test_every_route_is_described_but_those_of_the_page() -> None:
    hidden = {
        route.path
        for route in leaves(create_app(Settings(), HibariModel).routes)
        if isinstance(route, Route) and not getattr(route, "include_in_schema", True)
    }
    assert hidden == {"/", "/web/agent", "/web/voices", "/web/{folder}/{path:path}", "/openapi.json"}
    described = [each for path in DESCRIPTION["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in described}) == len(described)
    assert all(each["summary"] and each["description"] and each["tags"] for each in described)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/tts", "ErrorJson"),
        ("/v1/ai/any/fishaudio/v1/tts", "ErrorJson"),
        ("/v1/audio/speech", "OpenAIErrorJson"),
        ("/compat/v1/audio/speech", "OpenAIErrorJson"),
        ("/fish/tts", "AceErrorJson"),
        ("/api/v1/fish-audio/tts", "YunttsErrorJson"),
    ],
)
def test_refusals_are_described_in_the_shape_of_the_dialect(
    described: tuple[Running, requests.Session], path: str, shape: str
) -> None:
    server, session = described
    told = DESCRIPTION["paths"][path.replace("/any/", "/{endpoint}/")]["post"]
    assert told["security"] == [{"key": []}]
    assert DESCRIPTION["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for status, response in told["responses"].items():
        if int(status) >= 400:
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{shape}"}
        assert ("Retry-After" in response.get("headers", ())) == (status in ("429", "503"))
    fields = set(DESCRIPTION["components"]["schemas"][shape]["properties"])
    for body, headers, status in (({}, {}, 400), ({}, {"Authorization": "Bearer no"}, 401), (None, {}, 415)):
        answer = session.post(f"{server.url}{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == status
        assert set(answer.json()) <= fields


def test_a_query_that_is_wrong_is_told_as_everything_else_is(
    described: tuple[Running, requests.Session],
) -> None:
    server, session = described
    answer = session.get(f"{server.url}/wallet/self/api-credit?check_free_credit=perhaps", timeout=30)
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "check_free_credit: got 'perhaps'; expected a valid boolean, unable to interpret input",
        "status": 400,
    }
