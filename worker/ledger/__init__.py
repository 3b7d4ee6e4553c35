"""All refunds and stores in Redis; every write is one Lua script."""
