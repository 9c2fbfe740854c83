"""The engine's process: python -m core.engine --runs DIR."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from core.engine.client import HELD
from core.engine.local import LocalEngine
from core.engine.serving import Server
from core.engine.wire import VERSION
from core.store import StoreError
from core.store.addresses import new_address, publish, withdraw
from core.store.engine_files import hold_runs, log_to, runs_home

log = logging.getLogger("core.engine")


def main(arguments: list[str] | None = None) -> int:
    """Hold the runs folder and serve it until a signal, or the end of stdin, says stop. Exit code 3: held already."""
    args = _parser().parse_args(arguments)
    runs = args.runs.resolve()
    lock = hold_runs(runs)
    if lock is None:
        print(f"Another engine holds {runs}; join it.", flush=True)  # noqa: T201 (the one line that a caller reads)
        return HELD
    log_to("engine")
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    if args.watch_stdin:
        threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    address = new_address(runs, VERSION)
    engine = LocalEngine(runs, slots=args.slots, lone_threads=args.lone_threads, worker=args.worker)
    server = Server(engine, address)
    publish(server.address)
    log.info("engine %d holds %s", os.getpid(), runs)
    stop.wait()
    withdraw(server.address)
    server.close()
    engine.close()
    _end_fork_server()
    lock.release()
    log.info("engine %d ended", os.getpid())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m core.engine", description=__doc__)
    parser.add_argument("--runs", type=Path, default=runs_home(), help="the folder of runs (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=0, help="runs that train at the same time (default: CPU cores)")
    parser.add_argument("--lone-threads", type=int, default=0, help="CPU threads of a run alone (default: CPU cores)")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin does")
    parser.add_argument("--worker", default="core.worker", help=argparse.SUPPRESS)
    return parser


def _watch_stdin(stop: threading.Event) -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()


def _end_fork_server() -> None:
    """It ends by itself when we do, except while it still imports torch: a few seconds in which nobody wants it."""
    module = sys.modules.get("multiprocessing.forkserver")  # there only where it is in use
    pid = getattr(getattr(module, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    try:
        code = main()
    except StoreError as error:
        print(error, flush=True)  # noqa: T201 (the one line that a caller reads)
        code = 1
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)  # nothing is left to do, and no thread may keep us
