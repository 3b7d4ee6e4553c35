"""How many round trips to Redis a step makes."""

from __future__ import annotations

from collections import Counter

from statemachine.flows import State
from tests.support.own_server import own_server
from tests.support.rig import AFTER, BEFORE, Rig

#: Fetch, claim, commit; the committing script acknowledges, too.
SCRIPTS_OF_A_STEP = 3
#: Fetch, accept; the accepting script acknowledges, too.
SCRIPTS_OF_AN_INTAKE = 2
#: The commands of this test itself, on its own connection; it was idle, so it is checked with PING.
NOT_THE_WORKERS = {"CONFIG", "HELLO", "CLIENT", "PING"}
#: Tests below count what the server was asked.
redis_url = own_server


def _asked(rig: Rig, queue: str) -> tuple[int, Counter[str]]:
    """Handle one message; return the number of scripts, and the commands that were sent."""
    with rig.redis.monitor() as monitor:
        rig.redis.config_resetstat()
        rig._one(queue)
        scripts = int(rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"])
        asked: Counter[str] = Counter()
        while (seen := monitor.next_command())["command"].upper() != "INFO COMMANDSTATS":
            if seen["client_type"] != "lua":
                asked[seen["command"].split()[0].upper()] += 1
    return scripts, Counter({name: n for name, n in asked.items() if name not in NOT_THE_WORKERS})


def test_a_step_costs_a_fetch_a_claim_and_a_commit(rig: Rig) -> None:
    """Three round trips, and one more for the intent of each mutating call, whatever it writes."""
    rig.run(rig.order(AFTER))  # the server knows the scripts from now on
    # In each flow the second step makes one mutating call.
    for created, steps, end in (
        (AFTER, 3, State.REFUNDED),
        (BEFORE, 2, State.CANCELLED),
    ):
        refund_id = rig.request(rig.order(created))
        assert _asked(rig, "refunds") == (SCRIPTS_OF_AN_INTAKE, {"EVALSHA": SCRIPTS_OF_AN_INTAKE})
        for step in range(steps):
            scripts = SCRIPTS_OF_A_STEP + (1 if step == 1 else 0)
            assert _asked(rig, "steps") == (scripts, {"EVALSHA": scripts})
        assert rig.load(refund_id).state is end


def test_under_load_messages_share_a_fetch(rig: Rig) -> None:
    """A fetch brings several messages, so a step costs little more than two round trips."""
    rig.run(rig.order(AFTER))
    for _ in range(rig.settings.lane_width):
        rig.request(rig.order(AFTER))
        rig._one("refunds")
    consumer = rig.broker.consume("steps", prefetch=2 * rig.settings.lane_width, timeout=1)
    rig.redis.config_resetstat()
    for _ in range(rig.settings.lane_width):
        message = next(consumer)
        assert message is not None
        rig._run(rig.broker.get_actor(message.actor_name), message)
        consumer.ack(message)
    scripts = int(rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"])
    assert scripts == 1 + 2 * rig.settings.lane_width
