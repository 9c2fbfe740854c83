"""What a page says and does while there is no engine, and what the door keeps of visitors who have left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.engine.handles import held, raise_limit
from core.engine.protocol import EngineFailed, EngineSilent
from core.spec import specs
from core.spec.events import RUNNING
from core.store import Store
from pages import sessions
from pages.kit import engine as doors
from pages.kit import trouble
from tests.pages.addresses import PAGES
from tests.pages.conftest import button, said
from tests.pages.fake_engine import FakeEngine, finished

Visit = Callable[..., AppTest]
DIGITS = specs.preset("cnn", "digits")
FULL = EngineFailed("The engine could not begin: <b>no</b> space.", again=False)


@pytest.fixture
def broken(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Exception], None]]:
    """Have the engine be like this for every call and for the door."""

    def there(error: Exception) -> Callable[[], None]:
        def fails() -> None:
            raise error

        return fails

    def be(error: Exception) -> None:
        monkeypatch.setattr(fake, "_there", there(error))
        monkeypatch.setattr(doors, "trouble", lambda: error)

    yield be


def test_pressing_start_without_an_engine_says_why_at_the_top_and_offers_to_try_again(
    visit: Visit, broken: Callable[[Exception], None], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(FULL)
    pressed: list[int] = []
    monkeypatch.setattr(doors, "try_again", lambda: pressed.append(1))
    at = visit("home")
    button(at, "Train your first network").click().run()
    (error,) = at.error
    assert "no\\</b\\> space" in error.value  # letter by letter
    assert "What you pressed was not done" in error.value
    assert "tried again by itself" not in error.value
    assert store.runs() == []
    button(at, "Try again").click().run()
    assert pressed == [1]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_stands_and_says_that_the_engine_hangs(
    visit: Visit, broken: Callable[[Exception], None], fake: FakeEngine, store: Store, page: str
) -> None:
    run = finished(store, DIGITS)
    fake.put(run, RUNNING, 3)
    broken(EngineSilent(4.0, 123, "What to do."))
    at = visit(page, run=run.id)
    assert len(at.warning) == 1
    assert "process 123" in said(at)
    assert not at.error
    if page != "home":
        assert at.selectbox(key="run_bar.run").value == run.id
    if page == "train":
        assert not at.button(key="steer.stop").disabled  # its folder says that it trains: it can be stopped


def test_a_run_is_deleted_without_an_engine_where_none_can_begin(
    broken: Callable[[Exception], None], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(store, DIGITS)
    broken(FULL)
    again: list[int] = []
    monkeypatch.setattr(doors, "try_again", lambda: again.append(1))
    doors.delete(run.id)
    assert store.runs() == []
    assert again  # there may be space now
    run = finished(store, DIGITS)
    broken(EngineSilent(4.0, 123))
    with pytest.raises(EngineSilent):  # one that hangs may hold it
        doors.delete(run.id)
    assert store.runs() == [run]


def test_what_a_page_met_is_told_once(visit: Visit, fake: FakeEngine, store: Store) -> None:
    run = finished(store, DIGITS)
    fake.gone = True
    at = visit("train", run=run.id)
    assert "being started again" in said(at)
    fake.gone = False
    at.run()
    assert "being started again" not in said(at)
    assert trouble._MET not in at.session_state


# ── visitors who have left ───────────────────────────────────────────────────


class Visitors:
    """Streamlit's runtime, as far as the sessions need it."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        self.closed: list[str] = []

    def is_active_session(self, session: str) -> bool:
        return session in self.here

    def close_session(self, session: str) -> None:
        self.closed.append(session)


@pytest.fixture
def visitors(monkeypatch: pytest.MonkeyPatch) -> Visitors:
    made = Visitors()
    monkeypatch.setattr(sessions, "_seen", {})
    monkeypatch.setattr(sessions.Runtime, "exists", lambda: True)
    monkeypatch.setattr(sessions, "get_instance", lambda: made)
    return made


@pytest.mark.parametrize(("taken", "patience"), [(10, sessions.KEPT), (60, sessions.HURRIED)], ids=["room", "short"])
def test_the_session_of_a_closed_tab_is_closed_after_a_while(
    visitors: Visitors, monkeypatch: pytest.MonkeyPatch, taken: int, patience: float
) -> None:
    now = [1000.0]
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sessions, "held", lambda: taken)
    visitors.here = {"stays", "leaves"}
    sessions._seen.update(dict.fromkeys(visitors.here, now[0]))
    now[0] += 500
    sessions.close_left(100)
    visitors.here = {"stays"}
    now[0] += 0.9 * patience
    sessions.close_left(100)
    assert visitors.closed == []
    now[0] += 0.2 * patience
    sessions.close_left(100)
    assert visitors.closed == ["leaves"]
    sessions.close_left(100)
    assert visitors.closed == ["leaves"]


def test_as_many_handles_are_allowed_as_the_system_lets_us_have() -> None:
    resource = pytest.importorskip("resource")
    limit = raise_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limit == soft
    assert soft in (hard, 1 << 20)
    assert 0 < held() < soft
