"""What is secret reaches the programs as files: none of it is in an environment that others see."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no type hints

from config.loading import SECRETS, file_variable, variable
from worker.deploy.files import FILES, FOLDER

COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
OURS = ("worker", "api", "console")
#: The variables that name the files of secrets, to the names of the files.
NEEDED = {
    "worker": {"REDIS_URL": "redis_url", "VAULT_KEYS": "vault_keys"},
    "api": {"REDIS_URL": "redis_url", "API_TOKENS": "api_tokens"},
    "console": {
        "REDIS_URL": "redis_url",
        "VAULT_KEYS": "vault_keys",
        "CONSOLE_TOKENS": "console_tokens",
    },
}


def _paths(name: str, folder: str) -> dict[str, str]:
    return {f"REFUNDS_{setting}_FILE": f"{folder}/{file}" for setting, file in NEEDED[name].items()}


@pytest.mark.parametrize("name", FILES)
def test_no_file_puts_a_secret_into_a_variable(name: str) -> None:
    """Each that it names is a file; an environment shows in `inspect`, in /proc and in dumps."""
    lines = (FOLDER / name).read_text().split("\n")
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    named = {variable(field) for field in SECRETS}
    assert named & set(re.findall(r"\bREFUNDS_[A-Z_]*[A-Z]\b", text)) == set()


@pytest.mark.parametrize("name", OURS)
def test_compose_mounts_what_a_service_reads(name: str) -> None:
    """And nothing else; each secret is a file of this machine."""
    service = COMPOSE["services"][name]
    role = "operator" if name == "console" else "worker"
    given = {key: value for key, value in service["environment"].items() if key.endswith("_FILE")}
    expected = _paths(name, "/run/secrets") | {
        "REFUNDS_REDIS_URL_FILE": f"/run/secrets/{role}_redis_url"
    }
    assert given == expected
    assert [f"/run/secrets/{secret}" for secret in service["secrets"]] == list(given.values())
    for secret in service["secrets"]:
        assert COMPOSE["secrets"][secret] == {"file": f"secrets/{secret}"}


@pytest.mark.parametrize("name", OURS)
def test_kubernetes_mounts_what_a_pod_reads(name: str) -> None:
    """From a Secret of its own, readable by its group only, made by a command of the header."""
    manifest = (FOLDER / "kubernetes.yaml").read_text()
    [pod] = [
        each["spec"]["template"]["spec"]
        for each in yaml.safe_load_all(manifest)
        if each["kind"] == "Deployment" and each["metadata"]["name"] == f"refunds-{name}"
    ]
    [container] = pod["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    assert given == _paths(name, "/run/secrets/refunds")
    mounts = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
    assert mounts == [{"name": "secrets", "mountPath": "/run/secrets/refunds", "readOnly": True}]
    secret = {"secretName": f"refunds-{name}", "defaultMode": 0o440}
    assert {"name": "secrets", "secret": secret} in pod["volumes"]
    command = re.search(rf"secret generic refunds-{name} \\\n(.*)\n", manifest)
    assert command is not None
    made = re.findall(r"--from-file (\w+)", command[1])
    assert made == list(NEEDED[name].values())


def test_systemd_gives_the_worker_copies_of_its_own() -> None:
    """Each file that the unit names is a credential, from a folder that only root enters."""
    text = (FOLDER / "refunds-worker.service").read_text()
    credentials = dict(re.findall(r"^LoadCredential=(\w+):(\S+)$", text, re.MULTILINE))
    variables = dict(re.findall(r"^Environment=(REFUNDS_\w+_FILE)=(\S+)$", text, re.MULTILINE))
    assert variables == _paths("worker", "%d")
    assert credentials == {file: f"/etc/refunds/{file}" for file in NEEDED["worker"].values()}
    parsed = RawConfigParser(strict=False)
    parsed.read_string(text)
    assert parsed["Service"]["LimitCORE"] == "0"


def test_every_secret_can_be_a_file() -> None:
    """The files say so of any other secret."""
    assert {file_variable(field) for field in SECRETS} >= {
        f"REFUNDS_{setting}_FILE" for settings in NEEDED.values() for setting in settings
    }
