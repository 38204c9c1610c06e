"""The other files of ``deploy/``, and what they say of the server."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from transports.cli.serve import serve

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
ENVIRONMENT = re.compile(r"\b(PARROTFISH_[A-Z_]+|DATABASE_URL)\b")
OTHERS = {  # what is not an option of serve
    *("PARROTFISH_BIND", "PARROTFISH_METRICS", "PARROTFISH_TARGET", "PARROTFISH_SECRET"),
    *("PARROTFISH_REPLICA_N", "PARROTFISH_REPLICA_1", "PARROTFISH_REPLICA_2", "PARROTFISH_REPLICA_3"),
}


def loaded(path: Path) -> Any:
    (document,) = yaml.safe_load_all(path.read_text())
    return document


def variables() -> set[str]:
    """The environment variables of ``parrotfish serve``."""
    found = set()
    for parameter in serve.params:
        given = parameter.envvar
        found |= {given} if isinstance(given, str) else set(given or ())
        found.add(f"PARROTFISH_{(parameter.name or '').upper()}")
        found |= {f"PARROTFISH_{option.strip('-').replace('-', '_').upper()}" for option in parameter.opts}
    return found


@pytest.mark.parametrize(
    "path", [one for one in DEPLOY.rglob("*") if one.is_file()], ids=lambda path: path.name
)
def test_every_variable_is_one_that_the_server_reads(path: Path) -> None:
    assert set(ENVIRONMENT.findall(path.read_text())) <= variables() | OTHERS


def test_compose_has_the_replicas_that_the_balancer_asks_for() -> None:
    services = loaded(DEPLOY / "compose.yaml")["services"]
    balancer = (DEPLOY / "haproxy.cfg").read_text()
    assert {f"{name}:8080" for name in services if name.startswith("replica")} == set(
        re.findall(r"replica-\d:8080", balancer)
    )
    for name, service in services.items():
        if name.startswith("replica"):
            assert int(service["stop_grace_period"].removesuffix("s")) > sum(
                float(service["environment"][f"PARROTFISH_{one}"]) for one in ("GRACE", "NOTICE")
            )
    assert set(loaded(DEPLOY / "compose.gpu.yaml")["services"]) <= set(services)


def test_the_image_is_built_of_what_there_is() -> None:
    targets, copied, user = [], [], ""
    for line in re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text()).splitlines():
        words = shlex.split(line, comments=True)
        match words[:1]:
            case ["FROM"]:
                targets.append(words[3])
            case ["COPY"] if not words[1].startswith("--from"):
                copied += words[1:-1]
            case ["USER"]:
                user = words[1]
    assert {"cpu", "cuda"} <= set(targets)
    assert user.split(":")[0] not in ("", "0", "root")
    kept = (DEPLOY.parent / ".dockerignore").read_text()
    for name in copied:
        assert (DEPLOY.parent / name).exists()
        assert f"!{name.removeprefix('./')}\n" in kept


def test_kubernetes_waits_for_as_long_as_the_server_needs() -> None:
    pod = loaded(DEPLOY / "kubernetes" / "deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    waits = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = waits + float(given["PARROTFISH_NOTICE"]) + float(given["PARROTFISH_GRACE"])
    assert pod["terminationGracePeriodSeconds"] > needed
    probes = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    }
    assert probes == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}


def test_kubernetes_sets_no_option_of_the_server_by_itself() -> None:
    """For each Service it gives all pods NAME_PORT, NAME_SERVICE_HOST and more, unless told not to."""
    pod = loaded(DEPLOY / "kubernetes" / "deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    set_by_itself = {
        f"{document['metadata']['name'].upper().replace('-', '_')}_{what}"
        for document in map(loaded, MANIFESTS)
        if document["kind"] == "Service" and pod.get("enableServiceLinks", True)
        for what in ("PORT", "SERVICE_HOST", "SERVICE_PORT")
    }
    assert not set_by_itself & variables()
    given = {one["name"]: one.get("value") for one in container["env"]}
    assert given["PARROTFISH_PORT"] == str(container["ports"][0]["containerPort"])


def test_kustomize_has_every_manifest() -> None:
    listed = loaded(DEPLOY / "kubernetes" / "kustomization.yaml")["resources"]
    others = {"kustomization.yaml", "secret.example.yaml"}
    assert sorted(listed) == sorted(path.name for path in MANIFESTS if path.name not in others)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_keep_to_the_schemas(path: Path) -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    if path.name != "kustomization.yaml":  # which is for kustomize, not for the cluster
        validating.validate(loaded(path), "1.31", strict=True)
