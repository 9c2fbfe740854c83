"""The buttons that steer a run follow the declaration of the commands."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from core.spec.commands import COMMANDS
from core.spec.events import STATES, Status
from core.spec.specs import preset
from core.store import Store
from pages.train import steer
from tests.pages.fake_engine import FakeEngine


@pytest.mark.parametrize("state", STATES)
def test_a_button_is_enabled_where_its_command_acts(
    state: str, store: Store, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, bool] = {}

    def button(_label: str, *, key: str, disabled: bool = False, **_more: Any) -> None:
        drawn[key.removeprefix("steer.")] = not disabled

    monkeypatch.setattr(steer.st, "button", button)
    monkeypatch.setattr(steer.st, "container", lambda **_more: contextlib.nullcontext())
    run = store.create(preset("mlp", "digits"))
    fake.put(run, state, 3)
    steer.buttons(None, run)
    status = Status(state, 3, 600)
    assert not drawn.pop("start") and {"step", "stop"} < set(drawn) and len(drawn) == 3
    assert drawn == {name: COMMANDS[name].offers(status) for name in drawn}
    hidden = ({"pause", "resume"} - set(drawn)).pop()
    assert not COMMANDS[hidden].offers(status), "what would act is there to be pressed"
