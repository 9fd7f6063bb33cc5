# A real systemd (a user's manager) and a real bus, in a /run and among processes of their own:
# `unshare … sh realsystemd.sh COMMAND…` runs COMMAND with the bus at unix:///run/own/bus.
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/own/systemd/user
chmod 700 /run/own
export XDG_RUNTIME_DIR=/run/own HOME=/run/own DBUS_SESSION_BUS_ADDRESS=unix:path=/run/own/bus
cat > /run/own/systemd/user/planner.service <<UNIT
[Service]
ExecStart=/bin/sleep 600
UNIT
cat > /run/own/systemd/user/stubborn.service <<UNIT
[Service]
ExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 1; done'
TimeoutStopSec=60
UNIT
dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --nofork --nopidfile 2>/run/own/log &
"$SYSTEMD" --user >>/run/own/log 2>&1 &
manager=$!
tries=0
# 77: the manager does not come up here, as in a container without groups of its own.
until systemctl --user start planner stubborn 2>>/run/own/log; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { cat /run/own/log >&2; exit 77; }
    sleep 0.1
done
status=0
"$@" || status=$?
systemctl --user kill --signal KILL stubborn || :
systemctl --user stop planner stubborn || :
systemctl --user exit || :
wait "$manager" || :
exit "$status"
