"""Each rule of check-dependencies.py, shown to find what it looks for."""

import importlib.util
import sys
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "check-dependencies.py"
_spec = importlib.util.spec_from_file_location("check_dependencies", SCRIPT)
check = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = check
_spec.loader.exec_module(check)


def metadata(*crates: dict) -> dict:
    """What `cargo metadata` says of `crates`; ids are `name@version`, the mcphub crates are the workspace."""
    return {
        "packages": [
            {
                "id": crate["id"],
                "name": crate["id"].partition("@")[0],
                "version": crate["id"].partition("@")[2],
                "license": crate.get("licence", "MIT"),
                "dependencies": [
                    {"name": target.partition("@")[0], "kind": kind} for target, kind in crate.get("uses", {}).items()
                ],
            }
            for crate in crates
        ],
        "workspace_members": [crate["id"] for crate in crates if crate["id"].startswith("mcphub-")],
        "resolve": {
            "nodes": [
                {
                    "id": crate["id"],
                    "deps": [
                        {"pkg": target, "dep_kinds": [{"kind": kind}]} for target, kind in crate.get("uses", {}).items()
                    ],
                }
                for crate in crates
            ]
        },
    }


def workspace(*crates: dict) -> dict:
    """The five crates of the workspace, replaced or joined by `crates`."""
    names = (check.CORE, *check.SIBLINGS)
    merged = {f"{name}@0.1.0": {"id": f"{name}@0.1.0"} for name in names}
    merged.update({crate["id"]: crate for crate in crates})
    return metadata(*merged.values())


def config(*, allow=("MIT",), deny=(), skip=()) -> dict:
    return {
        "licenses": {"allow": list(allow)},
        "bans": {
            "deny": [{"crate": name, "reason": "of the test"} for name in deny],
            "skip": [{"crate": name, "reason": "of the test"} for name in skip],
        },
    }


def violations(document: dict, **lists) -> list[str]:
    return check.violations(check.read_graph([document]), config(**lists))


class Layering(unittest.TestCase):
    def test_a_clean_workspace_has_no_violation(self):
        core = {"id": "mcphub-core@0.1.0", "uses": {"serde@1.0.0": None}}
        self.assertEqual(violations(workspace(core, {"id": "serde@1.0.0"})), [])

    def test_a_runtime_in_the_core_is_found_through_other_crates(self):
        found = violations(
            workspace(
                {"id": "mcphub-core@0.1.0", "uses": {"middle@1.0.0": None}},
                {"id": "middle@1.0.0", "uses": {"tokio@1.0.0": None}},
                {"id": "tokio@1.0.0"},
            )
        )
        self.assertEqual(found, ["mcphub-core must not depend on tokio 1.0.0: mcphub-core -> middle -> tokio"])

    def test_the_core_s_tests_may_use_a_runtime(self):
        core = {"id": "mcphub-core@0.1.0", "uses": {"tokio@1.0.0": "dev"}}
        self.assertEqual(violations(workspace(core, {"id": "tokio@1.0.0"})), [])

    def test_a_sibling_may_be_used_in_tests_only(self):
        gateway = "mcphub-gateway@0.1.0"
        store = "mcphub-store@0.1.0"
        self.assertEqual(violations(workspace({"id": gateway, "uses": {store: "dev"}})), [])
        self.assertEqual(
            violations(workspace({"id": gateway, "uses": {store: None}})),
            ["mcphub-gateway must not depend on its sibling mcphub-store"],
        )

    def test_a_renamed_crate_does_not_slip_out_of_the_rules(self):
        with self.assertRaises(SystemExit):
            violations(metadata({"id": "mcphub-core@0.1.0"}))


class Lists(unittest.TestCase):
    def test_a_banned_crate_is_found_in_tests_too(self):
        store = {"id": "mcphub-store@0.1.0", "uses": {"openssl@0.10.0": "dev"}}
        found = violations(workspace(store, {"id": "openssl@0.10.0"}), deny=["openssl"])
        self.assertEqual(found, ["openssl 0.10.0 is banned (of the test): mcphub-store -> openssl"])

    def duplicated(self, kind):
        store = {"id": "mcphub-store@0.1.0", "uses": {"syn@1.0.9": kind, "syn@2.0.1": None}}
        return workspace(store, {"id": "syn@1.0.9"}, {"id": "syn@2.0.1"})

    def test_two_versions_of_a_crate_need_an_entry(self):
        self.assertEqual(len(violations(self.duplicated(None))), 1)
        self.assertEqual(violations(self.duplicated(None), skip=["syn@1"]), [])

    def test_two_versions_are_fine_in_tests(self):
        self.assertEqual(violations(self.duplicated("dev")), [])

    def test_an_entry_that_is_no_longer_needed_is_found(self):
        found = violations(workspace(), skip=["syn@1"])
        self.assertEqual(found, ["deny.toml: skip of syn@1 is no longer needed"])

    def test_an_entry_needs_a_reason(self):
        lists = config()
        lists["bans"]["skip"] = [{"crate": "syn@1"}]
        found = check.violations(check.read_graph([self.duplicated(None)]), lists)
        self.assertEqual(found, ["deny.toml: skip of syn@1 gives no reason"])

    def test_a_version_is_covered_member_by_member(self):
        self.assertTrue(check.covers("0.1", "0.1.6"))
        self.assertFalse(check.covers("0.1", "0.10.4"))

    def test_a_licence_must_be_on_the_list(self):
        self.assertEqual(len(violations(workspace({"id": "mcphub-store@0.1.0", "licence": "GPL-3.0"}))), 1)
        self.assertEqual(len(violations(workspace({"id": "mcphub-store@0.1.0", "licence": None}))), 1)


class Licences(unittest.TestCase):
    def allowed(self, expression):
        return check.licence_allowed(expression, {"MIT", "ISC", "Apache-2.0 WITH LLVM-exception"}.__contains__)

    def test_or_needs_one_side_and_and_needs_both(self):
        self.assertTrue(self.allowed("GPL-3.0 OR MIT"))
        self.assertTrue(self.allowed("MIT AND ISC"))
        self.assertFalse(self.allowed("MIT AND GPL-3.0"))

    def test_and_binds_tighter_than_or(self):
        self.assertTrue(self.allowed("MIT OR GPL-3.0 AND AGPL-3.0"))
        self.assertFalse(self.allowed("(MIT OR GPL-3.0) AND AGPL-3.0"))

    def test_with_belongs_to_the_licence_before_it(self):
        self.assertTrue(self.allowed("Apache-2.0 WITH LLVM-exception"))
        self.assertFalse(self.allowed("Apache-2.0"))

    def test_a_slash_is_an_or(self):
        self.assertTrue(self.allowed("GPL-3.0/MIT"))

    def test_what_is_no_expression_is_an_error(self):
        for expression in ("", "MIT AND", "(MIT", "MIT)", "MIT ISC", "OR MIT"):
            with self.subTest(expression), self.assertRaises(ValueError):
                self.allowed(expression)


if __name__ == "__main__":
    unittest.main()
