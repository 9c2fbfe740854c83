"""Resident memory of the web process: after every page was opened, and over a thousand reruns.

    python tests/load/web_memory.py [--reruns 1000] [--visitors 1]

Goals: at most 250 MB after every page, and flat: the last tenth of the reruns at most 3 % above the second tenth.
A run trains meanwhile. With more visitors, one after the other, Streamlit keeps each for two minutes after it has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

from core.engine.client import connect
from core.spec.specs import assign, preset
from tests.load.protocol import Server, Visitor, every_page, machine, served

MOST = 250e6
FLAT = 1.03


def main() -> int:
    """Print the readings; exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reruns", type=int, default=1000)
    parser.add_argument("--visitors", type=int, default=1)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, served(Path(home)) as server:
        engine = connect(Path(home) / "runs", start=False)
        run = engine.start(assign(preset("mlp", "digits"), {"train.steps": 1_000_000}), threads=1)
        good = asyncio.run(_measure(server, run, asked.reruns, asked.visitors))
        engine.close()
    return 0 if good else 1


async def _measure(server: Server, run: str, reruns: int, visitors: int) -> bool:
    web = psutil.Process(server.process.pid)
    print(f"started: {web.memory_info().rss / 1e6:.1f} MB")
    pages, query = every_page(), f"run={run}"
    async with Visitor(server) as visitor:
        for page in pages:
            seconds = await visitor.run(page, query)
            about = f"{page or 'home':16} {visitor.elements:3} elements, {1000 * seconds:4.0f} ms"
            print(f"{about}: {web.memory_info().rss / 1e6:.1f} MB")
    opened = web.memory_info().rss
    readings = await _rerun(server, web, itertools.cycle(pages), query, reruns, visitors)
    tenth = max(1, reruns // 10)
    for start in range(0, reruns, tenth):
        mean = statistics.mean(readings[start : start + tenth])
        print(f"reruns {start + 1:5} to {start + tenth:5}: {mean / 1e6:.1f} MB")
    early, late = statistics.mean(readings[tenth : 2 * tenth]), statistics.mean(readings[-tenth:])
    small, flat = opened <= MOST, late <= FLAT * early
    print(f"after every page {opened / 1e6:.1f} MB (goal: {MOST / 1e6:.0f}), {'reached' if small else 'MISSED'}")
    print(f"last tenth over second tenth {late / early:.3f} (goal: {FLAT}), {'reached' if flat else 'MISSED'}")
    return small and flat


async def _rerun(
    server: Server, web: psutil.Process, pages: itertools.cycle[str], query: str, reruns: int, visitors: int
) -> list[float]:
    readings = []
    for _visitor in range(visitors):
        async with Visitor(server) as visitor:
            for i in range(reruns // visitors):
                await visitor.run(next(pages), query)
                if i % 2:
                    visitor.move_a_slider(i % 11 / 10)
                readings.append(float(web.memory_info().rss))
    return readings


if __name__ == "__main__":
    sys.exit(main())
