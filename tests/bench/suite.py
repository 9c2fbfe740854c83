"""What each test costs: seconds of processor time, its child processes' included.

`python -m tests.bench.suite [--write] [pytest's arguments]` runs the tests without a browser and prints the
dearest ones. --write adds cases to tests/dear_cases.txt, which `make test` leaves to `make test-all`: those that took
longer than LIMIT and of whose test a cheaper case stays.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DEAR

LIMIT = 0.2  # seconds
FOLDER = "LAYERLAB_TEST_COSTS"
costs: dict[str, float] = {}


def _spent() -> float:
    """Of this process and of those of its children that have ended, in seconds."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure a test with its fixtures; what several share counts for the first one."""
    before = _spent()
    done = yield
    costs[item.nodeid] = _spent() - before
    return done


def pytest_sessionfinish() -> None:
    """Each of the pytest processes writes its own file."""
    (Path(os.environ[FOLDER]) / f"{os.getpid()}.json").write_text(json.dumps(costs))


def dear_cases(spent: dict[str, float]) -> list[str]:
    """Cases over the limit; of each test the cheapest case is none of them."""
    tests: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for case, seconds in spent.items():
        if "[" in case:
            tests[case.partition("[")[0]].append((seconds, case))
    return sorted(case for cases in tests.values() for seconds, case in sorted(cases)[1:] if seconds > LIMIT)


def main(arguments: list[str]) -> int:
    """Run, print, write."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        rest = [one for one in arguments if one != "--write"]
        code = pytest.main(
            ["-p", "tests.bench.suite", "-n", "2", "-q", "-m", "not slow and not gpu and not browser", *rest]
        )
        spent: dict[str, float] = {}
        for file in Path(folder).iterdir():
            spent |= json.loads(file.read_text())
    print(f"{sum(spent.values()):.0f} s for {len(spent)} tests")
    for case in sorted(spent, key=lambda case: -spent[case])[:100]:
        print(f"{spent[case]:6.1f} {case}")
    if "--write" in arguments:
        known = set(DEAR.read_text().splitlines())
        DEAR.write_text("".join(f"{case}\n" for case in sorted(known | set(dear_cases(spent)))))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
