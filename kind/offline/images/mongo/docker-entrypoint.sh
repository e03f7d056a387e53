#!/bin/sh
set -eu
# As process 1, a shell hears no signal that it has not asked for.
trap 'exit 0' TERM INT
# PostgreSQL insists that its data is its own.
umask 077

data=/data/db/postgresql
sockets=/tmp/postgresql

say() {
  echo "stand-in for mongo: $*" >&2
}

fail() {
  say "$*"
  exit 1
}

case ${1:-mongod} in
  mongod | -*) ;;
  *) exec "$@" ;;
esac

# A container that root starts goes on as mongodb.
if [ "$(id -u)" = 0 ]; then
  find /data/db /data/configdb ! -user mongodb -exec chown mongodb {} +
  exec setpriv --reuid=mongodb --regid=mongodb --init-groups "$0" "$@"
fi

auth=--no-auth
for word; do
  case $word in
    --auth) auth=--auth ;;
    --replSet* | --shardsvr | --configsvr) fail "$word is not possible: this is one server, without a replica set" ;;
    --port* | --dbpath* | --config* | -f) say "$word does nothing here: the port is 27017, the data is in /data/db" ;;
  esac
done

# secret NAME: the variable's value, or what the file has that NAME_FILE names.
secret() {
  eval "value=\${$1:-} file=\${$1_FILE:-}"
  [ -z "$value" ] || [ -z "$file" ] || fail "$1 and $1_FILE are both set"
  if [ -n "$file" ]; then cat "$file"; else printf %s "$value"; fi
}

user=$(secret MONGO_INITDB_ROOT_USERNAME)
password=$(secret MONGO_INITDB_ROOT_PASSWORD)
unset MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD
if [ -n "$user" ] && [ -n "$password" ]; then
  auth=--auth
elif [ -n "$user$password" ]; then
  fail "MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD belong together, and one of them is missing"
fi

# Whoever holds this lock is alone with the data: what a killed server has left beside it is stale.
exec 9>>/data/db/lock
flock --nonblock 9 || fail "another server has the data in /data/db open"
rm -rf "$sockets" "$data/postmaster.pid"
mkdir -m 700 "$sockets"

# postgres_on FOLDER ARGUMENT...
postgres_on() {
  folder=$1
  shift
  exec postgres "$@" -D "$folder" -c config_file=/etc/mongo/postgresql.conf
}

quoted() {
  printf %s "$2" | sed "s/$1/$1$1/g"
}

if ! [ -d "$data" ]; then
  say "making a new database"
  rm -rf "$data.partial"
  cp -r /srv/template "$data.partial"
  if [ -n "$user" ]; then
    role="\"$(quoted '"' "$user")\""
    sql="CREATE ROLE $role SUPERUSER LOGIN PASSWORD '$(quoted "'" "$password")'"
    echo "$sql" | (postgres_on "$data.partial" --single -c exit_on_error=on -c log_min_error_statement=panic postgres) \
      >/dev/null || fail "the user $user cannot be made"
  fi
  mv "$data.partial" "$data"
fi
unset user password
# Kubernetes may have given it to the volume's group as well.
chmod 700 "$data"

ferretdb=
stop() {
  trap '' TERM INT
  [ -z "$ferretdb" ] || { kill -TERM "$ferretdb" && wait "$ferretdb"; } 2>/dev/null || true
  # The first ends a server that has only begun to start; the second has one that runs not wait for its clients.
  { kill -TERM "$postgres" && kill -INT "$postgres"; wait "$postgres"; } 2>/dev/null || true
  exit "$1"
}

(postgres_on "$data") &
postgres=$!
trap 'stop 0' TERM INT
until pg_isready --quiet --host="$sockets" --username=postgres; do
  kill -0 "$postgres" 2>/dev/null || fail "PostgreSQL has ended"
  sleep 0.2 & wait "$!"
done

ferretdb "$auth" --listen-addr=:27017 --debug-addr=- --telemetry=disable --log-level=error --state-dir=/tmp \
  --postgresql-url="postgres://postgres@/postgres?host=$sockets&pool_max_conns=20" &
ferretdb=$!
say "listening on port 27017"

# A shell waits for one process or for all, not for the first that ends.
while kill -0 "$postgres" 2>/dev/null && kill -0 "$ferretdb" 2>/dev/null; do
  sleep 2 & wait "$!"
done
say "one of the two servers has ended by itself"
stop 1
