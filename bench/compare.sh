#!/bin/sh
# Runs wrk against Tandem and against a three-node etcd on this machine, in turn, and prints a table. From the repository's
# root, after make build:
#
#   bench/compare.sh
#
# It needs wrk, etcd and curl. With INSTALL=1 it installs what is missing of them, with apt-get, after it has said what.
#
# Settings, in the environment: DURATION (10s) of each run, CONNECTIONS (64), THREADS (2), USERS (20000) that are there before,
# FILL (20s: time to make them), ROUNDS (1), PORT (7500: the first of the ports that are used).
set -eu

duration=${DURATION:-10s}
connections=${CONNECTIONS:-64}
threads=${THREADS:-2}
users=${USERS:-20000}
fill=${FILL:-20s}
rounds=${ROUNDS:-1}
port=${PORT:-7500}
here=$(dirname "$0")

[ -x bin/bench ] || { echo "compare: bin/bench is missing; make build makes it" >&2; exit 1; }
missing=
command -v wrk >/dev/null || missing="$missing wrk"
command -v etcd >/dev/null || missing="$missing etcd-server"
command -v curl >/dev/null || missing="$missing curl"
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo "
    install="${sudo}apt-get install -y --no-install-recommends$missing"
    if [ "${INSTALL:-}" != 1 ]; then
        echo "compare: missing:$missing. Run this, or set INSTALL=1 to have it run: $install" >&2
        exit 1
    fi
    echo "compare: installing:$missing ($install)" >&2
    $install
fi

dir=$(mktemp -d)
etcds=
finish() {
    bin/bench stop --dir "$dir/tandem" 2>/dev/null || true
    # shellcheck disable=SC2086 # several processes
    [ -z "$etcds" ] || kill $etcds 2>/dev/null || true
    wait
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

mkdir "$dir/tandem" "$dir/etcd"
bin/bench cluster --detach --dir "$dir/tandem" --port "$port" --http "127.0.0.1:$((port + 9))" >"$dir/cluster.txt" || { cat "$dir/cluster.txt"; exit 1; }
tandem=http://127.0.0.1:$((port + 9))

peers=
for i in 0 1 2; do
    peers="$peers,etcd-$i=http://127.0.0.1:$((port + 20 + i))"
done
for i in 0 1 2; do
    client=http://127.0.0.1:$((port + 10 + i)) peer=http://127.0.0.1:$((port + 20 + i))
    etcd --name "etcd-$i" --data-dir "$dir/etcd/$i" --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "${peers#,}" >"$dir/etcd/$i.log" 2>&1 &
    etcds="$etcds $!"
done

# The requests go to etcd's leader: that is one hop less than by a follower.
etcd=
tries=0
while [ -z "$etcd" ]; do
    for i in 0 1 2; do
        status=$(curl -s -X POST -d '{}' "http://127.0.0.1:$((port + 10 + i))/v3/maintenance/status" || true)
        self=$(printf %s "$status" | sed -n 's/.*"member_id":"\([0-9]*\)".*/\1/p')
        leader=$(printf %s "$status" | sed -n 's/.*"leader":"\([0-9]*\)".*/\1/p')
        if [ -n "$self" ] && [ "$self" = "$leader" ]; then
            etcd=http://127.0.0.1:$((port + 10 + i))
        fi
    done
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "compare: etcd does not start" >&2; tail -n 5 "$dir"/etcd/*.log >&2; exit 1; }
    sleep 0.1
done

# load TARGET ACT RUN DURATION CONNECTIONS: one run of wrk; leaves its figures in $result. A run with failed requests is shown and
# makes the whole script fail at its end.
failed=0
load() {
    url=$tandem
    [ "$1" = tandem ] || url=$etcd
    wrk -t "$threads" -c "$5" -d "$4" --timeout 5s -s "$here/lua/load.lua" "$url" -- "$1" "$2" "$3" "$users" "$threads" >"$dir/wrk.txt" 2>&1 || { cat "$dir/wrk.txt" >&2; exit 1; }
    result=$(sed -n 's/^RESULT //p' "$dir/wrk.txt")
    # shellcheck disable=SC2086 # a list of figures
    set -- "$1" "$2" $result
    if [ $# -ne 9 ] || [ "$5" != 0 ] || [ "$6" != 0 ] || grep -q UNFINISHED "$dir/wrk.txt"; then
        echo "compare: $1 $2: not every request succeeded, or there was no time for all" >&2
        cat "$dir/wrk.txt" >&2
        failed=1
    fi
}

echo "filling both with $users users" >&2
load tandem fill 0 "$fill" 16
load etcd fill 0 "$fill" 16
[ "$failed" = 0 ] || exit 1

printf '%-8s %-8s %12s %9s %9s %9s %7s\n' store what requests/s 'p50 ms' 'p99 ms' 'max ms' failed | tee "$dir/table.txt"
run=0
while [ "$run" -lt "$rounds" ]; do
    for act in create update read; do
        for target in tandem etcd; do
            load "$target" "$act" "$run" "$duration" "$connections"
            # shellcheck disable=SC2086 # a list of figures
            set -- $result
            printf '%-8s %-8s %12s %9s %9s %9s %7s\n' "$target" "$act" "$2" "$5" "$6" "$7" "$(($3 + $4))" | tee -a "$dir/table.txt"
        done
    done
    run=$((run + 1))
done
awk 'NR > 1 { sum[$1, $2] += $3 }
    END { print ""; n = split("create update read", acts, " ")
        for (i = 1; i <= n; i++) if (sum["etcd", acts[i]] > 0)
            printf "Tandem does %.2f times the %ss of etcd\n", sum["tandem", acts[i]] / sum["etcd", acts[i]], acts[i] }' "$dir/table.txt"
[ "$failed" = 0 ]
