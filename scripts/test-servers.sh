#!/usr/bin/env bash
# A private PostgreSQL and Redis for tests, and a Redis cluster of three masters, of which the first has a
# replica: on free loopback ports, in one folder, with passwords of their own. Nothing of a system service
# is used or changed.
#
#   scripts/test-servers.sh run COMMAND...     starts them, runs COMMAND with their addresses in
#                                              MCPHUB_TEST_POSTGRES, MCPHUB_TEST_REDIS and
#                                              MCPHUB_TEST_REDIS_CLUSTER, stops them
#   scripts/test-servers.sh start DIR          starts what does not run in DIR, writes DIR/env.sh
#   scripts/test-servers.sh kill DIR SERVER    SIGKILL, as a crash; `start` brings it back
#   scripts/test-servers.sh pause|resume DIR SERVER    a server that hangs
#   scripts/test-servers.sh stop DIR           stops them and removes DIR
#
# A SERVER is postgres, redis, or cluster-1 to cluster-4; cluster-4 begins as the replica of cluster-1.
# For benchmarks: with MCPHUB_TEST_FSYNC=on PostgreSQL waits for its disk, as one that is in use does, and
# MCPHUB_TEST_BUFFERS is the memory that it keeps its tables in, 64MB unless told otherwise.
# What PostgreSQL committed survives `kill`; Redis keeps nothing on disk, so it comes back empty.
# On Debian: apt-get install postgresql redis-server. As root, PostgreSQL runs as the user
# `postgres` of that package, because it refuses to run as root.
set -euo pipefail

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

fail() {
    echo "test-servers: $*" >&2
    exit 1
}

as_owner() {
    if ((EUID == 0)); then
        setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
    else
        "$@"
    fi
}

# Below the range that systems give to outgoing connections, so that a killed server finds its port
# free when it comes back.
free_port() {
    python3 - <<'PYTHON'
import random, socket
while True:
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
PYTHON
}

postgres_bin() {
    local bin
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    if [[ -x $bin/initdb ]]; then
        echo "$bin"
    elif command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    else
        fail "PostgreSQL is not installed (Debian: postgresql)"
    fi
}

# process DIR SERVER: the id of its main process, nothing when it does not run.
process() {
    local file=$1/$2/pid id
    [[ $2 != postgres ]] || file=$1/postgres/data/postmaster.pid
    id=$(head -1 "$file" 2>/dev/null) || return 0
    # A zombie has ended already.
    if [[ -n $id && -d /proc/$id ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$id/status" 2>/dev/null; then
        echo "$id"
    fi
}

start_postgres() {
    local dir=$1 bin
    bin=$(postgres_bin)
    [[ -z $(process "$dir" postgres) ]] || return 0
    cd /
    if [[ ! -f $dir/postgres/port ]]; then
        mkdir -p "$dir/postgres"
        printf '%s' "$PASSWORD" >"$dir/postgres/password"
        ((EUID != 0)) || chown -R postgres: "$dir/postgres"
        as_owner "$bin/initdb" -D "$dir/postgres/data" -U mcphub --pwfile="$dir/postgres/password" \
            --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
            fail "initdb failed: $(tail -5 "$dir/initdb.log")"
        free_port >"$dir/postgres/port"
    fi
    # A killed server left it, and PostgreSQL takes a process that nobody has reaped yet for running.
    rm -f "$dir/postgres/data/postmaster.pid"
    # Without fsync a crash of the machine would lose writes, a killed server does not.
    local fsync=${MCPHUB_TEST_FSYNC:-off}
    [[ $fsync == on || $fsync == off ]] || fail "MCPHUB_TEST_FSYNC is on or off"
    as_owner "$bin/pg_ctl" -D "$dir/postgres/data" -l "$dir/postgres/log" -w -t 60 -s -o "\
        -c listen_addresses=127.0.0.1 -c port=$(<"$dir/postgres/port") \
        -c unix_socket_directories= -c fsync=$fsync -c full_page_writes=$fsync \
        -c max_connections=300 -c shared_buffers=${MCPHUB_TEST_BUFFERS:-64MB}" start >/dev/null ||
        fail "PostgreSQL does not start: $(tail -5 "$dir/postgres/log")"
}

# start_redis DIR SERVER
start_redis() {
    local dir=$1/$2
    command -v redis-server >/dev/null || fail "Redis is not installed (Debian: redis-server)"
    [[ -z $(process "$1" "$2") ]] || return 0
    if [[ ! -f $dir/conf ]]; then
        mkdir -p "$dir"
        free_port >"$dir/port"
        cat >"$dir/conf" <<CONF
port $(<"$dir/port")
bind 127.0.0.1
requirepass $PASSWORD
dir "$dir"
pidfile "$dir/pid"
logfile "$dir/log"
save ""
appendonly no
daemonize yes
CONF
        [[ $2 != cluster-* ]] || cat >>"$dir/conf" <<CONF
cluster-enabled yes
cluster-port $(free_port)
cluster-allow-replica-migration no
masterauth $PASSWORD
repl-diskless-sync-delay 0
CONF
    fi
    rm -f "$dir/pid"
    redis-server "$dir/conf" >/dev/null
    answers "$dir" PONG ping
}

# start_cluster DIR: a third of the slots for each of three servers, which remember it when they were killed.
start_cluster() {
    local dir=$1 number first=$1/cluster-1
    for number in 1 2 3 4; do
        start_redis "$dir" "cluster-$number"
    done
    if [[ $(tell_redis "$first" cluster info) == *cluster_slots_assigned:0* ]]; then
        tell_redis "$first" cluster addslotsrange 0 5460 >/dev/null
        tell_redis "$dir/cluster-2" cluster addslotsrange 5461 10922 >/dev/null
        tell_redis "$dir/cluster-3" cluster addslotsrange 10923 16383 >/dev/null
        for number in 1 2 3 4; do
            tell_redis "$dir/cluster-$number" cluster set-config-epoch "$number" >/dev/null
        done
        for number in 2 3 4; do
            tell_redis "$first" cluster meet 127.0.0.1 "$(<"$dir/cluster-$number/port")" \
                "$(sed -n 's/^cluster-port //p' "$dir/cluster-$number/conf")" >/dev/null
        done
        answers "$dir/cluster-4" cluster_known_nodes:4 cluster info
        answers "$dir/cluster-4" OK cluster replicate "$(tell_redis "$first" cluster myid)"
        answers "$dir/cluster-4" master_link_status:up info replication
    fi
    for number in 1 2 3 4; do
        answers "$dir/cluster-$number" cluster_state:ok cluster info
    done
}

# answers DIR TEXT COMMAND...: waits until the answer of a Redis has that text.
answers() {
    local dir=$1 text=$2 try
    shift 2
    for ((try = 0; try < 200; try++)); do
        [[ $(tell_redis "$dir" "$@" 2>/dev/null || true) != *"$text"* ]] || return 0
        sleep 0.05
    done
    fail "Redis does not start: $(tail -5 "$dir/log" 2>/dev/null)"
}

tell_redis() {
    local dir=$1
    shift
    REDISCLI_AUTH=$(redis_password "$dir") redis-cli -p "$(<"$dir/port")" "$@"
}

redis_password() { sed -n 's/^requirepass //p' "$1/conf"; }

redis_url() { echo "redis://:$(redis_password "$1")@127.0.0.1:$(<"$1/port")/0"; }

start() {
    local dir=$1
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    # PostgreSQL's own user has to get through.
    chmod 711 "$dir"
    touch "$dir/test-servers"
    PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    local postgres_port started=() id
    (start_postgres "$dir") &
    started+=($!)
    (start_cluster "$dir") &
    started+=($!)
    (start_redis "$dir" redis)
    for id in "${started[@]}"; do
        wait "$id"
    done
    postgres_port=$(<"$dir/postgres/port")
    [[ -f $dir/env.sh ]] || (umask 077 && cat >"$dir/env.sh" <<ENV
export MCPHUB_TEST_POSTGRES=postgres://mcphub:$(<"$dir/postgres/password")@127.0.0.1:$postgres_port/postgres
export MCPHUB_TEST_REDIS=$(redis_url "$dir/redis")
export MCPHUB_TEST_REDIS_CLUSTER=$(redis_url "$dir/cluster-1")
ENV
    )
}

stop() {
    local dir=$1 server id try
    [[ -f $dir/test-servers ]] || fail "$dir holds no servers of this script"
    for server in postgres redis cluster-{1..4}; do
        id=$(process "$dir" "$server")
        [[ -n $id ]] || continue
        kill -CONT "$id" 2>/dev/null || true
        # PostgreSQL's immediate shutdown takes its children along; nothing in here is kept.
        kill -QUIT "$id" 2>/dev/null || true
        [[ $server == postgres ]] || kill -KILL "$id" 2>/dev/null || true
        for ((try = 0; try < 200; try++)); do
            [[ -n $(process "$dir" "$server") ]] || break
            sleep 0.05
        done
        id=$(process "$dir" "$server")
        [[ -z $id ]] || kill -KILL "$id" 2>/dev/null || true
    done
    rm -rf "$dir"
}

# signal DIR SERVER NAME: to the server and, for PostgreSQL, to the processes of its connections.
signal() {
    local dir=$1 server=$2 name=$3 id children=()
    case $server in postgres | redis | cluster-[1-4]) ;; *) usage ;; esac
    id=$(process "$dir" "$server")
    [[ -n $id ]] || fail "$server does not run in $dir"
    mapfile -t children < <(grep -ls "^PPid:[[:space:]]*$id\$" /proc/[0-9]*/status | cut -d/ -f3)
    kill "-$name" "$id" ${children[@]+"${children[@]}"} 2>/dev/null || true
}

case ${1-} in
    run)
        (($# > 1)) || usage
        shift
        servers=$(mktemp -d "${TMPDIR:-/tmp}/mcphub-servers.XXXXXX")
        touch "$servers/test-servers"
        trap 'stop "$servers"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        start "$servers"
        # shellcheck source=/dev/null
        . "$servers/env.sh"
        "$@"
        ;;
    start) (($# == 2)) || usage; start "$2" ;;
    stop) (($# == 2)) || usage; stop "$2" ;;
    kill)
        (($# == 3)) || usage
        signal "$2" "$3" KILL
        for ((try = 0; try < 200; try++)); do
            [[ -n $(process "$2" "$3") ]] || exit 0
            sleep 0.02
        done
        fail "$3 is still there"
        ;;
    pause) (($# == 3)) || usage; signal "$2" "$3" STOP ;;
    resume) (($# == 3)) || usage; signal "$2" "$3" CONT ;;
    *) usage ;;
esac
