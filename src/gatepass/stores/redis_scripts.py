"""The steps of `gatepass.stores.cell` in Redis: each is one script, and nothing comes between its lines.

A name is one key, so that a cluster needs to ask one node only. The key is a hash:

    version               of the record, or of its removal
    value                 the record; not there without one
    fence                 of the newest lease
    owner, since, until   the lease; not there without one

Times are microseconds of the server's clock, so that no two machines have to agree on theirs; a first argument that is
not empty stands in for it. Versions and fences are never less than that clock, so that a key that was evicted, or that
a failover set back, can't come back under a number that was given out before.

Lua has doubles for numbers, which are exact up to 2^53: in microseconds, the year 2255. ``%.0f`` writes every digit,
where ``tostring`` would round.
"""

from __future__ import annotations

import hashlib

from gatepass.core.value import Value

__all__ = ["ACQUIRE", "COMMANDS", "DELETE", "HOLDER", "READ", "RELEASE", "WRITE", "Script"]

COMMANDS = ("eval", "evalsha", "hdel", "hexists", "hget", "hmget", "hset", "pexpire", "time")
"""What a user of the server must be allowed to call."""


class Script(Value, frozen=True):
    """A script, and the name by which a server that has seen it knows it."""

    text: str
    sha: str

    @classmethod
    def of(cls, *parts: str) -> Script:
        """Put together from its parts."""
        text = "".join(parts)
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_NOW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
"""

_NEXT = """
local function next_after(last)
  return string.format('%.0f', math.max(tonumber(last or 0) + 1, now))
end
"""

_LEASE = """
-- A lease from the future is void, or a clock that was set back would make it endless; a minute is no matter.
local owner, fence, since, expiry = unpack(redis.call('HMGET', KEYS[1], 'owner', 'fence', 'since', 'until'))
local in_force = owner and since - 60000000 <= now and now < tonumber(expiry)
"""

READ = Script.of("""
local keep_ms = ARGV[1]
local found = redis.call('HMGET', KEYS[1], 'version', 'value')
if found[2] then
  redis.pcall('PEXPIRE', KEYS[1], keep_ms)  -- where nothing can be written, there still is something to read
end
return found
""")
"""What is there: version and value."""

WRITE = Script.of(
    _NOW,
    _NEXT,
    """
local expect, fence, value, keep_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local version, newest = unpack(redis.call('HMGET', KEYS[1], 'version', 'fence'))
local current = redis.call('HEXISTS', KEYS[1], 'value') == 1 and version or '0'
if current ~= expect or (fence ~= '' and tonumber(fence) < tonumber(newest or 0)) then
  return false
end
version = next_after(version)
redis.call('HSET', KEYS[1], 'version', version, 'value', value)
redis.call('PEXPIRE', KEYS[1], keep_ms)
return version
""",
)
"""Compare and set: the new version, or nothing."""

DELETE = Script.of(
    _NOW,
    _NEXT,
    """
local expect, keep_ms = ARGV[2], ARGV[3]
local version = redis.call('HGET', KEYS[1], 'version')
if redis.call('HEXISTS', KEYS[1], 'value') == 0 or (expect ~= '' and expect ~= version) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', next_after(version))
redis.call('PEXPIRE', KEYS[1], keep_ms)
return redis.call('HDEL', KEYS[1], 'value')
""",
)
"""Remove the record, if it is the one expected: how many were removed."""

ACQUIRE = Script.of(
    _NOW,
    _NEXT,
    _LEASE,
    """
local by, ttl, keep_ms, keep_trace_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if in_force and owner ~= by then
  return false
end
fence, expiry = next_after(fence), string.format('%.0f', now + ttl)
redis.call('HSET', KEYS[1], 'owner', by, 'fence', fence, 'since', string.format('%.0f', now), 'until', expiry)
redis.call('PEXPIRE', KEYS[1], redis.call('HEXISTS', KEYS[1], 'value') == 1 and keep_ms or keep_trace_ms)
return {fence, expiry}
""",
)
"""Take the lease: its fence and its end, or nothing while another owner has it."""

RELEASE = Script.of("""
local owner, fence = unpack(redis.call('HMGET', KEYS[1], 'owner', 'fence'))
if owner == ARGV[1] and fence == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'owner', 'since', 'until')
end
""")
"""Give the lease back, if it is still that one."""

HOLDER = Script.of(
    _NOW,
    _LEASE,
    """
return in_force and {owner, fence, expiry}
""",
)
"""The lease in force: its owner, its fence and its end, or nothing."""
