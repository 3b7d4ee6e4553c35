#!/bin/sh
# Send the jobs of a file with the example for the shell: send_many.sh FILE. Each line is
#   NUMBER REFUND_ID STORE_ID ORDER_ID REASON    a job; signed with WRONG_KEY if NUMBER begins with "-"
#   NUMBER message MESSAGE                       a message that is broken itself
# separated by tabs. For each line its number and "sent" are printed.
set -eu
here=$(dirname "$0")
queue="{$NAMESPACE}:refunds"
cli=$(command -v valkey-cli || command -v redis-cli)
export PRODUCER=shell
tab=$(printf '\t')
while IFS="$tab" read -r number refund_id store_id order_id reason; do
    key=$KEY
    case $number in -*) key=$WRONG_KEY ;; esac
    if [ "$refund_id" = message ]; then
        printf '%s' "$store_id" | "$cli" -u "$REDIS_URL" --no-auth-warning -x HSET "$queue.msgs" "raw-$number" > /dev/null
        "$cli" -u "$REDIS_URL" --no-auth-warning RPUSH "$queue" "raw-$number" > /dev/null
    else
        KEY=$key "$here/../interop/send.sh" "$REDIS_URL" "$refund_id" "$store_id" "$order_id" "$reason" > /dev/null
    fi
    printf '%s\tsent\n' "${number#-}"
done < "$1"
