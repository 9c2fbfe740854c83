"""A drawing is answered while it is drawn; by mouse, finger, pen and keyboard; and what is no drawing is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from core.engine.live import decode_frame
from core.spec.drawings import SIDE, decode, encode
from core.store import Run
from tests.browser.conftest import FRAMES, Learned, Site, expect, settled
from tests.worker.look.conftest import ask
from tests.worker.look.test_draw import seven

pytestmark = pytest.mark.browser
SEVEN = [[(8, 6), (20, 6), (14, 23)], [(10, 15), (19, 15)]]  # strokes, in pixels of the picture


@pytest.fixture(scope="module")
def run(learned: Learned) -> Run:
    """A small CNN that knows its digits."""
    return learned("cnn", "digits")


@pytest.fixture
def pad(page: Any, run: Run) -> Any:
    """The page with its first answer."""
    page.goto(f"/look_inside-draw?run={run.id}&sample=3")
    answered(page, 0)
    return page


def record(page: Any) -> dict[str, Any]:
    return dict(page.evaluate("window.__layerlabDraw"))


def answered(page: Any, before: int) -> None:
    """Wait for an answer after the `before`th, and until none is under way."""
    page.wait_for_function(
        "before => { const r = window.__layerlabDraw; return r && r.answered > before && !r.inFlight }", arg=before
    )
    page.evaluate(FRAMES)


def rested(page: Any) -> None:
    """Wait until every stroke is answered and the address and the words under the pad have followed."""
    page.wait_for_function("window.__layerlabDraw.settled")
    settled(page)
    page.wait_for_function("window.__layerlabDraw.settled")  # what the script said may have been a question again


def place(page: Any, at: tuple[float, float]) -> tuple[float, float]:
    box = page.locator(".ld-pad").bounding_box()
    return box["x"] + at[0] * box["width"] / SIDE, box["y"] + at[1] * box["height"] / SIDE


def draw(page: Any, strokes: list[list[tuple[float, float]]]) -> None:
    """With the mouse; returns when the last stroke has been answered."""
    for first, *others in strokes:
        done = len(record(page)["strokes"])
        page.mouse.move(*place(page, first))
        page.mouse.down()
        for at in others:
            page.mouse.move(*place(page, at), steps=10)
        page.mouse.up()
        page.wait_for_function("done => window.__layerlabDraw.strokes.length > done", arg=done)


def headline(page: Any) -> str:
    """The class that the page names."""
    return str(page.locator(".ld-headline").inner_text()).split()[0]


def drawn(page: Any) -> str:
    """The drawing in the address."""
    return parse_qs(urlsplit(page.url).query).get("drawn", [""])[0]


def shares(page: Any) -> list[str]:
    return [str(text) for text in page.locator(".ld-bars td:last-child").all_inner_texts()]


def test_a_seven_is_drawn_answered_live_and_stands_after_a_reload(pad: Any, run: Run) -> None:
    before = record(pad)
    draw(pad, SEVEN)
    assert headline(pad) == "7"
    assert "The network says 7" in pad.locator(".ld-status").inner_text()
    after = record(pad)
    assert after["answered"] > before["answered"] + 2  # while the strokes went on, too
    assert after["mostInFlight"] == 1
    pad.wait_for_url(re.compile("drawn="))
    rested(pad)
    told = shares(pad)
    seen = ask(run, "draw", drawing=drawn(pad))
    assert seen.facts.predicted == "7"
    assert told[7] == pad.locator(".ld-first td:last-child").inner_text()
    assert abs(float(told[7].split()[0]) / 100 - seen.facts.confidence) < 0.006
    pad.get_by_text("hangs most on the pixel").wait_for()  # the words under the pad follow
    pad.reload()
    answered(pad, 0)
    rested(pad)
    assert (headline(pad), shares(pad)) == ("7", told)
    assert record(pad)["reruns"] <= 6


def test_clearing_gives_the_test_sample_back(pad: Any) -> None:
    first = shares(pad)
    draw(pad, SEVEN)
    pad.wait_for_url(re.compile("drawn="))
    pad.get_by_role("button", name="Clear", exact=True).click()
    pad.wait_for_function("!new URL(location).searchParams.has('drawn')")
    rested(pad)
    assert shares(pad) == first
    pad.get_by_text("What the network gets: test sample 3").wait_for()


@pytest.mark.slow
def test_erasing_and_undoing(pad: Any) -> None:
    draw(pad, SEVEN[:1])
    one = shares(pad)
    pad.get_by_role("button", name="Erase", exact=True).click()
    draw(pad, [[(8, 6), (20, 6)]])
    assert shares(pad) != one
    before = record(pad)["answered"]
    pad.get_by_role("button", name="Undo", exact=True).click()
    answered(pad, before)
    assert shares(pad) == one


def test_the_keyboard_alone_draws_a_seven(pad: Any) -> None:
    pad.locator(".ld-pad").focus()
    pad.keyboard.press("ArrowUp")
    for key, times in (("ArrowUp", 8), ("ArrowLeft", 6)):
        for _ in range(times):
            pad.keyboard.press(key)
    pad.keyboard.press("Space")
    for _ in range(12):
        pad.keyboard.press("ArrowRight")
    for i in range(16):
        pad.keyboard.press("ArrowDown")
        if i % 3 == 2:
            pad.keyboard.press("ArrowLeft")
    pad.keyboard.press("Space")
    for key, times in (("ArrowUp", 8), ("ArrowLeft", 3)):
        for _ in range(times):
            pad.keyboard.press(key)
    pad.keyboard.press("Space")
    for _ in range(9):
        pad.keyboard.press("ArrowRight")
    pad.wait_for_url(re.compile("drawn="))
    rested(pad)
    assert headline(pad) == "7"


@pytest.mark.slow
def test_a_test_sample_is_put_on_the_pad_and_moved(pad: Any, run: Run) -> None:
    shown = ask(run, "draw", sample=3).facts.shown
    pad.get_by_role("button", name="Put test sample 3 on the pad").click()
    pad.wait_for_url(re.compile("drawn="))
    rested(pad)
    sixteen = decode(encode(shown))
    np.testing.assert_array_equal(decode(drawn(pad)), sixteen)
    pad.locator(".ld-pad").focus()
    pad.keyboard.press("Shift+ArrowRight")
    pad.keyboard.press("Shift+ArrowRight")
    pad.keyboard.press("Shift+ArrowDown")
    rested(pad)
    moved = np.zeros_like(sixteen)
    moved[1:, 2:] = sixteen[:-1, :-2]
    np.testing.assert_array_equal(decode(drawn(pad)), moved)


@pytest.mark.slow
def test_the_layer_is_chosen_here_and_stands_in_the_address(pad: Any) -> None:
    pad.locator(".ld-draw select").select_option("conv2")
    pad.get_by_text("32 maps of 14×14").wait_for()
    pad.wait_for_url(re.compile("layer=conv2"))
    pad.reload()
    pad.get_by_text("32 maps of 14×14").wait_for()
    pad.locator(".ld-maps canvas").hover(position={"x": 30, "y": 30})
    assert pad.locator(".ld-tip").inner_text().startswith("map 0, row ")


@pytest.mark.slow_for("pen")
@pytest.mark.parametrize("kind", ["finger", "pen"])
def test_fingers_and_pens_draw(pad: Any, kind: str) -> None:
    """Through the browser's own input, so that capture, touch-action and pressure are the real ones."""
    wire = pad.context.new_cdp_session(pad)
    before = record(pad)["strokes"]
    for first, *others in SEVEN:
        at = place(pad, first)
        press(wire, kind, "down", at)
        for other in others:
            goal = place(pad, other)
            for part in np.linspace(0, 1, 8)[1:]:
                press(wire, kind, "move", (at[0] + part * (goal[0] - at[0]), at[1] + part * (goal[1] - at[1])))
            at = goal
        press(wire, kind, "up", at)
        pad.wait_for_function("n => window.__layerlabDraw.strokes.length > n", arg=len(before))
        before = record(pad)["strokes"]
    assert headline(pad) == "7"
    assert pad.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0


def press(wire: Any, kind: str, what: str, at: tuple[float, float]) -> None:
    """One event of a finger or a pen."""
    x, y = at
    if kind == "finger":
        name = {"down": "touchStart", "move": "touchMove", "up": "touchEnd"}[what]
        points = [] if what == "up" else [{"x": x, "y": y}]
        wire.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": points})
        return
    name = {"down": "mousePressed", "move": "mouseMoved", "up": "mouseReleased"}[what]
    held = {"button": "left", "buttons": 0 if what == "up" else 1, "clickCount": 1, "force": 0.5}
    wire.send("Input.dispatchMouseEvent", {"type": name, "x": x, "y": y, "pointerType": "pen", **held})


def test_the_pads_texts_are_ours(pad: Any) -> None:
    rng = np.random.default_rng(0)
    for picture in (rng.integers(0, 256, (SIDE, SIDE)).astype(np.uint8), seven(), np.zeros((SIDE, SIDE), np.uint8)):
        theirs = pad.evaluate(
            "async p => (await import('/layerlab/pad.js')).packed(Uint8Array.from(p))", picture.ravel().tolist()
        )
        np.testing.assert_array_equal(decode(theirs), decode(encode(picture)))
        back = pad.evaluate("async t => [...await (await import('/layerlab/pad.js')).unpacked(t)]", encode(picture))
        np.testing.assert_array_equal(np.array(back).reshape(SIDE, SIDE), decode(encode(picture)))


FIT = """async ([p, habit]) => {
  const { Ink } = await import('/layerlab/pad.js'), ink = new Ink();
  ink.put(Uint8Array.from(p));
  return [[...ink.raw()], [...ink.fitted(habit)]];
}"""


@pytest.mark.parametrize("box", [0.5, 20 / 28, 1.0])
def test_a_drawing_is_fitted_as_the_data_were_made(pad: Any, box: float) -> None:
    """Size and centre of mass, measured here anew; a picture on the pad is itself where nothing is fitted."""
    small = np.zeros((SIDE, SIDE), np.uint8)
    small[1:9, 2:6] = 255
    habit = {"box": box, "middle": [0.5, 0.5], "blur": 0.0}
    raw, fitted = (np.array(p).reshape(SIDE, SIDE) for p in pad.evaluate(FIT, [small.ravel().tolist(), habit]))
    np.testing.assert_array_equal(raw, small)
    rows = np.flatnonzero((fitted > 127).any(1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(box * SIDE, abs=1)
    share = fitted / fitted.sum()
    centre = [(share.sum(axis) * (np.arange(SIDE) + 0.5)).sum() for axis in (1, 0)]
    assert centre == pytest.approx([14, 14], abs=0.25)


def test_a_drawing_is_made_as_soft_as_the_data(pad: Any) -> None:
    edge = np.zeros((SIDE, SIDE), np.uint8)
    edge[:, :14] = 255
    habit = {"box": 1.0, "middle": [0.5, 0.25], "blur": 1.5 / SIDE}
    fitted = np.array(pad.evaluate(FIT, [edge.ravel().tolist(), habit])[1]).reshape(SIDE, SIDE)
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    soft = np.convolve(np.arange(SIDE) < 14, kernel / kernel.sum(), "same")
    np.testing.assert_allclose(fitted[14], 255 * soft / soft.max(), atol=1.5)


# ── the route ────────────────────────────────────────────────────────────────


@pytest.fixture
def look(site: Site) -> Iterator[ClientConnection]:
    """The door's /look, as a page holds it."""
    with knock(site) as socket:
        yield socket


def knock(site: Site, origin: str = "") -> ClientConnection:
    return connect(f"{site.url.replace('http', 'ws')}/look", origin=origin or site.url, max_size=None)  # type: ignore[arg-type]


def told(look: ClientConnection, message: Any) -> Any:
    look.send(message if isinstance(message, str | bytes) else json.dumps(message))
    answer = look.recv(timeout=30)
    return decode_frame(answer) if isinstance(answer, bytes) else json.loads(answer)


@pytest.mark.parametrize(("layer", "kind"), [("conv2", "feature_maps"), ("head", "vector")])
def test_the_route_tells_what_the_view_finds(look: ClientConnection, run: Run, layer: str, kind: str) -> None:
    text = encode(seven())
    frame = told(look, {"run": run.id, "layer": layer, "step": -1, "drawing": text})
    seen = ask(run, "draw", drawing=text, layer=layer)
    np.testing.assert_allclose(frame.arrays["answers"], seen.arrays["answers"], atol=1e-5)
    np.testing.assert_array_equal(frame.arrays["shown"], seven())
    steepest, (low, high) = frame.meta["steepest"], (frame.meta["low"], frame.meta["high"])
    assert steepest == pytest.approx(float(seen.arrays["saliency"].max()), rel=1e-4)
    np.testing.assert_allclose(frame.arrays["saliency"] / 255 * steepest, seen.arrays["saliency"], atol=steepest / 400)
    there = low + frame.arrays["view"] / 255 * (high - low)
    np.testing.assert_allclose(there, seen.arrays[layer], atol=(high - low) / 400)
    assert (frame.meta["view"], frame.meta["predicted"]) == (kind, seen.facts.predicted)
    assert frame.step == seen.step


HOSTILE = [
    "",
    "x",
    "null",
    "3",
    "[]",
    '"a"',
    "NaN",
    "[" * 4000,
    "{" * 4000,
    "x" * 100_000,
    "[1" + ",1" * 1_000_000 + "]",
    b"\x00\xff",
    b"{}",
    {},
    {"run": 5},
    {"run": "zz"},
    {"run": "0" * 32},
    {"run": "../../etc"},
    {"run": None},
    {"run": "\x00"},
    {"run": "\ud800"},
]
ABOUT_THE_RUN = [
    {"drawing": "x"},
    {"drawing": "A" * 3000},
    {"drawing": 7},
    {"layer": ["conv1"]},
    {"layer": {}},
    {"step": "now"},
    {"step": 1.5},
    {"step": True},
    {"sample": "3"},
    {"drawing": encode(seven())[:-6]},
    {"drawing": "é"},
]


def test_what_is_no_question_gets_a_sentence_and_the_next_one_an_answer(look: ClientConnection, run: Run) -> None:
    for message in [*HOSTILE, *({"run": run.id, **more} for more in ABOUT_THE_RUN)]:
        answer = told(look, message)
        assert set(answer) == {"error"}, message
        assert answer["error"].endswith((".", "them.")), answer
        assert len(answer["error"]) < 300
    for more in ({"step": 10**30}, {"step": -(10**9)}, {"sample": -5}, {"sample": 10**12}, {"layer": "x" * 500}):
        assert told(look, {"run": run.id, **more}).arrays["answers"].sum() == pytest.approx(1, abs=1e-4)


def test_another_site_may_not_ask(site: Site) -> None:
    with knock(site, "http://example.org") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_a_pad_that_is_refused_says_why(page: Any, site: Site, run: Run) -> None:
    page.route_web_socket(re.compile("/look$"), lambda socket: socket.close(code=4403))
    page.goto(f"/look_inside-draw?run={run.id}&sample=3")
    told = page.locator(".ld-draw").get_by_text("The server does not accept connections from pages at")
    expect(told).to_contain_text(f"--server.corsAllowedOrigins {site.url}")


def test_many_who_leave_in_the_middle_harm_nobody(site: Site, run: Run) -> None:
    question = json.dumps({"run": run.id, "drawing": encode(seven())})
    for _ in range(20):
        with knock(site) as socket:
            for _ in range(10):
                socket.send(question)
    with knock(site) as socket:
        assert told(socket, question).meta["predicted"] in "0123456789"


def test_the_pad_fits_a_phone_and_its_link_is_copied(pad: Any) -> None:
    """At 390 pixels nothing of the pad and its tools is cut off; a pressed “Copy link” says that it has copied."""
    pad.set_viewport_size({"width": 390, "height": 844})
    pad.wait_for_function("document.querySelector('.ld-pad').clientWidth < 334")
    room = pad.locator(".ld-draw").bounding_box()
    for part in (".ld-pad", ".ld-tools", ".ld-middle", ".ld-right"):
        box = pad.locator(part).first.bounding_box()
        assert room["x"] - 1 <= box["x"] and box["x"] + box["width"] <= room["x"] + room["width"] + 1 <= 391, part
    maps, below = pad.locator(".ld-right").bounding_box(), pad.get_by_text("PyTorch", exact=True).bounding_box()
    assert maps["y"] + maps["height"] <= below["y"]  # all of it stands above what comes next
    pad.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy = pad.get_by_role("button", name="Copy link")
    copy.click()
    pad.get_by_role("button", name="Copied").wait_for()
    assert pad.evaluate("navigator.clipboard.readText()") == pad.url
    assert "sample=3" in pad.url
