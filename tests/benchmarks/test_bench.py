"""Each part of `make bench` runs and has its ratios, on the smallest scale. No time is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import bench, growth, intake, plot, tables
from tests.benchmarks.contenders import PLAIN, Floor, Ours, Size
from tests.benchmarks.parts import (
    Found,
    Plan,
    run_fairness,
    run_growth,
    run_idle,
    run_latency,
    run_quota,
    run_throughput,
)
from tests.benchmarks.stub import Quota, Wix
from tests.benchmarks.tables import bench_table
from tests.benchmarks.throughput import WARM_UP
from tests.benchmarks.world import ROOT, world

TINY = Plan(1, 1, refunds=8, paced=4, idle=1, busy=8, quiet=1, minutes=0.02, few=2, many=5)


@pytest.fixture(scope="module")
def size() -> Size:
    """As many calls as a refund makes; no call is unknown to the stub."""
    with world() as place:
        calls = bench.calls_of_a_refund(place)
        assert place.counts().get("", 0) == 0
    return Size(calls=calls, processes=1, threads=2)


def _check(found: Found, *names: str) -> None:
    assert found.ratios.keys() == set(names)
    assert all(value > 0 for name, value in found.ratios.items() if name != "http_429")
    assert json.loads(json.dumps(found.figures)) == found.figures


def test_throughput_beside_the_floor_and_a_plain_chain(size: Size) -> None:
    """All make the same calls; none of ours is refunded twice."""
    if not os.access("/dev/shm", os.W_OK):  # noqa: S108 - only looked for
        pytest.skip("dramatiq's program needs shared memory, and /dev/shm cannot be written")
    found = run_throughput(TINY, size, everybody=(Ours(), Floor(), PLAIN))
    names = ("throughput_vs_floor", "throughput_vs_plain_dramatiq", "cpu_vs_floor")
    _check(found, *names, "redis_commands_per_refund", "redis_round_trips_per_refund")
    assert found.figures["doubled"]["ours"] == [0, 0, 0]


def test_latency_at_a_steady_rate(size: Size) -> None:
    """From the job to the answer to the last call."""
    _check(run_latency(TINY, size), "p50_vs_floor", "p99_vs_floor")
    _check(run_idle(TINY, size), "idle_p50_vs_floor")


def test_fairness_beside_busy_stores(size: Size) -> None:
    """Beside accepted refunds, and beside jobs that are not accepted yet."""
    scenes = ("beside_1", "beside_5", "beside_20", "beside_intake")
    _check(run_fairness(TINY, size), *(f"quiet_p95_{name}" for name in scenes))


@pytest.mark.parametrize("scene", intake.SCENES)
def test_how_long_jobs_wait_to_be_accepted(size: Size, scene: str) -> None:
    """While nothing else is done, beside steps, and while Wix does not answer."""
    with world() as place:
        found = intake.run(scene, place, size, 150)
        assert place.redis.zcard("{refunds}:accepted") == WARM_UP + 150
    assert found.commands_per_job > 5


def test_the_use_of_a_quota(size: Size) -> None:
    """With both kinds of window."""
    _check(run_quota(TINY, size), "drain_vs_quota", "http_429")


def test_the_cost_of_growth(size: Size) -> None:
    """In a ledger with copies of a finished refund."""
    _check(run_growth(TINY, size), "cpu_at_300k_vs_1k")


def test_the_copies_of_a_finished_refund_are_packed_already(size: Size) -> None:
    """As in a ledger that has grown; otherwise the worker packs them while it is measured."""
    with world() as place:
        growth.fill(place, size, 5)
        assert len(list(place.redis.scan_iter("{refunds}:refund:*"))) == 1 + 5
        assert not place.redis.exists("{refunds}:unpacked")


def test_results_are_saved_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib there is no picture, and that is no failure."""
    monkeypatch.setattr(bench, "PEERS", tmp_path / "none")
    place = tmp_path / "results.json"
    results = {
        "ratios": {"throughput_vs_saq": 3.0},
        "figures": {},
        "machine": "2 cores",
        "measured_at": "2026-01-02",
    }
    bench.save(results, place)
    assert json.loads(place.read_text()) == results
    assert plot.main(place, tmp_path / "results.png") == 0
    monkeypatch.setattr(tables, "KEPT", place)
    table = bench_table()
    assert "Measured at 2026-01-02 on 2 cores." in table
    assert "| `throughput_vs_saq` | 3 | ... ÷" in table


@pytest.mark.parametrize(("sliding", "allowed"), [(True, [2, 0, 1]), (False, [2, 2, 0])])
def test_a_quota_ends_with_its_window(sliding: bool, allowed: list[int]) -> None:
    """A fixed window begins at each full minute, a sliding one a minute before the call."""
    quota = Quota(2, is_sliding=sliding)
    calls = {0: (50.0, 59.0, 59.5), 1: (61.0, 62.0, 62.5), 2: (110.5, 111.0, 112.0)}
    got = [sum(quota.allows("s", now_s) for now_s in times) for times in calls.values()]
    assert got == allowed


def test_the_stub_notices_a_second_refund_of_an_order() -> None:
    """And that an order got all its calls."""
    wix = Wix()
    wix.set({"after": "1"})
    path = "/ecom/v1/order-billing/refund-payments"
    for _ in range(2):
        status, text, _ = wix.answer("POST", path, "store", b'{"orderId":"o","customerReason":"x"}')
        assert (status, json.loads(text)["refund"]["details"]["reason"]) == (200, "x")
    assert wix.counts["refunded twice"] == 1
    assert list(wix.finished_s) == ["o"]
    _, text, _ = wix.answer("POST", "/ecom/v1/payments/list-by-ids", "s", b'{"orderIds":["o"]}')
    assert json.loads(text)["orderTransactions"][0]["refunds"][0]["id"] == "ref-o"


@pytest.mark.parametrize("name", ["calls", "floor"])
def test_what_the_peers_share_needs_no_code_of_ours(name: str) -> None:
    """Their environment does not have the worker."""
    program = (
        "import sys; import importlib; importlib.import_module(sys.argv[1]);"
        " sys.exit('worker' in sys.modules)"
    )
    module = f"tests.benchmarks.peers.{name}"
    subprocess.run([sys.executable, "-c", program, module], cwd=ROOT, check=True)
