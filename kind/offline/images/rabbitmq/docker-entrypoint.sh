#!/bin/sh
set -eu

# What the official image refuses must not seem to work here.
for name in RABBITMQ_DEFAULT_PASS_FILE RABBITMQ_DEFAULT_USER_FILE RABBITMQ_VM_MEMORY_HIGH_WATERMARK; do
  eval "value=\${$name:-}"
  [ -z "$value" ] || { echo "error: $name is not read by RabbitMQ; use a file in /etc/rabbitmq/conf.d" >&2; exit 1; }
done

# A container that root starts goes on as rabbitmq.
if [ "$(id -u)" = 0 ] && [ "${1#rabbitmq}" != "$1" ]; then
  find /var/lib/rabbitmq ! -user rabbitmq -exec chown rabbitmq {} +
  exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$0" "$@"
fi

if [ -z "${RABBITMQ_USE_LONGNAME:-}" ] && [ "$(hostname)" != "$(hostname -s)" ]; then
  export RABBITMQ_USE_LONGNAME=true
fi
# With it, the server itself is the process that a signal reaches, and no shell before it.
export RUNNING_UNDER_SYSTEMD=true
exec "$@"
