"""The command line: the same requests as the pages', without a browser.

Commands are named by address: what one of them needs is imported after the arguments have been understood.

With --json each command prints exactly one JSON object on stdout. A mistake is one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.catalog.trials import TRIALS
from core.cli.output import Failure, Mistake, say
from core.engine.protocol import EngineError
from core.spec import registry
from core.spec.commands import COMMANDS, OFFERED
from core.spec.options import SpecError
from core.spec.questions import PREDICTED
from core.spec.quoting import one_line, quoted, shown
from core.spec.registry import CatalogError
from core.spec.sentences import Sentence, _
from core.store import StoreError

MAY_BE_EMPTY = ("layer", "name")  # where it means that nothing is chosen


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(Sentence("{message} (see {prog} --help)", message=one_line(message, 400), prog=self.prog))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 the run failed, 2 a mistake, 130 interrupted."""
    try:
        asked = parser().parse_args(argv)
        _nothing_empty(asked)
        if getattr(asked, "data_dir", None):
            os.environ["LAYERLAB_DATA"] = str(Path(asked.data_dir).resolve())
        code: int = registry.load(f"core.cli.{asked.do}")(asked)
        return code
    except (Mistake, SpecError, StoreError, CatalogError, EngineError) as error:
        told = str(error)
        told = told if isinstance(told, Sentence) else one_line(told)
        say(Sentence("layerlab: {told}", told=told), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 (whatever it is, nobody at a terminal is helped by a traceback)
        from core.store.engine_files import keep_failure

        file = keep_failure("".join(traceback.format_exception(error)))
        cause: str = one_line(error, 200)
        if not isinstance(error, Failure):  # that one names it already
            cause = Sentence("{name}: {error}", name=type(error).__name__, error=cause)
        told = Sentence("something went wrong, and it is our fault: {error}", error=cause)
        more = Sentence("Details are in {file}; please send them with a report.", file=quoted(file, 200))
        say(Sentence("layerlab: {told}. {more}", told=told, more=more), file=sys.stderr)
        return 1


def _nothing_empty(asked: argparse.Namespace) -> None:
    """A flag with an empty value would count as one that was left out, and what it was to change would stand."""
    for name, value in vars(asked).items():
        if value == "" and name not in MAY_BE_EMPTY:
            raise Mistake(Sentence("{name} needs a value, and was given an empty one", name=name.replace("_", "-")))


def parser() -> argparse.ArgumentParser:
    """Every command with its flags."""
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print exactly one JSON object")
    shared.add_argument("--runs", metavar="DIR", help="the runs folder (default: $LAYERLAB_RUNS, ~/.layerlab/runs)")
    shared.add_argument("--data-dir", metavar="DIR", help="the data folder (default: $LAYERLAB_DATA, ~/.layerlab/data)")
    top = _Parser(prog="layerlab", description=_("Build small networks, watch them learn, ask them why."))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, file: str, help: str) -> _Parser:
        one = commands.add_parser(name, parents=[shared], help=help, description=help)
        one.set_defaults(do=f"{file}:do_{name}")
        return one

    one = add("describe", "runs", _("a model's layers, parameters and problems"))
    _chooses_model(one)
    one.add_argument("--classes", type=_some, metavar="K")
    one.add_argument("--input", metavar="C,H,W")
    one = add("train", "runs", _("train a model and wait for it"))
    _chooses_model(one)
    one.add_argument("--experiment", metavar="FILE.json")
    one.add_argument("--resume", metavar="RUN")
    one.add_argument("--steps", type=int)
    one.add_argument("--epochs", type=int)
    one.add_argument("--seed", type=int)
    one.add_argument("--threads", type=_count, help="CPU threads (default: all for a lone run)")
    one.add_argument("--name", default="")
    one.add_argument("--prompt", metavar="TEXT", help="a language model then goes on from this text")
    typed = ", ".join(f"{verb.name} {verb.example}".strip() for verb in COMMANDS.values() if verb.offered)
    _steers(add("control", "runs", Sentence("steer a run: {typed}", typed=typed)))
    add("runs", "runs", _("every run"))
    add("delete", "runs", "delete a run for good, also a damaged one").add_argument("run")
    one = add("look", "why", _("look inside a run: one view of one sample, at any moment of its training"))
    one.add_argument("--view", required=True, metavar="NAME", help=_Named("one of", registry.VIEWS))
    one.add_argument("--prompt", metavar="TEXT", help="what the view writing goes on from")
    _chooses_sample(one, "view")
    one = add("explain", "why", _("ask why a run's network answers as it does"))
    one.add_argument("--method", required=True, metavar="NAME", help=_Named("list, or one of", registry.METHODS))
    one.add_argument(
        "--target",
        default=PREDICTED,
        metavar="K",
        help="predicted, true, a class K, or a difference K-J; with @STEP where every step is answered",
    )
    one.add_argument("--seed", type=int, default=0)
    one.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="the mean map over N seeds and how much they differ, for a method that draws at random",
    )
    one.add_argument(
        "--script",
        metavar="FILE.py",
        help="a program that makes the map again with plain Captum; attribution.npz is written beside it",
    )
    _chooses_sample(one, "method")
    _scores(add("score", "why", _("how well the methods find evidence that is known")))
    add("doctor", "machine", _("what this machine offers"))
    one = add("bench", "machine", _("our trainer beside a bare loop, and beside any installed peer"))
    one.add_argument("--quick", action="store_true", help="fewer pairs: a look, not a claim")
    one.add_argument("--case", action="append", metavar="NAME", help="only this case (may be repeated)")
    one = add("engine", "machine", _("run the engine as a service: it outlives the web process"))
    one.add_argument("--slots", type=_count, default=0, help="runs at once (default: one per core)")
    return top


class _Named(str):
    """A help text that names a catalog's entries; the catalog is read only where the help is shown."""

    def __new__(cls, words: str, known: registry.Registry) -> _Named:
        made = super().__new__(cls, words)
        made._known = known
        return made

    _known: registry.Registry

    def __mod__(self, _values: object) -> str:  # how argparse writes a help text
        return f"{self} {', '.join(self._known.names())}"


def _number(text: str, least: int, expected: str) -> int:
    if not (text.isdecimal() and len(text) < 19 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {shown(text)}")
    return int(text)


def _count(text: str) -> int:
    """A number of things, 0 for the default; less than none would be taken for a wish and never be met."""
    return _number(text, 0, _("a whole number, 1 or more (0: the default)"))


def _some(text: str) -> int:
    """A number of things of which there must be one: 0 would be taken for a flag that was not set."""
    return _number(text, 1, _("a whole number, 1 or more"))


def _place(text: str) -> int:
    """A place in a row that is counted from 0."""
    return _number(text, 0, _("a whole number, 0 or more"))


def _steers(one: _Parser) -> None:
    one.formatter_class = argparse.RawDescriptionHelpFormatter
    one.epilog = "\n".join(["commands:", *(f"  {name:8}{COMMANDS[name].help}" for name in OFFERED)])
    one.add_argument("run")
    one.add_argument("verb", choices=OFFERED)
    one.add_argument("values", nargs="*", metavar="NAME=VALUE")


def _scores(one: _Parser) -> None:
    trials = ", ".join(trial.name for trial in TRIALS)
    one.add_argument("--quick", action="store_true", help="fewer seeds, steps and samples: a look, not a claim")
    one.add_argument("--seeds", type=int, metavar="N", help="networks of each trial (default 5, quick 2)")
    one.add_argument("--data", nargs="+", default=[], metavar="NAME", help=f"only these of {trials}")
    one.add_argument("--run", metavar="RUN", help="score this run's own network, on data of these kinds")
    one.add_argument("--out", metavar="FILE.csv", help="where to write the table: one line a map")


def _chooses_sample(one: _Parser, what: str) -> None:
    one.add_argument("run")
    one.add_argument("--sample", type=_place, default=0, metavar="I", help="of the test set")
    one.add_argument("--layer", default="", metavar="NAME", help=f"for a {what} that has one to choose")
    one.add_argument("--step", type=_place, metavar="S", help="default: the newest whose weights are kept")
    one.add_argument("--set", action="append", default=[], nargs="+", metavar="OPTION=VALUE", help=f"of the {what}")
    one.add_argument("--out", metavar="FILE.npz", help="where to write the arrays")


def _chooses_model(one: _Parser) -> None:
    one.add_argument("--preset", metavar="NAME", help=_Named("one of", registry.ARCHITECTURES))
    one.add_argument("--model", metavar="FILE.json")
    one.add_argument("--data", metavar="NAME", help=_Named("one of", registry.DATASETS))
    one.add_argument(
        "--set",
        action="append",
        default=[],
        nargs="+",
        metavar="PART.NAME=VALUE",
        help="data.size=8 model.positions=none train.lr=0.01 …",
    )
