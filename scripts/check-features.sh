#!/usr/bin/env bash
# Compiles every crate without features, and with each of its features alone, without a warning:
# a feature that needs another one must say so in its manifest.
set -euo pipefail
cd "$(dirname "$0")/.."

# A crate of ours leaves the version of Kubernetes to the host, and there is none here.
export K8S_OPENAPI_ENABLED_VERSION=1.33

# One line for each check: the crate, and the feature (nothing for none).
list_checks() {
    cargo metadata --format-version=1 --no-deps --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    for feature in ["", *sorted(package["features"])]:
        if feature != "default":
            print(package["name"], feature)
'
}

failed=0
checks=$(list_checks)
while read -r crate feature; do
    echo "$crate, ${feature:-no features}"
    # When it is quiet, cargo says nothing but warnings and errors.
    said=$(cargo check --quiet --locked --package "$crate" --no-default-features ${feature:+--features "$feature"} 2>&1) || failed=1
    if [[ -n $said ]]; then
        printf '%s\n' "$said"
        failed=1
    fi
done <<<"$checks"
exit $failed
