#!/bin/sh
# Prints one ACL file for Redis or Valkey, with the hash of the password of each user:
#
#   sh users.sh PASSWORDS [cells] > users.acl
#
# With "cells" they have the same rights on the keys of all cells (REFUNDS_CELLS). PASSWORDS is a directory with one file for each role (producer, worker, operator, metrics, reader)
# that holds its password. A role without a file gets no user.
set -eu
here=$(dirname "$0")
more=
[ "${2:-}" != cells ] || more='s/\(\(%[RW]\)\{0,1\}~\){refunds}\([^ )]*\)/& \1{refunds:*}\3/g'
cat "$here/default.acl"
for file in "$here"/*.acl; do
  role=$(basename "$file" .acl)
  [ -s "$1/$role" ] || continue
  hash=$(tr -d '\n' < "$1/$role" | sha256sum | cut -d ' ' -f 1)
  sed -e "s/ resetpass / resetpass #$hash /" -e "$more" "$file"
done
