"""Runs `refunds api` as a program, and talks to it over real HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.http_program import http_program
from tests.support.processes import (
    PATIENCE_S,
)
from tests.support.rig import STORE_ID
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
    settings = {"REFUNDS_API_TOKENS": json.dumps(TOKENS), **more}
    with http_program(redis_url, namespace, "api", *arguments, settings=settings) as program:
        yield ApiProgram(*program, namespace)


def job(refund_id: str, **more: Any) -> dict[str, Any]:
    """Return a job as a body."""
    return {"refund_id": refund_id, "store_id": STORE_ID, "order_id": ORDER_ID} | more


def ask(client: httpx.Client, refund_id: str, **more: Any) -> httpx.Response:
    """Ask for a refund; the id is in the header and in the body."""
    headers = {"Idempotency-Key": refund_id}
    return client.post("/v1/refunds", json=job(refund_id, **more), headers=headers)
