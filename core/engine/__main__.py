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

from core.engine.forking import end_fork_server
from core.engine.handles import raise_limit
from core.engine.local import LocalEngine
from core.engine.server import Server
from core.engine.startup import HELD
from core.engine.wire import VERSION
from core.store.addresses import Address, new_address, publish, read_address, withdraw
from core.store.engine_files import hold_runs, lock_stamp, log_to, short_temporary_folder
from core.store.files import StoreError, runs_home

log = logging.getLogger("core.engine")
LOOK = 0.5  # seconds between two looks at whether the folder is still ours
END = 5.0  # seconds after which an engine that was told to end does so whatever hangs


def main(arguments: list[str] | None = None) -> int:
    """Hold the runs folder and serve it until a signal, or the end of stdin, says stop. Exit code 3: held already.

    StoreError in words where it cannot begin. It ends by itself when its folder is taken away or held by another.
    """
    args = _parser().parse_args(arguments)
    raise_limit()
    short_temporary_folder()
    runs = args.runs.resolve()
    log_to("engine")
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    if args.watch_stdin:
        threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    while not stop.is_set():
        lock = hold_runs(runs)
        if lock is None:
            print(f"Another engine holds {runs}; join it.", flush=True)  # noqa: T201 (what a caller reads)
            return HELD
        try:
            _serve(args, runs, stop)
        finally:
            lock.release()
    end_fork_server()
    log.info("engine %d ended", os.getpid())
    return 0


def _serve(args: argparse.Namespace, runs: Path, stop: threading.Event) -> None:
    """Until told to stop, or until the folder is taken away: what is there then is held anew."""
    held = lock_stamp(runs)
    engine = LocalEngine(runs, slots=args.slots, lone_threads=args.lone_threads, worker=args.worker)
    server = None
    try:
        server = Server(engine, new_address(runs, VERSION))
        publish(server.address)
        log.info("engine %d holds %s", os.getpid(), runs)
        if args.watch_stdin:  # who started us hears that all is well: from now on stdout is the workers' log
            os.dup2(2, 1)
        while not stop.wait(LOOK):
            if lock_stamp(runs) != held:
                log.warning("%s was taken away, or another one put in its place", runs)
                break
            if not _published(runs, server.address):
                with suppress(StoreError, OSError):  # no space for it: the next look tries again
                    server.listen(new_address(runs, VERSION))
                    publish(server.address)
    finally:
        anyway = threading.Timer(END, _end_anyway)
        anyway.daemon = True
        anyway.start()
        if server:
            withdraw(server.address)
            server.close()
        engine.close()
        anyway.cancel()


def _published(runs: Path, address: Address) -> bool:
    """Can we be found? Whoever clears temporary folders may have removed the address, or the socket."""
    found = read_address(runs)
    return found is not None and found.key == address.key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m core.engine", description=__doc__)
    parser.add_argument("--runs", type=Path, default=runs_home(), help="the folder of runs (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=0, help="runs that train at the same time (default: CPU cores)")
    parser.add_argument("--lone-threads", type=int, default=0, help="CPU threads of a run alone (default: CPU cores)")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin does")
    parser.add_argument("--worker", default="core.worker.process", help=argparse.SUPPRESS)
    return parser


def _end_anyway() -> None:
    """Nothing that hangs may keep an engine that was told to end."""
    log.warning("engine %d did not end in time and leaves", os.getpid())
    os._exit(1)


def _watch_stdin(stop: threading.Event) -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()


if __name__ == "__main__":
    try:
        code = main()
    except (StoreError, OSError) as error:
        print(error, flush=True)  # noqa: T201 (what whoever started us tells)
        code = 2
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)  # nothing is left to do, and no thread may keep us
