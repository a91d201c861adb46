#!/usr/bin/env python3
"""Checks the dependency graph: layering, banned crates, licences and duplicate versions.

The lists are in deny.toml, in cargo-deny's own format, so `cargo deny check` can be run on them
too. This script needs only Python 3.11 and cargo, and adds the rules between our own crates:

- the core's dependency tree holds no runtime, server, database or backend;
- the crates above the core never depend on each other, dev-dependencies aside.

Licences and banned crates are checked for the whole graph, tests included; duplicate versions for
what is built into the product. Exits with 1 and one line for each violation.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

CORE = "mcphub-core"
SIBLINGS = ("mcphub-codegen", "mcphub-deploy", "mcphub-gateway", "mcphub-store")
NOT_IN_CORE = ("axum", "bollard", "hyper", "kube", "reqwest", "rmcp", "sqlx", "tokio")

Config = dict[str, Any]  # what deny.toml says


@dataclass(frozen=True)
class Package:
    """One version of a crate."""

    id: str
    name: str
    version: str
    licence: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass
class Graph:
    """The packages of a workspace and who depends on whom.

    `edges` maps a package's id to the ids it depends on; `dev_edges` holds those that only tests
    and benches use. `direct` maps the names of workspace crates to what their manifest names.
    """

    packages: dict[str, Package]
    members: list[str]
    edges: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    dev_edges: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    direct: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def member(self, name: str) -> str:
        """The id of a workspace crate."""
        for package_id in self.members:
            if self.packages[package_id].name == name:
                return package_id
        raise SystemExit(f"there is no crate {name} in the workspace")

    def reachable(self, roots: Iterable[str], *, dev: bool = False) -> set[str]:
        """The ids that `roots` depend on, roots included; `dev` adds the workspace's dev-dependencies."""
        seen: set[str] = set()
        waiting = list(roots)
        while waiting:
            package_id = waiting.pop()
            if package_id in seen:
                continue
            seen.add(package_id)
            waiting.extend(self.edges[package_id])
            if dev:
                waiting.extend(self.dev_edges[package_id])
        return seen

    def path(self, root: str, goal: str) -> str:
        """One shortest chain of dependencies from `root` to `goal`, to be read by people."""
        came_from: dict[str, str | None] = {root: None}
        waiting = [root]
        for package_id in waiting:  # grows while it is walked: breadth first
            for dependency in sorted(self.edges[package_id] | self.dev_edges[package_id]):
                if dependency not in came_from:
                    came_from[dependency] = package_id
                    waiting.append(dependency)
        chain: list[str] = []
        step: str | None = goal
        while step is not None:
            chain.append(self.packages[step].name)
            step = came_from.get(step)
        return " -> ".join(reversed(chain))


def read_graph(metadata: Iterable[dict[str, Any]]) -> Graph:
    """The union of the graphs that `cargo metadata` gave for several platforms."""
    graph = Graph(packages={}, members=[])
    for document in metadata:
        for package in document["packages"]:
            graph.packages[package["id"]] = Package(
                package["id"], package["name"], package["version"], package["license"]
            )
        graph.members = document["workspace_members"]
        for node in document["resolve"]["nodes"]:
            for dependency in node["deps"]:
                kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
                edges = graph.dev_edges if kinds == {"dev"} else graph.edges
                edges[node["id"]].add(dependency["pkg"])
        for package in document["packages"]:
            if package["id"] in graph.members:
                named = {d["name"] for d in package["dependencies"] if d["kind"] != "dev"}
                graph.direct[package["name"]] |= named
    return graph


def cargo_metadata(target: str) -> dict[str, Any]:
    """`cargo metadata` with every feature, as the platform `target` resolves it."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features"]
    command.append(f"--filter-platform={target}")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("error: cargo metadata failed, see above")
    return json.loads(done.stdout)


def layering(graph: Graph) -> Iterator[str]:
    """Violations of the rules between our own crates."""
    core = graph.member(CORE)
    for package_id in sorted(graph.reachable([core])):
        if graph.packages[package_id].name in NOT_IN_CORE:
            yield f"{CORE} must not depend on {graph.packages[package_id]}: {graph.path(core, package_id)}"
    for crate in SIBLINGS:
        graph.member(crate)  # a renamed crate must not slip out of the rule
        for sibling in sorted(graph.direct[crate] & set(SIBLINGS)):
            yield f"{crate} must not depend on its sibling {sibling}"


def banned(graph: Graph, config: Config) -> Iterator[str]:
    """Crates that `bans.deny` names."""
    reasons = {entry["crate"]: entry.get("reason", "") for entry in config["bans"]["deny"]}
    everything = graph.reachable(graph.members, dev=True)
    for package_id in sorted(everything):
        package = graph.packages[package_id]
        if package.name in reasons:
            root = next(m for m in graph.members if package_id in graph.reachable([m], dev=True))
            yield f"{package} is banned ({reasons[package.name]}): {graph.path(root, package_id)}"


def duplicates(graph: Graph, config: Config) -> Iterator[str]:
    """Crates with several versions in the product, beyond what `bans.skip` explains."""
    versions: dict[str, set[str]] = defaultdict(set)
    for package_id in graph.reachable(graph.members):
        versions[graph.packages[package_id].name].add(graph.packages[package_id].version)
    skipped: dict[str, list[str]] = defaultdict(list)
    for entry in config["bans"].get("skip", []):
        name, _, requirement = entry["crate"].partition("@")
        if not entry.get("reason"):
            yield f"deny.toml: skip of {entry['crate']} gives no reason"
        skipped[name].append(requirement)
    for name in sorted(versions):
        left = {v for v in versions[name] if not any(covers(r, v) for r in skipped[name])}
        if len(left) > 1:
            yield f"{name} is there in {len(left)} versions ({', '.join(sorted(left))}); see `cargo tree -i {name}@VERSION`"
    for name, requirements in sorted(skipped.items()):
        for requirement in requirements:
            hit = any(covers(requirement, version) for version in versions[name])
            if not hit or len(versions[name]) < 2:
                yield f"deny.toml: skip of {name}@{requirement} is no longer needed"


def covers(requirement: str, version: str) -> bool:
    """Whether `0.9` (or `0.9.1`, `=0.9.1`; empty for any) covers `version`, member by member."""
    wanted = requirement.removeprefix("=")
    return wanted == "" or version == wanted or version.startswith(wanted + ".")


def licences(graph: Graph, config: Config) -> Iterator[str]:
    """Packages whose licence the allow-list does not satisfy."""
    allowed = set(config["licenses"]["allow"])
    exceptions = {entry["crate"]: set(entry["allow"]) for entry in config["licenses"].get("exceptions", [])}
    for package_id in sorted(graph.reachable(graph.members, dev=True)):
        package = graph.packages[package_id]
        if package.licence is None:
            yield f"{package} states no licence"
            continue
        permitted = allowed | exceptions.get(package.name, set())
        try:
            accepted = licence_allowed(package.licence, permitted.__contains__)
        except ValueError as error:
            yield f"{package}: {error}"
            continue
        if not accepted:
            yield f"{package} has the licence {package.licence}, which is not on the list in deny.toml"


def licence_allowed(expression: str, allowed: Callable[[str], bool]) -> bool:
    """Whether the SPDX expression (SPDX 2.3, annex D) can be satisfied with allowed licences.

    `/` stands for OR, as in old manifests. `WITH` belongs to the licence before it.
    Raises ValueError when the expression is malformed.
    """
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)
    tokens = ["OR" if token == "/" else token for token in tokens]
    position = 0

    def next_is(word: str) -> bool:
        return position < len(tokens) and tokens[position] == word

    def take() -> str:
        nonlocal position
        if position == len(tokens):
            raise ValueError(f"{expression!r} is not an SPDX expression")
        position += 1
        return tokens[position - 1]

    def either() -> bool:
        result = both()
        while next_is("OR"):
            take()
            result = both() or result
        return result

    def both() -> bool:
        result = one()
        while next_is("AND"):
            take()
            result = one() and result
        return result

    def one() -> bool:
        name = take()
        if name == "(":
            result = either()
            if take() != ")":
                raise ValueError(f"{expression!r} is not an SPDX expression")
            return result
        if name in (")", "AND", "OR", "WITH"):
            raise ValueError(f"{expression!r} is not an SPDX expression")
        if next_is("WITH"):
            take()
            name = f"{name} WITH {take()}"
        return allowed(name)

    result = either()
    if position != len(tokens):
        raise ValueError(f"{expression!r} is not an SPDX expression")
    return result


def violations(graph: Graph, config: Config) -> list[str]:
    """Everything that is wrong, in a stable order."""
    checks = (layering(graph), banned(graph, config), duplicates(graph, config), licences(graph, config))
    return [line for check in checks for line in check]


def main() -> int:
    config = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
    graph = read_graph(cargo_metadata(target) for target in config["graph"]["targets"])
    found = violations(graph, config)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not found:
        product = len(graph.reachable(graph.members))
        everything = len(graph.reachable(graph.members, dev=True))
        print(f"{product} crates in the product, {everything} with tests and benches: all in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
