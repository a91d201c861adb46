#!/usr/bin/env bash
# Runs a command with a Docker daemon: tests that need one run, and fail without it.
#
#   scripts/test-docker.sh run COMMAND...    sets MCPHUB_TEST_DOCKER, and DOCKER_HOST where it starts one
#
# Uses the daemon that answers, or as root starts one for that time with a store and a network of its
# own (on Debian: docker.io, iptables, iproute2, which it installs).
set -euo pipefail

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

[[ ${1-} == run && -n ${2-} ]] || usage
shift

work=$(mktemp -d)
daemon=
bridge=mcphub-docker

cleanup() {
    if [[ -n $daemon ]]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        ip link delete "$bridge" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

start_daemon() {
    ((EUID == 0)) || { echo "test-docker: no Docker daemon answers, and only root can start one"; return 1; }
    if ! command -v dockerd >/dev/null || ! command -v iptables >/dev/null || ! command -v ip >/dev/null; then
        command -v apt-get >/dev/null || { echo "test-docker: no Docker daemon answers, and there is no apt-get"; return 1; }
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends docker.io iptables iproute2 >/dev/null
    fi
    ip link add name "$bridge" type bridge
    ip address add 10.213.214.1/24 dev "$bridge"
    ip link set "$bridge" up
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" --bridge "$bridge" >"$work/dockerd.log" 2>&1 &
    daemon=$!
    local end=$((SECONDS + 60))
    until docker version >/dev/null 2>&1; do
        ((SECONDS < end)) || { tail -20 "$work/dockerd.log"; return 1; }
        sleep 0.2
    done
}

docker version >/dev/null 2>&1 || start_daemon
MCPHUB_TEST_DOCKER=1 "$@"
