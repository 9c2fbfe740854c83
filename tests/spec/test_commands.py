"""The declaration of every command: whole, and what the worker has for it."""

from __future__ import annotations

import pytest

from core.engine.control import STEERED
from core.spec import registry
from core.spec.commands import COMMANDS, OFFERED, Verb, checked, refusal
from core.spec.events import ENDED, STATES, Command, Status
from core.spec.options import SpecError
from core.worker.session import RunSession


@pytest.mark.parametrize("verb", COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_declared_whole(verb: Verb) -> None:
    assert set(verb.offered) <= set(verb.taken) <= set(STATES)
    assert bool(verb.offered) == bool(verb.title) == bool(verb.help) == (verb.name in OFFERED)
    assert verb.values or not verb.example
    handler = registry.load(verb.handler)
    assert getattr(RunSession, handler.__name__) is handler and handler.__doc__
    assert handler.__code__.co_argcount == 2, "the session and the values"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", COMMANDS.values(), ids=COMMANDS)
def test_every_state_takes_it_or_says_in_words_why_not(verb: Verb, state: str) -> None:
    status = Status(state, 3, 9)
    why = refusal(status, Command(verb.name))
    assert (why == "") == (state in verb.taken)
    if why:
        assert "{" not in why and why.endswith(".") and state in why
    assert not verb.offers(status) or not why, "no button that is refused"
    assert verb.needs_steps <= (not verb.offers(Status(state, 9, 9)))


def test_what_the_engine_sees_to_itself_is_declared() -> None:
    assert set(STEERED) <= set(COMMANDS)


def test_a_command_without_values_takes_none() -> None:
    for name, verb in COMMANDS.items():
        if verb.values is None:
            with pytest.raises(SpecError, match=f"{name} takes no values"):
                checked(Command(name, {"lr": 1}))
    assert checked(Command("resume", {"steps": "12"})).values == {"steps": 12}
    assert refusal(Status("running"), Command("resume", {"steps": 12})).startswith("The run has not ended yet")
    assert all(refusal(Status(state), Command("resume", {"steps": 12})) == "" for state in ENDED)
