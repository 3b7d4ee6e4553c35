"""Load the scripts of `lua/`, each with the shared parts in front."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from statemachine.flows import TERMINAL, State, Transition, next_transition
from worker.ledger import circuit, rate
from worker.ledger.lanes import LaneRules
from worker.ledger.lua_tables import lua_lookup
from worker.ledger.nesting import nested
from worker.ledger.shaking import Statement, shaken, statements, without_comments
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
#: In front of those scripts that call one of their functions: acts of people, money guards, cells.
SOMETIMES = {
    "cells": re.compile(r"\bgrowth\("),
    "acts": re.compile(r"\b(record_act|end_item|finish_job)\("),
    "guards": re.compile(r"\b(guarded|asked|uncount|count_found|await_approval)\("),
}

#: The scripts of a step. Others call functions once for each of many refunds, and would make what
#: is inside of them as often.
OF_STEPS = frozenset({"claim", "commit", "fetch", "intent"})

#: Where a script leaves what finish() writes: records, lanes, rates, counts.
LEFT = frozenset({"changes", "removals", "touched", "set_rates", "state_counts", "new_totals"})

#: Numbers that the scripts name as `CIRCUIT.FIRST_MS`: these take the place of the names.
_NUMBERS = {
    "CIRCUIT": circuit.CIRCUIT,
    "THROTTLED": {**rate.THROTTLED, "PER_CALL_MS": rate.per_call_ms(rate.THROTTLED_PER_MIN)},
}
_NUMBER = re.compile(rf"\b({'|'.join(_NUMBERS)})\.([A-Z_]+)")

#: In the texts of the scripts, where the namespace belongs.
_NAMESPACE = "@namespace@"


def load_scripts(
    client: redis.Redis, names: Iterable[str], *, namespace: str, lanes: LaneRules
) -> dict[str, Script]:
    """Register the named scripts; each takes KEYS[1] "{namespace}" and ARGV[1], a JSON object."""
    texts = {name: _script(name, lanes) for name in names}
    return {
        name: client.register_script(text.replace(_NAMESPACE, namespace))
        for name, text in texts.items()
    }


@cache
def _script(name: str, lanes: LaneRules) -> str:
    """Return a script with what it uses of the shared parts, and what finishes it at its end.

    If it leaves anything to finish() (lua/lanes.lua), that is called at its end.
    """
    text = _lua(name)
    shared = _shared(tuple(part for part in SOMETIMES if SOMETIMES[part].search(text)), lanes)
    reply = "with_record(main())" if SOMETIMES["acts"].search(text) else "main()"
    main = f"local function main()\n{without_comments(text)}\nend\n"
    ends = (f"return {reply}\n", f"local reply = {reply}\nfinish()\nreturn reply\n")
    _, used = shaken(shared, main + ends[0])
    end = ends[bool(used & LEFT)]
    kept, _ = shaken(shared, main + end)
    nests = name in OF_STEPS
    front = nested(kept, main + end) if nests else "".join(one.text for one in kept)
    return front + main + end


@cache
def _shared(parts: tuple[str, ...], lanes: LaneRules) -> tuple[Statement, ...]:
    """Return the statements in front of every script, and then of these parts."""
    following = {s.value: t.value for s in State if (t := next_transition(s))}
    head = f"local SOURCE = 'wix-refund-worker/{_NAMESPACE}'\n"
    head += lua_lookup("next_transition", following)
    # Sorted, so that all processes send the same script.
    head += lua_lookup("has_ended", dict.fromkeys(sorted((*TERMINAL, State.DEAD)), True))
    head += lua_lookup("is_mutating", dict.fromkeys(sorted(MUTATING), True))
    head += f"local STATES = {{{json.dumps(list(State))[1:-1]}}}\nlocal SCHEMA = {KNOWN_SCHEMA}\n"
    head += lanes.constants() + CLOCK_LUA
    head += "".join(map(_lua, (*SHARED, *parts)))
    return statements(without_comments(head))


def _lua(name: str) -> str:
    text = (_LUA / f"{name}.lua").read_text()
    return _NUMBER.sub(lambda found: json.dumps(_NUMBERS[found[1]][found[2]]), text)
