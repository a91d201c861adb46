#!/usr/bin/env bash
# Compiles every crate without features, and with each of its features alone:
# a feature that needs another one must say so in its manifest.
set -euo pipefail
cd "$(dirname "$0")/.."

# One line for each check: the crate, and the feature (nothing for none).
list_checks() {
    cargo metadata --format-version=1 --no-deps | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    for feature in ["", *sorted(package["features"])]:
        if feature != "default":
            print(package["name"], feature)
'
}

checks=$(list_checks)
while read -r crate feature; do
    if [[ -n $feature ]]; then
        echo "$crate, only with $feature"
        cargo check --quiet --locked --package "$crate" --no-default-features --features "$feature"
    else
        echo "$crate, without features"
        cargo check --quiet --locked --package "$crate" --no-default-features
    fi
done <<<"$checks"
