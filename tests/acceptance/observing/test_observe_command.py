"""`refunds stores observe`, and `refunds stores connect --observe`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import refunds, settings_of
from tests.support.rig import KEY, STORE_ID, Rig
from tests.support.stores_rig import StoresRig
from worker.simulator import serve


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker with a vault, and a store that is not connected yet."""
    rig = StoresRig.with_vault(redis_url)
    yield rig
    rig.close()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(rig: StoresRig) -> Iterator[Run]:
    """Run `refunds stores ...` against the rig's ledger and simulator."""
    with serve(rig.simulator, port=0) as url:

        def call(*arguments: str) -> subprocess.CompletedProcess[str]:
            assert rig.settings.vault_keys is not None
            vault_keys = rig.settings.vault_keys.get_secret_value()
            more = {"REFUNDS_WIX_BASE_URL": url, "REFUNDS_VAULT_KEYS": vault_keys}
            return refunds(None, "stores", *arguments, environment=settings_of(rig) | more)

        yield call


def _is_observed(rig: Rig) -> bool:
    return rig.redis.zscore(rig.key("observing"), STORE_ID) is not None


def test_a_store_is_observed_from_its_connection_on(
    rig: StoresRig, run: Run, tmp_path: Path
) -> None:
    """Only if that is asked for; another key changes nothing about it."""
    (tmp_path / "key").write_text(KEY)
    given = ("--site", STORE_ID, "--account", rig.account_id, "--api-key-file", f"{tmp_path}/key")
    assert run("connect", *given).returncode == 0
    assert not _is_observed(rig)
    done = run("connect", *given, "--observe")
    assert (done.returncode, _is_observed(rig)) == (0, True)
    assert "upstream is told what the merchant refunds and cancels" in done.stderr
    assert run("connect", *given).returncode == 0
    assert _is_observed(rig)


def test_it_is_switched_on_and_off_and_recorded(rig: StoresRig, run: Run) -> None:
    """With who and why in the audit log; twice is an error that says so."""
    rig.connect()
    assert run("observe", STORE_ID, "--by", "ann", "--reason", "they asked").returncode == 0
    again = run("observe", STORE_ID)
    assert (again.returncode, again.stderr) == (1, f"{STORE_ID} is observed already\n")
    [store] = json.loads(run("list", "--json").stdout)["stores"]
    assert store["observed_up_to_ms"] > 0
    assert "connected (observed)" in run("list").stdout
    done = json.loads(run("observe", STORE_ID, "--off", "--json").stdout)
    assert done == {"ok": True, "store_id": STORE_ID, "observed": False}
    assert run("observe", STORE_ID, "--off").returncode == 1
    assert not _is_observed(rig)
    written = [entry.fields() for entry in rig.ledger.audit_log.entries()]
    on, off = (entry for entry in written if entry["act"] == "stores.observe")
    assert (on["by"], on["why"], on["after"]) == ("ann", "they asked", {"observed": True})
    assert off["after"] == {"observed": False}


def test_an_unknown_store_is_not_observed(rig: StoresRig, run: Run) -> None:
    """It would be looked at in vain for ever."""
    done = run("observe", STORE_ID)
    assert (done.returncode, _is_observed(rig)) == (1, False)
    assert "there is no store" in done.stderr


def test_a_store_that_is_disconnected_is_not_observed_any_more(rig: StoresRig, run: Run) -> None:
    """What was seen is forgotten with its key."""
    rig.connect()
    assert run("observe", STORE_ID).returncode == 0
    assert run("disconnect", STORE_ID).returncode == 0
    assert not _is_observed(rig)
    assert not rig.redis.exists(rig.key("observer", STORE_ID))
