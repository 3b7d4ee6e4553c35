#!/bin/sh
# Send one job with redis-cli or valkey-cli: send.sh REDIS_URL REFUND_ID STORE_ID ORDER_ID REASON
# REASON holds neither quotation marks nor backslashes. With PRODUCER and KEY the job is signed (openssl).
set -eu
url=$1 refund_id=$2 store_id=$3 order_id=$4 reason=$5
namespace=${NAMESPACE:-refunds}
script=${ENQUEUE_LUA:-$(dirname "$0")/../../worker/upstream/enqueue.lua}
cli=$(command -v valkey-cli || command -v redis-cli)

# The fields are in alphabetical order, without blanks: this is also the form that is signed.
job=$(printf '{"order_id":"%s","reason":"%s","refund_id":"%s","store_id":"%s"}' \
    "$order_id" "$reason" "$refund_id" "$store_id")
own_id=$(cat /proc/sys/kernel/random/uuid)
options="{\"redis_message_id\":\"$refund_id/job\"}"
if [ -n "${PRODUCER:-}" ]; then
    timestamp=$(date +%s)
    signature=$(printf 'v1\n%s\n%s\n%s\n%s' "$PRODUCER" "$timestamp" "$own_id" "$job" \
        | openssl dgst -sha256 -hmac "$KEY" -r | cut -d ' ' -f 1)
    options=$(printf '{"redis_message_id":"%s/job","signature":{"producer":"%s","timestamp":%s,"nonce":"%s","signature":"%s"}}' \
        "$refund_id" "$PRODUCER" "$timestamp" "$own_id" "$signature")
fi
message=$(printf '{"queue_name":"refunds","actor_name":"request_refund","args":[],"kwargs":%s,"options":%s,"message_id":"%s","message_timestamp":%s000}' \
    "$job" "$options" "$own_id" "$(date +%s)")

sha=$("$cli" -u "$url" --no-auth-warning SCRIPT LOAD "$(cat "$script")")
"$cli" -u "$url" --no-auth-warning EVALSHA "$sha" 2 "{$namespace}:refunds" "{$namespace}:refunds.msgs" \
    "$refund_id/job" "$own_id" "$message" > /dev/null
echo "$refund_id"
