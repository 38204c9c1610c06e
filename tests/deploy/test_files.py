"""The other files of ``deploy/``, and what they say of the server."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.routes import SPEAKING, paths
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


def test_prometheus_has_the_token_that_the_pods_ask_for() -> None:
    kubernetes = DEPLOY / "kubernetes"
    monitor = loaded(kubernetes / "podmonitor.yaml")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    token = endpoint["authorization"]["credentials"]
    secret = loaded(kubernetes / "secret.example.yaml")
    assert (token["name"], token["key"]) == (secret["metadata"]["name"], "PARROTFISH_METRICS_TOKEN")
    assert token["key"] in secret["stringData"]
    template = loaded(kubernetes / "deployment.yaml")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert {"secretRef": {"name": token["name"]}} in container["envFrom"]
    assert endpoint["port"] in [port["name"] for port in container["ports"]]
    labels = template["metadata"]["labels"]
    assert labels.items() >= monitor["selector"]["matchLabels"].items()
    assert labels[monitor["jobLabel"]] == "parrotfish"  # as in the rules
    assert "annotations" not in template["metadata"]  # a scraper that goes by them sends no token


def service(path: str) -> str:
    """The service to which the ingress sends a path."""
    (rule,) = loaded(DEPLOY / "kubernetes" / "ingress.yaml")["spec"]["rules"]
    fitting = [
        one
        for one in rule["http"]["paths"]
        if path == one["path"]
        or (one["pathType"] == "Prefix" and f"{path}/".startswith(f"{one['path'].rstrip('/')}/"))
    ]
    return str(max(fitting, key=lambda one: len(one["path"]))["backend"]["service"]["name"])


def test_the_ingress_sends_speech_where_there_is_room_and_the_rest_wherever_a_pod_lives() -> None:
    documents = {
        one["metadata"]["name"]: one for one in map(loaded, MANIFESTS) if one.get("kind") == "Service"
    }
    speech, library, peers = "parrotfish", "parrotfish-library", "parrotfish-peers"
    assert {name: one["spec"].get("publishNotReadyAddresses", False) for name, one in documents.items()} == {
        speech: False,
        library: True,
        peers: True,
    }
    retried = re.compile("^/v1/ai/x/fishaudio/|^/fish/tts$")  # no prefix; perhaps a promise
    for path in paths():
        speaks = (SPEAKING.search(path) and not retried.search(path)) or path == "/ready"
        assert service(path) == (speech if speaks else library), path
    assert service("/v1/webrtc") == service("/v1/webrtc/x") == peers


def test_the_ingress_finds_webrtc_sessions_as_the_balancer_does() -> None:
    annotations = loaded(DEPLOY / "kubernetes" / "service-peers.yaml")["metadata"]["annotations"]
    snippet = annotations["haproxy-ingress.github.io/config-backend"].splitlines()
    ours = [line.strip() for line in (DEPLOY / "haproxy.cfg").read_text().splitlines()]
    ours = ours[ours.index("backend peers") : ours.index("backend library")]
    assert [line for line in snippet if line.startswith("stick")] == [
        line for line in ours if line.startswith("stick")
    ]


@pytest.mark.parametrize("name", ["ingress.yaml", "service-peers.yaml"])
def test_what_the_ingress_adds_to_haproxy_is_accepted(haproxy: str, name: str, tmp_path: Path) -> None:
    annotations = loaded(DEPLOY / "kubernetes" / name)["metadata"]["annotations"]
    snippet = annotations["haproxy-ingress.github.io/config-backend"]
    lines = ["mode http", "bind 127.0.0.1:1", *snippet.splitlines(), "server one 127.0.0.1:2"]
    lines += [f"timeout {what} 1s" for what in ("client", "connect", "server")]
    file = tmp_path / "haproxy.cfg"
    file.write_text("listen pods\n" + "".join(f"    {line}\n" for line in lines))
    checked = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_kustomize_has_every_manifest() -> None:
    listed = loaded(DEPLOY / "kubernetes" / "kustomization.yaml")["resources"]
    # The last is for clusters that know what it is.
    others = {"kustomization.yaml", "secret.example.yaml", "podmonitor.yaml"}
    assert sorted(listed) == sorted(path.name for path in MANIFESTS if path.name not in others)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_keep_to_the_schemas(path: Path) -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    if path.name not in ("kustomization.yaml", "podmonitor.yaml"):  # which are none of the cluster's own
        validating.validate(loaded(path), "1.31", strict=True)
