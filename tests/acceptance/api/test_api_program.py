"""`refunds api` as a program: where it listens, what it logs, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from tests.support.api import ALL, ONE, TOKENS, api_program, ask
from tests.support.certificates import Authority
from tests.support.commands import refunds
from tests.support.processes import (
    PATIENCE_S,
    REFUNDS,
    environment_without_coverage,
    run_program,
    wait_until,
)
from tests.support.rig import KEY, STORE_ID
from worker.demo.embedded import embedded_server
from worker.serving.tokens import hash_of

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
SETTINGS = {"REFUNDS_API_TOKENS": json.dumps(TOKENS)}


def namespace() -> str:
    """Return a namespace that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@contextmanager
def _taken() -> Iterator[str]:
    """Yield a port that is taken: a command that is not refused cannot serve in this process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "refunds.example"])  # noqa: S104 - to be refused
def test_it_does_not_listen_beyond_loopback_without_tls(redis_url: str, host: str) -> None:
    """Tokens and buyers' data would be sent unencrypted."""
    settings = SETTINGS | {"REFUNDS_REDIS_URL": redis_url}
    with _taken() as port:
        ended = refunds(None, "api", "--host", host, "--port", port, environment=settings)
    assert ended.returncode == 2
    assert "--tls-cert" in ended.stderr
    assert "--behind-proxy" in ended.stderr


def test_a_proxy_may_end_tls(redis_url: str) -> None:
    """Somebody has to say so."""
    with (
        api_program(redis_url, namespace(), "--host", "0.0.0.0", "--behind-proxy") as running,  # noqa: S104 - the test is about it
        httpx.Client() as client,
    ):
        port = running.url.rpartition(":")[2]
        assert client.get(f"http://127.0.0.1:{port}/openapi.json").status_code == 200


def test_it_speaks_tls(redis_url: str, tmp_path: Path) -> None:
    """With a certificate it may listen anywhere."""
    ca = Authority(tmp_path)
    cert, key = ca.certificate("api")
    with (
        api_program(
            redis_url, namespace(), "--tls-cert", str(cert), "--tls-key", str(key)
        ) as running,
        running.client(verify=ssl.create_default_context(cafile=ca.path)) as client,
    ):
        assert running.url.startswith("https://")
        assert client.get("/v1/outcomes", params={"wait_s": 0}).status_code == 200


def test_it_says_what_is_missing(redis_url: str, tmp_path: Path) -> None:
    """Tokens, a key, a free port: one sentence, and exit code 2."""
    pem = tmp_path / "cert.pem"
    pem.write_text("no certificate")
    given = {"REFUNDS_REDIS_URL": redis_url, "REFUNDS_NAMESPACE": namespace()}
    with _taken() as port:
        for settings, options, said in (
            (given, [], "REFUNDS_API_TOKENS"),
            (given | SETTINGS, ["--tls-cert", str(pem)], "--tls-key"),
            (given | SETTINGS, ["--tls-cert", str(pem), "--tls-key", str(pem)], "cannot be used"),
        ):
            ended = refunds(None, "api", "--port", port, *options, environment=settings)
            assert (ended.returncode, said in ended.stderr) == (2, True)
        ended = run_program([*REFUNDS, "api", "--port", port], given | SETTINGS)
    assert (ended.returncode, f"port {port}" in ended.stderr) == (2, True)


def test_without_the_extra_it_says_how_to_install_it(redis_url: str) -> None:
    """The base installation has neither starlette nor uvicorn, and all else works."""
    code = (
        "import sys; sys.modules['uvicorn'] = sys.modules['starlette'] = None;"
        "from worker.cli.main import main; main()"
    )
    settings = SETTINGS | {"REFUNDS_REDIS_URL": redis_url}
    ended = run_program([sys.executable, "-c", code, "api"], settings)
    assert ended.returncode == 2
    assert "dist/WHEEL[http]" in ended.stderr
    assert run_program([sys.executable, "-c", code, "schema", "job"]).returncode == 0


def test_it_reports_bugs_to_sentry() -> None:
    """Where the extra is missing it says so, and goes on."""
    code = "import sys; sys.modules['sentry_sdk'] = None; from worker.cli.main import main; main()"
    given = SETTINGS | {
        "REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0",
        "REFUNDS_LOG_FORMAT": "json",
        "SENTRY_DSN": "http://canary@127.0.0.1:1/1",
    }
    ended = run_program([sys.executable, "-c", code, "api", "--port", "0"], given)
    missing = [line for line in ended.stderr.splitlines() if '"extra.missing"' in line]
    assert [json.loads(line)["variable"] for line in missing] == ["SENTRY_DSN"]
    assert (ended.returncode, "canary" in ended.stderr) == (1, False)


def test_no_secret_reaches_the_log(redis_url: str) -> None:
    """Not a token, wherever it is put, and not what a job must not hold."""
    mail = "canary@buyer.example"
    with api_program(redis_url, namespace(), REFUNDS_LOG_LEVEL="debug") as running:
        with running.client() as client:
            ask(client, "rf-1", reason=f"for {mail}")
            ask(client, "rf-1", reason=f"of {mail}")
            ask(client, "rf-2", reason=[ALL, KEY], api_key=KEY)
            client.post("/v1/refunds", content=ALL, headers={"Content-Type": "application/json"})
            for path in (f"/{ALL}", f"/v1/refunds/{KEY}", f"/v1/outcomes?after={ALL}&{ONE}=1"):
                client.get(path)
            client.get("/v1/outcomes", headers={"Authorization": f"Bearer {KEY}"})
            client.request(f"X{ALL[-8:]}".upper().replace("-", ""), "/v1/outcomes")
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 30) as raw:
            raw.sendall(f"{ALL} {KEY}\r\nAuthorization {ALL}\r\n\r\n".encode())
            assert b"400" in raw.recv(1_000)
        log = running.log
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
        text = log.read_text()
    assert text.count('"api.request"') == 9
    assert '"producer": "all"' in text
    for secret in (ALL, ONE, KEY, mail, redis_url, ALL[-8:].upper()):
        assert secret not in text


def test_a_request_that_waits_ends_with_the_program() -> None:
    """SIGTERM is answered with what there is; the exit code is 0."""
    with (
        embedded_server() as url,
        redis.Redis.from_url(url) as server,
        api_program(url, namespace()) as running,
        running.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(client.get, "/v1/outcomes", params={"wait_s": 8})
        wait_until(lambda: server.info("clients")["blocked_clients"])
        running.process.send_signal(signal.SIGTERM)
        answer = asked.result(PATIENCE_S)
        assert (answer.status_code, answer.json()["outcomes"]) == (200, [])
        assert running.process.wait(PATIENCE_S) == 0


def test_while_redis_is_away_the_answer_is_503() -> None:
    """The client knows that it must send the job again; then it counts once."""
    with embedded_server() as url:
        running_on = api_program(url, namespace())
        running = running_on.__enter__()
        with running.client() as client:
            assert ask(client, "rf-1").status_code == 202
    with running.client() as client:
        answer = ask(client, "rf-2")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "send it again" in answer.json()["detail"]
        assert client.get("/v1/outcomes").status_code == 503
    running_on.__exit__(None, None, None)


def test_a_new_token_fits_the_settings() -> None:
    """The token itself is not in them."""
    made = run_program([*REFUNDS, "api", "token", "returns", "--store", STORE_ID, "--json"])
    told = json.loads(made.stdout)
    assert told["settings"] == {
        "returns": {"sha256": [hash_of(told["token"])], "stores": [STORE_ID]}
    }
    shown = refunds(None, "api", "token", "returns", "--all-stores")
    assert hash_of(shown.stdout.strip()) in shown.stderr
    for wrong in ((), ("--store", "x"), ("--store", STORE_ID, "--all-stores")):
        assert refunds(None, "api", "token", "returns", *wrong).returncode == 2


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed")
def test_schemathesis_finds_nothing(redis_url: str, tmp_path: Path) -> None:
    """It makes requests from the OpenAPI document, and compares the answers with it."""
    with api_program(redis_url, namespace()) as running:
        found = subprocess.run(
            [
                *(str(SCHEMATHESIS), "run", f"{running.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {ALL}", "--max-examples", "10"),
                *("--generation-database", "none", "--no-color", "--seed", "7"),
            ],
            cwd=tmp_path,
            env=environment_without_coverage(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert found.returncode == 0, found.stdout[-5_000:]
