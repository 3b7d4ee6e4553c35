"""A trial write: may the worker do at this server all that its scripts do?

A ping and a script that only reads tell nothing of a read-only replica, of a cluster node without
our slot, or of a user who lacks one command: a refund would be written in part.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import redis

from worker.operations.finding import Finding
from worker.queue.server_errors import explain

#: Each command that a script uses, with arguments that work on keys of its own; `%` is the key.
#: They come in this order, so that a stream and its group exist before they are read.
COMMANDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "TIME": (), "INFO": ("server",),
        "SET": ("%", "1"), "GET": ("%",), "INCR": ("%",), "INCRBY": ("%", "1"), "MGET": ("%",),
        "EXISTS": ("%",), "PTTL": ("%",),
        "PEXPIRE": ("%", "60000"), "EXPIRE": ("%", "60"), "PERSIST": ("%",),
        "HSET": ("%:h", "a", "1"), "HSETNX": ("%:h", "b", "1"), "HINCRBY": ("%:h", "a", "1"),
        "HGET": ("%:h", "a"), "HMGET": ("%:h", "a"), "HGETALL": ("%:h",), "HLEN": ("%:h",),
        "HEXISTS": ("%:h", "a"), "HKEYS": ("%:h",), "HSCAN": ("%:h", "0"), "HDEL": ("%:h", "a"),
        "SADD": ("%:s", "a"), "SISMEMBER": ("%:s", "a"), "SMEMBERS": ("%:s",),
        "SSCAN": ("%:s", "0"), "SREM": ("%:s", "a"),
        "RPUSH": ("%:l", "a"), "LPUSH": ("%:l", "a"), "LLEN": ("%:l",), "LINDEX": ("%:l", "0"),
        "LRANGE": ("%:l", "0", "-1"), "LREM": ("%:l", "1", "b"), "LPOP": ("%:l",),
        "RPOP": ("%:l",), "LMOVE": ("%:l", "%:l", "LEFT", "RIGHT"),
        "ZADD": ("%:z", "1", "a"), "ZINCRBY": ("%:z", "1", "a"), "ZSCORE": ("%:z", "a"),
        "ZCARD": ("%:z",), "ZCOUNT": ("%:z", "-inf", "+inf"), "ZRANK": ("%:z", "a"),
        "ZREVRANK": ("%:z", "a"), "ZRANGE": ("%:z", "0", "-1"), "ZREVRANGE": ("%:z", "0", "-1"),
        "ZRANGEBYSCORE": ("%:z", "-inf", "+inf"), "ZREVRANGEBYSCORE": ("%:z", "+inf", "-inf"),
        "ZREMRANGEBYSCORE": ("%:z", "9", "9"), "ZREM": ("%:z", "a"),
        "XADD": ("%:x", "*", "a", "1"), "XLEN": ("%:x",), "XTRIM": ("%:x", "MAXLEN", "5"),
        "DEL": ("%", "%:h", "%:s", "%:l", "%:z", "%:x"),
    }
)  # fmt: skip
#: Commands of scripts that only upstream runs, with rights of its own.
UPSTREAMS = frozenset(
    {"XACK", "XCLAIM", "XGROUP", "XINFO", "XPENDING", "XRANGE", "XREADGROUP", "XREVRANGE"}
)
#: All are tried, and the answers that are errors are returned.
_LUA = """
local refused = {}
for _, call in ipairs(cjson.decode(ARGV[1])) do
    for place, text in ipairs(call) do call[place] = string.gsub(text, '%%', KEYS[1]) end
    local reply = redis.pcall(unpack(call))
    if type(reply) == 'table' and reply.err then
        refused[#refused + 1] = call[1] .. ' ' .. reply.err
    end
end
return refused
"""


def trial(client: redis.Redis, namespace: str) -> Finding:
    """Write into keys that nothing else uses, and delete them.

    Raises:
        redis.RedisError: the server does not answer, or does not run scripts.
    """
    key = f"{{{namespace}}}:trial:{uuid.uuid4().hex}"
    calls = json.dumps([[name, *arguments] for name, arguments in COMMANDS.items()])
    answer: Any = client.eval(_LUA, 1, key, calls)
    if not answer:
        return Finding("writes", "ok", "the server carries out every command of the scripts")
    names = sorted({str(text).split(" ", 1)[0] for text in answer})
    why = explain(redis.ResponseError(str(answer[0]).split(" ", 1)[1]))
    return Finding("writes", "refused", f"{', '.join(names)} refused: {why}")
