"""The bytes on the wire: golden vectors, and examples in other languages that reach Wix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.npm import install
from tests.support.processes import PATIENCE_S
from tests.support.receiver import SECRET
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.simulator import Simulator
from worker.upstream.job import encode_job
from worker.upstream.signing import canonical, signature_of, text_to_sign

HERE = Path(__file__).parent
VECTORS: list[dict[str, Any]] = json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))
#: Set where a language that is missing is a failure.
INSISTS = os.environ.get("INTEROP") == "1"
KEY = "a-key-for-tests-only-0123456789abcdef"


def _missing(why: str) -> None:
    if INSISTS:
        pytest.fail(why)
    pytest.skip(why)


def _need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            _missing(f"{program} is not installed")


def _run(*command: str, given: str = "", **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=HERE,
        input=given,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["node", "ruby"])
def language(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A program that has a library for Redis, and how its files end."""
    if request.param == "node":
        _need("node", "npm")
        if why := install(HERE):
            _missing(why)
        return "node", "mjs"
    _need("ruby")
    asked = subprocess.run(("ruby", "-r", "redis", "-e", ""), capture_output=True, check=False)
    if asked.returncode:
        _missing("the Ruby library redis is not installed (Debian: ruby-redis)")
    return "ruby", "rb"


@pytest.fixture(params=[False, True], ids=["unsigned", "signed"])
def producer(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a producer that signs, and of one that does not."""
    return {"PRODUCER": "shop", "KEY": KEY} if request.param else {}


@pytest.fixture
def rig(redis_url: str, producer: dict[str, str]) -> Any:
    """A worker that wants signatures if the producer signs."""
    keys = {"shop": {"keys": [KEY], "allow": [STORE_ID]}} if producer else {}
    rig = Rig(settings_for(redis_url, producer_keys=json.dumps(keys)), Simulator())
    yield rig
    rig.close()


def _reaches_wix(rig: Rig, refund_id: str) -> None:
    assert rig.redis.lrange(rig.key("refunds"), 0, -1) == [f"{refund_id}/job"]
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_the_shell_sends_a_job(rig: Rig, producer: dict[str, str]) -> None:
    """With the client of the server, and openssl for the signature."""
    if not shutil.which("valkey-cli"):
        _need("redis-cli")
    _need("openssl")
    url, namespace = rig.settings.redis_url.get_secret_value(), rig.settings.namespace
    ids = ("rf-1", STORE_ID, rig.order(AFTER).id, "damaged")
    assert _run("./send.sh", url, *ids, NAMESPACE=namespace, **producer) == "rf-1\n"
    _reaches_wix(rig, "rf-1")


def test_another_language_sends_a_job(
    rig: Rig, producer: dict[str, str], language: tuple[str, str]
) -> None:
    """With texts that are hard to encode, in a locale that cannot encode them."""
    program, ending = language
    url, namespace = rig.settings.redis_url.get_secret_value(), rig.settings.namespace
    hard = {"metadata": {"\uffff": "\u2028\x7f\x01", "\U0001f600": 'ü\n"\\'}}
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": rig.order(AFTER).id, **hard}
    given, environment = json.dumps(job, ensure_ascii=False), producer | {"LC_ALL": "C"}
    sent = _run(program, f"send.{ending}", url, given, NAMESPACE=namespace, **environment)
    assert sent == "rf-1\n"
    _reaches_wix(rig, "rf-1")
    assert rig.load("rf-1").request.metadata == hard["metadata"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_a_vector_is_what_the_client_writes(vector: dict[str, Any]) -> None:
    """Byte by byte: what is written once must be read for ever."""
    job = vector["job"]
    assert canonical(job) == vector["canonical"]
    text = text_to_sign(vector["producer"], vector["timestamp"], vector["nonce"], job)
    assert text == vector["text"]
    assert signature_of(vector["key"], text) == vector["signature"]
    sent, encoded = encode_job(job)
    assert sent == json.loads(encoded) == job
    message = json.loads(vector["message"])
    assert message["kwargs"] == job
    assert message["options"]["redis_message_id"] == f"{job['refund_id']}/job"
    assert message["options"]["signature"]["signature"] == vector["signature"]


def test_another_language_finds_the_same_signatures(language: tuple[str, str]) -> None:
    """Of all vectors."""
    program, ending = language
    found = json.loads(_run(program, f"vectors.{ending}", given=json.dumps(VECTORS)))
    names = ("canonical", "signature")
    assert found == [{name: vector[name] for name in names} for vector in VECTORS]


def test_openssl_finds_the_same_signatures() -> None:
    """Of the text that is signed."""
    _need("openssl")
    for vector in VECTORS:
        command = ("openssl", "dgst", "-sha256", "-hmac", vector["key"], "-r")
        assert _run(*command, given=vector["text"]).split()[0] == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_a_vector_s_message_is_taken(redis_url: str, vector: dict[str, Any]) -> None:
    """By a worker that knows the producer, at the time of the vector."""
    keys = {vector["producer"]: {"keys": [vector["key"]], "allow": ["*"]}}
    hook = {"url": "https://hook.example/", "secret": SECRET, "stores": ["*"]}
    hooks = json.dumps({"billing": hook} if "callback" in vector["job"] else {})
    settings = settings_for(redis_url, producer_keys=json.dumps(keys), webhooks=hooks)
    rig = Rig(settings, Simulator())
    ahead_ms = vector["timestamp"] * 1000 - rig.ledger.now_ms()
    rig.redis.hincrby(rig.key("clock"), "offset_ms", ahead_ms + 1_000)
    rig.send_raw(vector["message"], f"{vector['job']['refund_id']}/job")
    rig._one("refunds")
    assert rig.load(vector["job"]["refund_id"]).request.store_id == vector["job"]["store_id"]
    rig.close()
