"""`refunds stores`, as an operator or an onboarding service uses it."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from statemachine.flows import State
from tests.support.rig import AFTER, KEY, STORE_ID
from tests.support.shop import Shop
from worker.simulator import Fault
from worker.simulator.contract.routes import ALL_SCOPES, BUSINESS_INFO


def test_a_refusal_exits_1_with_the_reason_and_saves_nothing(shop: Shop) -> None:
    """The missing box is named and marked."""
    shop.rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BUSINESS_INFO})
    done = shop.connect()
    assert done.exit_code == 1
    assert "missing: tick “Business Info”" in done.stdout
    assert "✗" in done.stdout
    assert "Nothing was saved." in done.stderr
    assert shop.rig.stores.ids() == []
    printed = json.loads(shop.connect("--json").stdout)
    assert (printed["ok"], printed["reason"]) == (False, "box_missing")


def test_a_malformed_value_is_refused_before_wix_is_asked(shop: Shop) -> None:
    """Exit code 1, with the same sentences in JSON."""
    done = shop.run("connect", "--stdin", "--json", stdin=shop.pasted(site_id="my-shop"))
    assert done.exit_code == 1
    printed = json.loads(done.stdout)
    assert (printed["reason"], "not a UUID" in printed["sentence"]) == ("malformed", True)
    assert shop.rig.simulator.calls == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["connect"], None, "--site, --account, --api-key-file"),
        (["connect", "--stdin"], "{", "is not JSON"),
        (["connect", "--stdin"], '{"api_key": "IST.canary.a.b"}', "exactly site_id"),
        (
            ["connect", "--stdin"],
            '{"api_key": 1, "site_id": "", "account_id": ""}',
            "must be strings",
        ),
        (
            ["connect", "--site", "s", "--account", "a", "--api-key-file", "/no/such/file"],
            None,
            "--api-key-file: /no/such/file cannot be read: No such file or directory",
        ),
        (
            ["connect", "--site", "s", "--account", "a", "--api-key-file", "IST.canary.aa.bb"],
            None,
            "cannot be read: No such file or directory",
        ),
        (["check"], None, "give either one SITE_ID or --all"),
        (["check", "x", "--all"], None, "give either one SITE_ID or --all"),
    ],
)
def test_wrong_usage_exits_2(
    shop: Shop, arguments: list[str], stdin: str | None, said: str
) -> None:
    """The message says what is right, and repeats no value."""
    done = shop.run(*arguments, stdin=stdin)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "canary" not in done.output


@pytest.mark.parametrize("command", ["connect", "reseal"])
def test_without_a_vault_key_no_key_can_be_saved(shop: Shop, command: str) -> None:
    """The message names the command that makes a vault key."""
    done = shop.run(command, REFUNDS_VAULT_KEYS=None)
    assert done.exit_code == 2
    assert "refunds stores keygen" in done.stderr


def test_no_option_takes_the_key_itself(shop: Shop) -> None:
    """It would be visible in the shell's history and in `ps`."""
    assert shop.run("connect", "--api-key", KEY.replace("canary", "x")).exit_code == 2


def test_list_shows_state_lane_last_success_and_last_error(shop: Shop) -> None:
    """All that an operator needs when a merchant calls."""
    shop.connect()
    shop.rig.run(shop.rig.order(AFTER))
    [before] = shop.json("list")["stores"]
    assert (before["state"], before["waiting"], before["in_flight"]) == ("connected", 0, 0)
    assert before["last_success_at_ms"] >= before["connected_at_ms"]
    assert before["last_error"] is None
    shop.rig.simulator.revoke_key(KEY)
    shop.rig.request(shop.rig.order(AFTER))
    shop.rig.run_until_idle()
    [store] = shop.json("list")["stores"]
    assert (store["state"], store["waiting"]) == ("suspended", 1)
    assert store["suspended_because"]["http_status"] == 401
    assert store["last_error"]["reason"] == "key_refused"
    table = shop.run("list").stdout
    assert "suspended" in table
    assert "HTTP 401" in table


def test_a_store_in_the_environment_is_listed_and_checked(shop: Shop) -> None:
    """It needs no vault."""
    entry = json.dumps({STORE_ID: {"account_id": shop.rig.account_id, "api_key": KEY}})
    shop.environment |= {"REFUNDS_STORES": entry}
    del shop.environment["REFUNDS_VAULT_KEYS"]
    assert shop.json("list")["stores"][0]["state"] == "given"
    assert shop.run("check", "--all").exit_code == 0
    done = shop.run("disconnect", STORE_ID)
    assert (done.exit_code, "REFUNDS_STORES" in done.stderr) == (1, True)


def test_check_checks_one_store_or_all(shop: Shop) -> None:
    """With progress for each; exit code 1 if a box is missing or there is no key."""
    shop.connect()
    printed = shop.json("check", "--all")
    assert (printed["ok"], printed["checked"][0]["store_id"]) == (True, STORE_ID)
    shop.rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BUSINESS_INFO})
    done = shop.run("check", STORE_ID.upper())
    assert (done.exit_code, "store 1/1" in done.stderr) == (1, True)
    assert "tick “Business Info”" in done.stdout
    unknown = shop.json("check", "00000000-0000-4000-8000-00000000dead")
    assert (unknown["ok"], unknown["checked"][0]["reason"]) == (False, "no_key")


def test_check_does_not_resume_but_says_how(shop: Shop) -> None:
    """The operator decides; the next probe would resume it anyway."""
    shop.connect()
    shop.rig.simulator.revoke_key(KEY)
    refund_id = shop.rig.request(shop.rig.order(AFTER))
    shop.rig.run_until_idle()
    shop.rig.simulator.keys[KEY].revoked = False
    done = shop.run("check", STORE_ID)
    assert f"refunds stores resume {STORE_ID}" in done.stderr
    assert shop.rig.stores.find(STORE_ID).state == "suspended"
    assert shop.json("resume", STORE_ID)["ok"] is True
    shop.rig.run_until_idle()
    assert shop.rig.load(refund_id).state is State.REFUNDED


def test_resuming_a_store_that_is_not_suspended_exits_1(shop: Shop) -> None:
    """An unknown store is named as such."""
    shop.connect()
    assert shop.run("resume", STORE_ID).exit_code == 1
    assert shop.json("resume", STORE_ID)["ok"] is False
    nobody = shop.run("resume", "nope")
    assert nobody.exit_code == 1
    assert nobody.stderr == "there is no store nope; `refunds stores list` shows all stores\n"


def test_disconnect_refuses_unless_it_is_forced(shop: Shop) -> None:
    """Exit code 1 while refunds are unfinished; --force turns them into dead letters."""
    shop.connect()
    refund_id = shop.rig.request(shop.rig.order(AFTER))
    shop.rig.run_intake()
    assert shop.run("disconnect", STORE_ID).exit_code == 1
    assert "not finished" in shop.json("disconnect", STORE_ID)["sentence"]
    printed = shop.json("disconnect", STORE_ID, "--force")
    assert (printed["ok"], printed["dead_letters"], printed["with_worker"]) == (True, 1, 0)
    assert shop.rig.load(refund_id).state is State.DEAD
    assert shop.run("disconnect", STORE_ID).exit_code == 1
    assert shop.json("list")["stores"] == []


def test_keygen_makes_a_vault_key(shop: Shop) -> None:
    """As plain text for the shell, or as JSON."""
    key = shop.run("keygen").stdout.strip()
    assert Fernet(key)
    assert Fernet(shop.json("keygen")["vault_key"])


def test_vault_keys_can_be_replaced(shop: Shop) -> None:
    """Put a new key in front, reseal, remove the old key: the store still works."""
    shop.connect()
    newest = shop.run("keygen").stdout.strip()
    shop.environment["REFUNDS_VAULT_KEYS"] = f"{newest}, {shop.environment['REFUNDS_VAULT_KEYS']}"
    done = shop.run("reseal")
    assert (done.exit_code, "resealed" in done.stdout) == (0, True)
    shop.environment["REFUNDS_VAULT_KEYS"] = newest
    assert shop.run("check", STORE_ID).exit_code == 0
    shop.environment["REFUNDS_VAULT_KEYS"] = shop.run("keygen").stdout.strip()
    assert shop.run("reseal").exit_code == 1
    lost = shop.run("check", STORE_ID)
    assert (lost.exit_code, "cannot be decrypted" in lost.stderr) == (1, True)
    assert "add the vault key that encrypted it, or connect the store again" in lost.stderr


def test_the_line_break_at_the_end_of_a_file_is_not_reported(shop: Shop) -> None:
    """Every editor adds one; further line breaks are reported."""
    assert "removed" not in shop.connect().stderr
    shop.key_file.write_text(f"{KEY}\n\n")
    assert "API Key: removed spaces or line breaks around it" in shop.connect().stderr


def test_an_empty_key_is_only_called_empty(shop: Shop) -> None:
    """There is no warning about its format."""
    shop.key_file.write_text(" \n\n")
    done = shop.connect()
    assert done.stderr == "the API Key is empty\nNothing was saved.\n"


def test_a_failure_of_wix_is_not_blamed_on_the_key(shop: Shop) -> None:
    """The operator is asked to try again."""
    shop.rig.simulator.script(Fault("status", "list_currencies", status=400, times=9))
    done = shop.connect()
    assert done.exit_code == 1
    assert "says nothing about the key" in " ".join(done.stderr.split())
