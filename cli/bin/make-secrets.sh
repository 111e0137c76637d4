#!/bin/sh
# Makes the secrets of a cluster in a folder, for user 10001 alone; the token for metrics also for its group, which
# Prometheus is in. What is there already stays as it is.
set -eu
folder=$1
umask 077

# name, bytes of randomness, prefix
make() {
  [ -s "$folder/$1" ] && return
  printf '%s%s' "$3" "$(head -c "$2" /dev/urandom | od -An -v -tx1 | tr -d ' \n')" > "$folder/$1.new"
  chown 10001:10001 "$folder/$1.new"
  sync "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
}

make cluster-secret 32 ''
make metrics-token 24 ''
make root-access-key 8 CAIRN
make root-secret-key 20 ''
chmod 640 "$folder/metrics-token"
chown 10001:10001 "$folder"
sync "$folder"
