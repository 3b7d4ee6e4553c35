"""`refunds simulator`, as people and scripts use it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import refunds
from tests.support.processes import PATIENCE_S, REFUNDS, announced, run_program

COMMAND = (*REFUNDS, "simulator")
SITE, ACCOUNT = "4b296c48-0000-4000-8000-000000000001", "0f5b7a1e-0000-4000-8000-000000000002"
UUID = r"[0-9a-f-]{36}"
ORDER = "67668940-527d-4465-94c6-5475d8c7a412"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in this process; it must end by itself."""
    return refunds(None, "simulator", *arguments)


@contextmanager
def _serving(*arguments: str) -> Iterator[Any]:
    """Run the simulator; yield what it prints when it starts."""
    program = subprocess.Popen(
        [*COMMAND, "--port", "0", "--json", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        yield announced(program)
    finally:
        program.terminate()
        rest, _ = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, rest) == (0, "")


def test_it_serves_until_it_is_stopped() -> None:
    """It prints its URL and its orders, and exits with 0 on SIGTERM."""
    with _serving() as printed:
        books = httpx.get(f"{printed['url']}/_simulator/books", trust_env=False).json()
        assert set(books["orders"]) == {order["order_id"] for order in printed["orders"]}


def test_flags_are_listed_for_people_and_scripts() -> None:
    """Name, values, default, meaning."""
    listed = json.loads(_run("--flags", "--json").stdout)["flags"]
    assert listed[0] == {
        "name": "cancel_twice",
        "values": "ok, 428",
        "default": "ok",
        "meaning": "The answer to cancelling an order that is already CANCELED.",
    }
    text = _run("--flags").stdout
    assert all(f"{row['name']}={row['default']}\n    {row['meaning']}" in text for row in listed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--flag", "cancel_twice=maybe"], "--flag cancel_twice: must be one of ok, 428"),
        (["--flag", "cancel_once=ok"], "--flag: unknown name cancel_once; expected one of "),
        (["--orders", "-3"], "greater than or equal to 0"),
        (["--scenario", "/nowhere.toml", "--orders", "2"], "--orders cannot be combined with"),
        (["--scenario", "/nowhere.toml"], "/nowhere.toml: No such file or directory"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_right_words(arguments: list[str], said: str) -> None:
    """Exit code 2 and an explanation, before anything is served."""
    done = _run("--port", "0", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    """One line that says what to do, no traceback."""
    with _serving("--orders", "0") as printed:
        port = printed["url"].rpartition(":")[2]
        done = run_program([*COMMAND, "--port", port])
    assert (done.returncode, done.stdout) == (2, "")
    said = f"--port {port}: Address already in use; --port 0 picks a free one\n"
    assert done.stderr == said
    assert _run("--port", "99999").returncode == 2


def test_site_account_and_key_of_each_store_are_printed() -> None:
    """So that it can be connected like a merchant's store."""
    program = subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        text = "".join(program.stdout.readline() for _ in range(4))
    finally:
        program.terminate()
        program.communicate(timeout=PATIENCE_S)
    assert re.search(rf"# store {UUID}  account {UUID}  key IST\.[\w-]+\.[\w-]+\.[\w-]+\n", text)


def test_a_scenario_is_served_with_its_stores_and_flags(tmp_path: Path) -> None:
    """It prints what a worker needs; flags of the command line take precedence."""
    path = tmp_path / "scenario.toml"
    path.write_text(
        '[flags]\ncancel_twice = "428"\ncancel_archived = "428"\n'
        f'[[stores]]\nsite_id = "{SITE}"\naccount_id = "{ACCOUNT}"\napi_key = "IST.k"\n'
        f'[[stores.orders]]\norder_id = "{ORDER}"\ncreated_date = 2025-01-02T03:04:05Z\n'
    )
    with _serving("--scenario", str(path), "--flag", "cancel_twice=ok") as printed:
        assert printed["stores"] == {SITE: {"account_id": ACCOUNT, "api_key": "IST.k"}}
        assert printed["orders"] == [
            {"order_id": ORDER, "store_id": SITE, "what": "APPROVED, placed 2025-01-02T03:04:05Z"}
        ]
        headers = {"Authorization": "IST.k", "wix-site-id": SITE}
        with httpx.Client(base_url=printed["url"], headers=headers, trust_env=False) as http:
            answers = [http.post(f"/ecom/v1/orders/{ORDER}/cancel", json={}) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200]
            flags = http.post("/_simulator/flags", json={}).json()
            assert (flags["cancel_twice"], flags["cancel_archived"]) == ("ok", "428")


def test_the_admin_view_changes_stores_and_keys() -> None:
    """Over HTTP, for tests in any language."""
    with (
        _serving("--orders", "0") as printed,
        httpx.Client(base_url=printed["url"], trust_env=False) as http,
    ):
        site = printed["store_id"]
        account = printed["stores"][site]["account_id"]

        def sites(key: str) -> Any:
            headers = {"Authorization": key, "wix-account-id": account}
            return http.post("/site-list/v2/sites/query", json={}, headers=headers)

        admin = "/_simulator"
        http.post(f"{admin}/sites", json={"site_id": site, "blocked": True})
        http.post(f"{admin}/keys", json={"action": "add", "api_key": "k1", "account_id": account})
        http.post(f"{admin}/keys", json={"action": "replace", "old": "k1", "new": "k2"})
        assert sites("k2").json()["sites"][0]["blocked"] is True
        assert sites("k1").status_code == 401
        http.post(f"{admin}/keys", json={"action": "change", "api_key": "k2", "scopes": []})
        assert sites("k2").status_code == 403
        http.post(f"{admin}/keys", json={"action": "revoke", "api_key": "k2"})
        assert sites("k2").status_code == 401
        wrong = http.post(f"{admin}/flags", json={"cancel_twice": "maybe"})
        assert (wrong.status_code, "must be one of ok, 428" in wrong.json()["message"]) == (
            400,
            True,
        )
