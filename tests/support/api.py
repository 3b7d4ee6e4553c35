"""Runs `refunds api` as a program, and talks to it over real HTTP."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import (
    PATIENCE_S,
    REFUNDS,
    announced,
    environment_without_settings,
)
from tests.support.rig import KEY, STORE_ID
from worker.serving.tokens import hash_of

OTHER_STORE = "5c3a7d59-0000-4000-8000-000000000002"
ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"
#: The tokens of a producer of all stores, and of one store each.
ALL, ONE, OTHER = "rfd_canary-of-all-stores", "rfd_canary-of-one-store", "rfd_canary-of-other"
CAPPED = "rfd_canary-of-one-with-a-limit"
TOKENS = {
    "all": {"sha256": [hash_of(ALL)], "stores": ["*"]},
    "one": {"sha256": [hash_of("rfd_the-old-token"), hash_of(ONE)], "stores": [STORE_ID]},
    "capped": {"sha256": [hash_of(CAPPED)], "stores": ["*"], "limit": {"USD": "20.00"}},
    "other": {"sha256": [hash_of(OTHER)], "stores": [OTHER_STORE]},
}


@dataclass
class ApiProgram:
    """A running API, and where its output goes."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    namespace: str

    def client(self, token: str | None = ALL, **more: Any) -> httpx.Client:
        """Return a client with this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, **more)


@contextmanager
def api_program(
    redis_url: str, namespace: str, *arguments: str, **more: str
) -> Iterator[ApiProgram]:
    """Run the API on a free port, with a namespace of its own."""
    settings = {
        "REFUNDS_REDIS_URL": redis_url,
        "REFUNDS_NAMESPACE": namespace,
        "REFUNDS_API_TOKENS": json.dumps(TOKENS),
        "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        "REFUNDS_STORE_CALLS_PER_MIN": "0",
        "REFUNDS_LOG_FORMAT": "json",
        **more,
    }
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("w") as file,
            subprocess.Popen(
                [*REFUNDS, "api", "--port", "0", "--json", *arguments],
                env=environment_without_settings() | {"REFUNDS_STATE_DIR": folder} | settings,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            ) as process,
        ):
            yield ApiProgram(announced(process, log)["url"], process, log, namespace)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0, log.read_text()


def job(refund_id: str, **more: Any) -> dict[str, Any]:
    """Return a job as a body."""
    return {"refund_id": refund_id, "store_id": STORE_ID, "order_id": ORDER_ID} | more


def ask(client: httpx.Client, refund_id: str, **more: Any) -> httpx.Response:
    """Ask for a refund; the id is in the header and in the body."""
    headers = {"Idempotency-Key": refund_id}
    return client.post("/v1/refunds", json=job(refund_id, **more), headers=headers)
