"""Load the scripts of `lua/`, each with the shared parts in front."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from statemachine.flows import TERMINAL, State, Transition, next_transition
from worker.ledger import circuit
from worker.ledger.lanes import LaneRules
from worker.ledger.lua_tables import lua_table
from worker.ledger.nesting import nested
from worker.ledger.shaking import shaken, statements, without_comments
from worker.queue.broker import CLOCK_LUA
from worker.refund.request import KNOWN_SCHEMA

if TYPE_CHECKING:
    from redis.commands.core import Script

#: Steps of these transitions may change something at Wix.
MUTATING = frozenset(
    {
        Transition.UNFULFILL_ORDER,
        Transition.CANCEL_ORDER,
        Transition.SUBMIT_REFUND,
        Transition.VOID_PAYMENTS,
        Transition.RESTORE_FULFILLMENTS,
    }
)

_LUA = Path(__file__).parent / "lua"
#: In front of every script, in this order.
SHARED = ("prelude", "circuit", "rate", "watch", "index", "lanes", "leases")
#: In front of those scripts that call one of their functions: acts of people, and money guards.
SOMETIMES = {
    "acts": re.compile(r"\b(record_act|end_item|finish_job)\("),
    "guards": re.compile(r"\b(guarded|asked|uncount|count_found|await_approval)\("),
}

#: The scripts of a step. Others call functions once for each of many refunds, and would make what
#: is inside of them as often.
OF_STEPS = frozenset({"claim", "commit", "fetch", "intent"})

#: Where a script leaves what finish() writes: records, lanes, rates, counts.
LEFT = frozenset({"changes", "removals", "touched", "set_rates", "state_counts", "new_totals"})


def load_scripts(
    client: redis.Redis, names: Iterable[str], *, namespace: str, lanes: LaneRules
) -> dict[str, Script]:
    """Register the named scripts; each takes KEYS[1] "{namespace}" and ARGV[1], a JSON object."""
    following = {s.value: t.value for s in State if (t := next_transition(s))}
    head = f"local SOURCE = 'wix-refund-worker/{namespace}'\n"
    head += f"local NEXT = {lua_table(following)}\n"
    # Sorted, so that all processes send the same script.
    ended = {state.value: True for state in sorted((*TERMINAL, State.DEAD))}
    head += f"local ENDED = {lua_table(ended)}\nlocal SCHEMA = {KNOWN_SCHEMA}\n"
    mutating = {transition.value: True for transition in sorted(MUTATING)}
    head += f"local MUTATES = {lua_table(mutating)}\n"
    head += lanes.constants() + circuit.constants()
    head += CLOCK_LUA + "".join((_LUA / f"{part}.lua").read_text() for part in SHARED)
    parts = {name: (_LUA / f"{name}.lua").read_text() for name in SOMETIMES}
    texts = {name: (_LUA / f"{name}.lua").read_text() for name in names}
    return {
        name: client.register_script(
            _whole(
                head + "".join(parts[part] for part in parts if SOMETIMES[part].search(text)),
                text,
                "with_record" if SOMETIMES["acts"].search(text) else "",
                nests=name in OF_STEPS,
            )
        )
        for name, text in texts.items()
    }


def _whole(head: str, text: str, last: str, *, nests: bool) -> str:
    """Return a script with what it uses of *head*, and with *last* for its reply.

    If it leaves anything to finish() (lua/lanes.lua), that is called at its end.
    """
    reply = f"{last}(main())" if last else "main()"
    main = f"local function main()\n{without_comments(text)}\nend\n"
    ends = (f"return {reply}\n", f"local reply = {reply}\nfinish()\nreturn reply\n")
    shared = statements(without_comments(head))
    _, used = shaken(shared, main + ends[0])
    end = ends[bool(used & LEFT)]
    kept, _ = shaken(shared, main + end)
    front = nested(kept, main + end) if nests else "".join(one.text for one in kept)
    return front + main + end
