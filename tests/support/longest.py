"""The test files that take longest."""

from __future__ import annotations

#: The files that take longest start first, so that none of them runs alone at the end. A file with
#: one or two tests shares its process with the next one that is handed out: the fifth, if it is
#: among the first four.
LONGEST = (
    "chaos/test_matrix.py",
    "acceptance/queue/test_worker_program.py",
    "benchmarks/test_bench.py",
    "acceptance/ledger/test_random_histories.py",
    "acceptance/queue/test_rate.py",
    "acceptance/runbook/test_runbook.py",
    "acceptance/api/test_api_program.py",
    "acceptance/queue/test_versions_side_by_side.py",
    "acceptance/flows/test_odd_answers.py",
    "acceptance/webhooks/test_webhook_programs.py",
    "acceptance/secrets/test_programs.py",
    "acceptance/console/test_browser.py",
    "acceptance/network/test_redis_hangs.py",
    "acceptance/cli/test_cli_hostile.py",
    "acceptance/ledger/test_installation_programs.py",
    "acceptance/console/test_entrance.py",
    "acceptance/cli/test_cli.py",
    "acceptance/stores/test_forbidden.py",
    "acceptance/queue/test_early_signals.py",
    "simulator/test_simulator_command.py",
)
