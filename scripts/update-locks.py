#!/usr/bin/env python3
"""Renews the dependencies that generated projects are locked to.

    scripts/update-locks.py             takes the newest versions that the templates allow
    scripts/update-locks.py --check     fails unless the locks fit the templates

Needs `uv` and `npm` on PATH; `NPM` in the environment is another command for the latter. The locks are the same for every project but for the name and version of
the project itself, which the targets fill in.
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
    """The locks of a Python project, by template."""
    project = (PYTHON / "pyproject.toml.j2").read_text()
    for name, value in [("distribution", NAME), ("package", "project_mcp"), ("version", "1.0.0"), ("summary_toml", '""')]:
        project = project.replace("{{ %s }}" % name, value)
    (folder / "pyproject.toml").write_text(project)
    (folder / "README.md").touch()
    (folder / "src/project_mcp").mkdir(parents=True)
    (folder / "src/project_mcp/__init__.py").touch()
    if check:
        rendered = (PYTHON / "uv_project.toml.j2").read_text().replace("{{ distribution }}", NAME)
        packages = (PYTHON / "uv.lock").read_text() + "\n" + rendered.replace("{{ version }}", "1.0.0")
        (folder / "uv.lock").write_text(packages)
        run("uv", "lock", "--check", "--quiet", folder=folder)
        return {}
    run("uv", "lock", "--quiet", "--upgrade", folder=folder)
    head, *packages = (folder / "uv.lock").read_text().split("\n[[package]]\n")
    own = [package for package in packages if package.startswith(f'name = "{NAME}"')]
    others = [package for package in packages if package not in own]
    if len(own) != 1 or not others:
        sys.exit("uv.lock is not as expected")
    template = own[0].replace(NAME, "{{ distribution }}").replace('version = "1.0.0"', 'version = "{{ version }}"', 1)
    export = ["uv", "export", "--quiet", "--frozen", "--no-emit-project", "--no-header", "--no-annotate"]
    requirements = run(*export, "--format", "requirements.txt", folder=folder)
    return {
        PYTHON / "uv.lock": "\n[[package]]\n".join([head, *others]).rstrip("\n") + "\n",
        PYTHON / "uv_project.toml.j2": "[[package]]\n" + template.rstrip("\n") + "\n",
        PYTHON / "requirements.lock": requirements,
    }


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
    return {TYPESCRIPT / "package-lock.json.j2": json.dumps(lock, indent=2, ensure_ascii=False) + "\n"}


def main() -> None:
    """Both languages, each in a folder of its own."""
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    os.environ.update(npm_config_update_notifier="false", npm_config_loglevel="error")
    for language in (python, typescript):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in language(Path(folder), check).items():
                if re.search(r"https?://(?!(pypi\.org|files\.pythonhosted\.org)/)[^\"\s]*\.(whl|gz|tgz)", text):
                    sys.exit(f"{path.name} names a package index of this machine")
                path.write_text(text)
                print(f"{path.name}: {len(text)} bytes")
    if check:
        print("the locks fit the templates")


if __name__ == "__main__":
    main()
