#!/usr/bin/env python3
"""Renews the dependencies that generated projects are locked to.

    scripts/update-locks.py             takes the newest versions that the templates allow
    scripts/update-locks.py --check     fails unless the locks fit the templates

Needs `uv` and `npm` on PATH; `NPM` in the environment is another command for the latter. The locks are the same for
every project but for the name and version of the project itself, which the targets fill in. None holds an address:
where packages come from is for whoever installs them to say.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = Path(__file__).parent.parent / "crates/mcphub-codegen/src/targets"
PYTHON = TARGETS / "python/templates/project"
TYPESCRIPT = TARGETS / "typescript/templates/project"
NAME = "project-mcp"
NPM = shlex.split(os.environ.get("NPM", "npm"))


def run(*command: str, folder: Path) -> str:
    """What a command printed; its errors are shown."""
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def python(folder: Path, check: bool) -> dict[Path, str]:
    """The lock of a Python project, by template."""
    lock = PYTHON / "requirements.lock"
    # The table at its end says what the lock says.
    project, _, pins = (PYTHON / "pyproject.toml.j2").read_text().partition("[tool.uv]")
    if "{% for pin in pins %}" not in pins:
        sys.exit("pyproject.toml.j2 is not as expected")
    for name, value in [("distribution", NAME), ("package", "project_mcp"), ("version", "1.0.0"), ("summary_toml", '""')]:
        project = project.replace("{{ %s }}" % name, value)
    (folder / "pyproject.toml").write_text(project)
    # What is there already is kept where it fits.
    (folder / lock.name).write_text(lock.read_text())
    compiled = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--generate-hashes"]
    compiled += ["--no-header", "--no-annotate", "--output-file", lock.name, "pyproject.toml"]
    run(*compiled, *([] if check else ["--upgrade"]), folder=folder)
    if not check:
        return {lock: (folder / lock.name).read_text()}
    ours, found = hashes(lock.read_text()), hashes((folder / lock.name).read_text())
    # A version may get more files later.
    if ours.keys() != found.keys() or not all(ours[pin] and ours[pin] <= found[pin] for pin in ours):
        sys.exit(f"{lock.name} does not fit pyproject.toml.j2: {sorted(ours.keys() ^ found.keys())}")
    return {}


def hashes(lock: str) -> dict[str, set[str]]:
    """The hashes of each pinned version in a lock of pip's format."""
    found: dict[str, set[str]] = {}
    pin = ""
    for line in lock.splitlines():
        text = line.removesuffix("\\").strip()
        if not line.startswith(" "):
            pin = text
            found[pin] = set()
        else:
            found[pin].add(text)
    return found


def typescript(folder: Path, check: bool) -> dict[Path, str]:
    """The lock of a TypeScript project, by template."""
    manifest = (TYPESCRIPT / "package.json.j2").read_text()
    for name, value in [("package", NAME), ("version", "1.0.0"), ("summary_json", '""')]:
        manifest = manifest.replace("{{ %s }}" % name, value)
    (folder / "package.json").write_text(manifest)
    if check:
        lock = (TYPESCRIPT / "package-lock.json.j2").read_text()
        lock = lock.replace("{{ package }}", NAME).replace("{{ version }}", "1.0.0")
        (folder / "package-lock.json").write_text(lock)
        run(*NPM, "ci", "--dry-run", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
        return {}
    install = [*NPM, "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(*install, "--omit-lockfile-registry-resolved", folder=folder)
    lock = json.loads((folder / "package-lock.json").read_text())
    for place in (lock, lock["packages"][""]):
        place["name"], place["version"] = "{{ package }}", "{{ version }}"
    own = lock["packages"][""]
    own["bin"] = {"{{ package }}": own["bin"][NAME]}
    for package in lock["packages"].values():
        package.pop("funding", None)
    return {TYPESCRIPT / "package-lock.json.j2": json.dumps(lock, indent=2, ensure_ascii=False) + "\n"}


def without_addresses(path: Path, text: str) -> None:
    """Refuses a lock that names a package index, or any other place."""
    if found := re.search(r"[a-z][a-z0-9+.-]*://[^\s\"]*", text):
        sys.exit(f"{path.name} holds an address: {found[0]}")


def main() -> None:
    """Both languages, each in a folder of its own."""
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    os.environ.update(npm_config_update_notifier="false", npm_config_loglevel="error")
    for language in (python, typescript):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in language(Path(folder), check).items():
                without_addresses(path, text)
                path.write_text(text)
                print(f"{path.name}: {len(text)} bytes")
    if check:
        for path in (PYTHON / "requirements.lock", TYPESCRIPT / "package-lock.json.j2"):
            without_addresses(path, path.read_text())
        print("the locks fit the templates")


if __name__ == "__main__":
    main()
