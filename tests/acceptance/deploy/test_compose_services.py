"""The services of the compose file, started by hand with what its header says to prepare."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml  # type: ignore[import-untyped]  # no type hints

from tests.support.commands import refunds
from tests.support.processes import PATIENCE_S, environment_without_settings, wait_until
from tests.support.roles import server_with_users
from tests.support.servers import free_port
from worker.deploy.files import FOLDER

TEXT = (FOLDER / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
#: What the programs of the image are here.
PROGRAMS = {
    "refunds-worker": (sys.executable, "-m", "worker"),
    "refunds": (sys.executable, "-c", "from worker.cli.main import main; main()"),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported folder, after the commands of the header."""
    folder = tmp_path_factory.mktemp("compose")
    assert refunds(None, "deploy", "export", str(folder)).returncode == 0
    header = TEXT.split("\nname:")[0]
    commands = "\n".join(re.findall(r"^#   (.*)$", header, re.MULTILINE))
    assert commands.endswith("podman compose up --detach")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    program = bin_folder / "refunds"
    quoted = " ".join(f"'{part}'" for part in PROGRAMS["refunds"])
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    (bin_folder / "podman").write_text("#!/bin/sh\n")
    for each in bin_folder.iterdir():
        each.chmod(0o755)
    environment = environment_without_settings()
    environment["PATH"] = f"{bin_folder}:{environment['PATH']}"
    done = subprocess.run(
        ("sh", "-euc", commands),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    token = refunds(None, "api", "token", "returns", "--all-stores").stderr.splitlines()[-1]
    (folder / "secrets" / "api_tokens").write_text(token)
    token = refunds(None, "console", "token", "ann").stderr.splitlines()[-1]
    (folder / "secrets" / "console_tokens").write_text(token)
    return folder


def test_only_the_owner_gets_to_the_secrets(prepared: Path) -> None:
    """The user in the container reads the files that are mounted, nobody here enters the folder."""
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    assert (prepared / "passwords").stat().st_mode & 0o777 == 0o700
    for path in (prepared / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o644


def test_all_that_is_mounted_is_there(prepared: Path) -> None:
    """A file that is missing would become a directory."""
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (prepared / volume.split(":")[0]).is_file()
        for secret in service.get("secrets", ()):
            assert (prepared / "secrets" / secret).is_file()
        for name in service.get("env_file", ()):
            assert (prepared / name).is_file()


def _valkey(folder: Path) -> AbstractContextManager[int]:
    """Run the server with the options of the compose file."""
    words = SERVICES["valkey"]["command"].split()
    options = {name.strip("-"): value for name, value in zip(words[1::2], words[2::2], strict=True)}
    del options["dir"], options["aclfile"]
    return server_with_users((folder / "users.acl").read_text(), folder, options)


def _refuses_strangers(port: int) -> bool:
    """Return whether the server answers as its health check expects."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(b"PING\r\n")
        return b"NOAUTH" in connection.recv(100)


class Service:
    """A service of the compose file that runs here, with the places of this machine."""

    def __init__(self, name: str, folder: Path, server: int) -> None:
        self.port, self.state = free_port(), folder / f"state-{name}"
        self.state.mkdir()
        self._log = folder / f"{name}.log"
        program, *options = SERVICES[name].get("command", ["refunds-worker"])
        if options:
            options += ["--port", str(self.port)]
        own = {"REFUNDS_STATE_DIR": str(self.state)}
        for variable, value in SERVICES[name]["environment"].items():
            own[variable] = value
            if value.startswith("/run/secrets/"):
                path = folder / f"{name}-{variable}"
                secret = (folder / "secrets" / Path(value).name).read_text()
                path.write_text(secret.replace("@valkey:6379/", f"@127.0.0.1:{server}/"))
                own[variable] = str(path)
        if not options:
            own["REFUNDS_METRICS_PORT"] = str(self.port)
        with self._log.open("w") as log:
            self.program = subprocess.Popen(
                (*PROGRAMS[program], *options),
                env=environment_without_settings() | own,
                stdout=log,
                stderr=log,
            )

    def answers(self, path: str) -> bool:
        """Return whether it answers with 200; it must not have ended."""
        assert self.program.poll() is None, self.log
        url = f"http://127.0.0.1:{self.port}{path}"
        with suppress(URLError, ConnectionError), urlopen(url, timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
        return False

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text()


#: What the worker's probe of Kubernetes and the health checks of compose ask.
PATHS = {"worker": "/readyz", "api": "/openapi.json", "console": "/sign-in"}


def test_the_services_work_with_what_the_header_prepares(prepared: Path) -> None:
    """Each signs in as its role, answers, and ends well."""
    with _valkey(prepared) as server, ExitStack() as stack:
        assert _refuses_strangers(server)
        running = {name: Service(name, prepared, server) for name in PATHS}
        for service in running.values():
            stack.callback(service.program.kill)
        for name, path in PATHS.items():
            wait_until(partial(running[name].answers, path))
        for service in running.values():
            service.program.terminate()
        codes = {name: service.program.wait(PATIENCE_S) for name, service in running.items()}
    log = "".join(service.log for service in running.values())
    assert codes == dict.fromkeys(PATHS, 0), log
    found = [json.loads(line) for line in log.splitlines() if '"doctor.' in line]
    told = {(each["event"], each["check"]) for each in found}
    # No role may ask for the server's configuration, `appendfsync` among it. This machine may be
    # too busy for quick round trips.
    assert told - {("doctor.warning", "latency")} == {("doctor.warning", "persistence")}
    for secret in (prepared / "passwords").iterdir():
        assert secret.read_text().strip() not in log
    assert list(running["worker"].state.iterdir()) != []
