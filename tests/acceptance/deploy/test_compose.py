"""The compose file and the configuration of Prometheus, against the programs that they start."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no type hints

from config.settings import Settings
from tests.support.commands import refunds
from worker.deploy.files import FOLDER
from worker.serving.server import GRACE_S

COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MANIFEST = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
OURS = ("worker", "api", "console")


def _commands() -> dict[str, list[str]]:
    """Return the commands that the files start, by the file and the name of the service."""
    found = {f"compose {name}": SERVICES[name].get("command", []) for name in OURS}
    for each in MANIFEST:
        if each["kind"] == "Deployment":
            [container] = each["spec"]["template"]["spec"]["containers"]
            found[f"kubernetes {container['name']}"] = container.get("command", [])
    return {name: command for name, command in found.items() if command}


@pytest.mark.parametrize("command", _commands().values(), ids=_commands())
def test_a_command_has_the_options_that_are_used(command: list[str]) -> None:
    """Its help knows them."""
    program, name, *arguments = command
    assert program == "refunds"
    text = refunds(None, name, "--help").stdout
    options = [each for each in arguments if each.startswith("--")]
    assert options
    assert [each for each in options if each not in text] == []


@pytest.mark.parametrize("name", ["api", "console"])
def test_the_ports_are_those_of_the_programs(name: str) -> None:
    """And only this machine reaches them: TLS is the proxy's."""
    [port] = re.findall(r"default: (\d{4,5})", refunds(None, name, "--help").stdout)
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    [pod] = [
        each["spec"]["template"]["spec"]
        for each in MANIFEST
        if each["kind"] == "Deployment" and each["metadata"]["name"] == f"refunds-{name}"
    ]
    assert pod["containers"][0]["ports"] == [{"name": "http", "containerPort": int(port)}]


def test_every_health_check_runs_where_it_has_to() -> None:
    """Those of the programs with Python, that of Valkey with the `grep` of BusyBox."""
    for name in OURS:
        code = SERVICES[name]["healthcheck"]["test"]
        assert code[:3] == ["CMD", "python3", "-c"]
        compile(code[3], "healthcheck", "exec")
    check = SERVICES["valkey"]["healthcheck"]["test"]
    assert re.findall(r"grep (-\S+)", check) == ["-q"]


def test_every_port_is_published_on_this_machine_only() -> None:
    """Valkey and the metrics on none."""
    published = [port for each in SERVICES.values() for port in each.get("ports", ())]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_service_is_killed_before_it_has_ended() -> None:
    """The worker has REFUNDS_GRACE_S for running steps, and a server a time for requests."""
    graces = {name: int(SERVICES[name]["stop_grace_period"].rstrip("s")) for name in OURS}
    assert graces["worker"] > Settings.model_fields["grace_s"].default
    assert min(graces["api"], graces["console"]) > GRACE_S


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_few_rights(name: str) -> None:
    """It writes to its volumes only, gets no more rights, and is started again."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]
    # Else the log of a month fills the disk.
    assert service["logging"]["options"] == {"max-size": "50m", "max-file": "10"}


def test_valkey_keeps_what_it_is_given() -> None:
    """With an append-only file, on a volume, never deleting refunds, with users."""
    valkey = SERVICES["valkey"]
    words = valkey["command"].split()
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    # The alert RefundsRedisFull needs a limit, and a rewrite of the file may need as much again.
    assert options["--maxmemory"] == "1gb"
    assert int(valkey["mem_limit"].rstrip("m")) >= 2 * 1024
    assert f"./users.acl:{options['--aclfile']}:ro" in valkey["volumes"]
    assert f"ledger:{options['--dir']}" in valkey["volumes"]
    assert COMPOSE["networks"]["ledger"]["internal"] is True
    assert valkey["networks"] == ["ledger"]


def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    """With the rules that `refunds observability export` writes; it scrapes the worker's port."""
    port = SERVICES["worker"]["environment"]["REFUNDS_METRICS_PORT"]
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["scrape_configs"][0]["dns_sd_configs"] == [
        {"names": ["worker"], "type": "A", "port": int(port)}
    ]
    for command in ("deploy", "observability"):
        assert refunds(None, command, "export", str(tmp_path)).returncode == 0
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian package prometheus)")
    promtool = ("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    done = subprocess.run(promtool, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
