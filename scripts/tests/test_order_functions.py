"""What order-functions.py reads from a run under valgrind."""

import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "order-functions.py"
_spec = importlib.util.spec_from_file_location("order_functions", SCRIPT)
order = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = order
_spec.loader.exec_module(order)

RUN = """\
version: 1
events: Ir

ob=(1) /usr/bin/mcphub
fl=(1) ???
fn=(1) _ZN6mcphub4main17h0E
0 7
cfn=(2) _ZN5serve3run17h1E
calls=2 0
0 500
+3 4

fn=(2)
0 30
cfn=(3) _ZN5serve3run17h1E'2
calls=1 0
* 20
fn=(3)
-2 5
totals: 546
"""


class Functions(unittest.TestCase):
    def costs(self, *runs: str) -> dict[str, int]:
        costs: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            for run in runs:
                out = Path(folder) / "callgrind"
                out.write_text(run, encoding="utf-8")
                order.functions(out, costs)
        return costs

    def test_a_function_costs_what_it_does_itself(self):
        self.assertEqual(self.costs(RUN), {"_ZN6mcphub4main17h0E": 11, "_ZN5serve3run17h1E": 35})

    def test_what_several_runs_cost_is_added(self):
        self.assertEqual(self.costs(RUN, RUN), {"_ZN6mcphub4main17h0E": 22, "_ZN5serve3run17h1E": 70})


if __name__ == "__main__":
    unittest.main()
