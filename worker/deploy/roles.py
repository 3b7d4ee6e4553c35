"""Who may do what in Redis: one user for each role, and what it may do there.

The files in `acl`, and the commands and the table in worker/operations/README.md, are made from it
by `make docs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_NOTHING = "resetkeys resetchannels -@all"
#: What every client does.
_CONNECT = "+auth +hello +ping +select +client|setinfo"
_SCRIPTS = "+evalsha +script|load +script|exists"
#: Commands of the types of data that we use. None lists keys, so those of others stay unknown.
_DATA = (
    "+@hash +@list +@set +@sortedset +@stream +@string -@dangerous"
    " +del +exists +expire +pexpire +persist +pttl +multi +exec +time +info"
)
_LOOK = "+@read -@dangerous -scan -randomkey -dbsize +multi +exec +time +info"
#: An entry can be added to the audit log, but never be changed or taken away.
_AUDIT_LOG = "(%W~{refunds}:audit_log +xadd)"
#: What a producer reads and writes to share the outcomes with other consumers.
_GROUPS = (
    "(~{refunds}:outcomes ~{refunds}:outcomes:* +evalsha +xgroup|create +xgroup|delconsumer"
    " +xinfo|consumers +xreadgroup +xack +xpending +xclaim +xrange +xrevrange +zadd +zscore"
    " +zrangebyscore +zrem +hget +hset +hincrby +hdel +time)"
)
#: What only a worker writes, by the first two letters of the keys: `fence`, `guard:`, `handed:`,
#: `lease:`, `usual:`, `worker`. A new key that begins otherwise needs no new rights: a script that
#: lacks one would stop half way.
_OF_WORKERS = ("fe", "gu", "ha", "le", "us", "wo")
#: The keys from which the figures of `refunds status` are read.
_FIGURES = (
    "accepted approval_sums approvals busy_stores clock day:* dead dead_groups:* due failing"
    " failing_stores installation keeping lane:* minute:* on_hold outage outcomes outcomes:* paced"
    " paused probes quarantine refunds refunds:inflight:* ring scheduler state:* steps"
    " steps:inflight:* suspended:* totals unvouched watch webhook:* webhooks worker:* workers"
)
#: For them, of what waits or fails, when and why: single fields, whose names must be known.
_CAUSES = (
    "(%R~{refunds}:refund:* %R~{refunds}:store:* +hmget)"
    " (%R~{refunds}:refunds.msgs %R~{refunds}:steps.msgs +hget)"
)


@dataclass(frozen=True, kw_only=True)
class Role:
    """A user in Redis; its keys are those of the namespace `refunds`."""

    used_by: str
    may: str
    """What it may do, in words."""
    rights: str
    """The same as rules of Redis, after a rule that takes everything away."""

    def acl_line(self, name: str) -> str:
        """Return the line of an ACL file; without a password nobody can sign in."""
        return f"user refunds-{name} on resetpass {_NOTHING} {self.rights}\n"

    def command(self, name: str) -> str:
        """Return the command that makes the user."""
        return f"ACL SETUSER refunds-{name} on >PASSWORD {_NOTHING} {self.rights}"


def _keys(names: str, access: str = "~") -> str:
    return " ".join(f"{access}{{refunds}}:{name}" for name in names.split())


def _all_but(*beginnings: str) -> str:
    """Return patterns for all keys but those that begin with these two letters."""
    firsts = "".join(beginning[0] for beginning in beginnings)
    return _keys(" ".join([f"[^{firsts}]*", *(f"{one[0]}[^{one[1]}]*" for one in beginnings)]))


ROLES: Mapping[str, Role] = {
    "producer": Role(
        used_by="services that ask for refunds",
        may="send jobs, read and trim the outcomes, also in groups, and read the records of refunds"
        " (`status` and `wait`). With dramatiq's own broker:"
        ' `RedisBroker(url=..., namespace="{refunds}", maintenance_chance=0)`',
        rights="~{refunds} ~{refunds}:refunds ~{refunds}:refunds.msgs ~{refunds}:refunds.DQ"
        " ~{refunds}:refunds.DQ.msgs ~{refunds}:__heartbeats__ ~{refunds}:outcomes"
        f" {_CONNECT} +evalsha +script|load +hset +hsetnx +hexists +rpush +zadd +xread +xrange"
        f" +xtrim +multi +exec (%R~{{refunds}}:refund:* +hmget) {_GROUPS}"
        " (%R~{refunds}:installation +hget)",
    ),
    "worker": Role(
        used_by="the worker, and the HTTP API",
        may="read and write everything in this namespace, but to the audit log only add entries."
        " To show `appendfsync`, the worker and the operator need `+config\\|get` as well, with"
        " which they also see the server's passwords",
        rights=f"~{{refunds}} %R~{{refunds}}:* {_all_but('au')} ~{{refunds}}:audit_head"
        f" {_CONNECT} {_SCRIPTS} +eval +wait +acl|whoami {_DATA} {_AUDIT_LOG}",
    ),
    "operator": Role(
        used_by="people who use the commands, and the console",
        may="read everything in this namespace, and change what the commands change: not what a"
        " worker holds, not what the money guards have counted, and to the audit log only add"
        " entries",
        rights=f"~{{refunds}} %R~{{refunds}}:* {_all_but('au', *_OF_WORKERS)}"
        " ~{refunds}:audit_head ~{refunds}:worked:*"
        f" {_CONNECT} {_SCRIPTS} +eval +wait +acl|whoami {_DATA} -blmove {_AUDIT_LOG}",
    ),
    "metrics": Role(
        used_by="programs that watch: `refunds status --json`, an exporter for Redis",
        may="read how much there is of everything, and how old it is; no record as a whole, no job,"
        " no history",
        rights=f"~{{refunds}} {_keys(_FIGURES, '%R~')} {_CONNECT} {_SCRIPTS} {_LOOK} {_CAUSES}",
    ),
    "reader": Role(
        used_by="people who only look: `refunds status`, `watch`, `list`, `show`, `dead list`,"
        " `dead show`, `stores list`, `outcomes`",
        may="read everything in this namespace, also with scripts that only read; API keys are"
        " encrypted",
        rights=f"~{{refunds}} %R~{{refunds}}:* {_CONNECT} {_SCRIPTS} {_LOOK}",
    ),
}
#: Without it the server's default user may do everything without a password.
DEFAULT_OFF = "user default off resetpass resetkeys resetchannels -@all\n"


def acl_files() -> dict[str, str]:
    """Return the text of each file in `acl`."""
    return {
        "default.acl": DEFAULT_OFF,
        **{f"{name}.acl": role.acl_line(name) for name, role in ROLES.items()},
    }


def roles_table() -> str:
    """Return what each user is for and may do, as Markdown."""
    rows = [f"| `refunds-{name}` | {role.used_by} | {role.may} |" for name, role in ROLES.items()]
    return "\n".join(["| user | for | may |", "|---|---|---|", *rows]) + "\n"
