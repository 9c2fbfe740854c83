"""A door without an engine: the stage's files, and a /live that tells a scripted run.

`python -m tests.web.harness 8600` serves a bare page (/?dark&width=880&run=…) that mounts the stage without Streamlit;
`tests/web/app.py` (served with `streamlit run`) mounts it with Streamlit, over the same routes.

What a run does stands in its id, words joined by dashes: fast, slow, cut (the connection breaks twice), nan, marks,
fail, queue, tokens, states, attention, vector, signed, deep (24 layers), long (20,000 steps already there), done,
names (long class names), still (no rows), points, sums (sequences with a sum asked), each (a class at every step).
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.engine.live import encode_frame
from core.spec.events import Frame

WEB = Path(__file__).parents[2] / "assets" / "web"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
CLASSES = ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


class Script:
    """A run that never was: rows as bytes of a log that grows by the clock, frames on request."""

    def __init__(self, run: str) -> None:
        self.words = set(run.split("-"))
        self.steps = 20_000 if "long" in self.words else 600
        self.rate = 200.0 if "fast" in self.words else 50.0
        self.layers = [f"block{i}.attention.out" for i in range(24)] if "deep" in self.words else LAYERS
        self.started = time.time()
        self.log = b""
        self.step = 0
        self.random = np.random.default_rng(3)
        self.cuts = 2 if "cut" in self.words else 0
        self.watch: list[dict[str, Any]] = []
        if self.words & {"long", "done", "half"}:
            self.grow({"half": 340}.get("half" if "half" in self.words else "", self.steps))

    def grow(self, to: int | None = None) -> None:
        """Write the rows up to the step that the clock asks for."""
        goal = to if to is not None else self.step + 1
        fresh = []
        while self.step < min(goal, self.steps):
            row = {"step": self.step, "time": round(time.time(), 4), "values": self.values(self.step)}
            fresh.append(json.dumps(row) + "\n")
            self.step += 1
        self.log += "".join(fresh).encode()
        if "back" in self.words and self.step >= 500:  # changed by hand at step 99: what came later is taken back
            self.words -= {"back", "nan"}
            self.log, self.step = b"".join(self.log.splitlines(keepends=True)[:100]), 100

    def values(self, step: int) -> dict[str, Any]:
        t, noise = step / 600, self.random.normal
        loss = 2.1 * math.exp(-6 * t) + 0.18 + abs(noise(0, 0.08 + 0.2 * math.exp(-5 * t)))
        values: dict[str, Any] = {"train/loss": loss, "train/accuracy": min(1.0, max(0.1, 1 - loss / 2.5))}
        if "nan" in self.words and step >= 300:
            values = {"train/loss": "nan"}
        for i, name in enumerate(n for n in self.layers if n not in ("relu1", "relu2", "gap")):
            values[f"grad_norm/{name}"] = 10 ** (-0.5 * (i % 6) * 0.5 - t + noise(0, 0.1))
            values[f"update_ratio/{name}"] = 10 ** (-3 + 0.2 * i % 1 - t + noise(0, 0.08))
        if step % 25 == 24:
            values |= {"val/loss": 2.1 * math.exp(-5.5 * t) + 0.22, "val/accuracy": 0.97 - 0.8 * math.exp(-6 * t)}
        if step % 10 == 0:
            values |= {"samples_per_second": 3410 + float(noise(0, 60)), "memory": 412e6 + 1e5 * step, "lr": 0.003}
        if "marks" in self.words and step in (120, 150, 420):
            values[{120: "set/lr", 150: "set/clip_norm", 420: "set/weight_decay"}[step]] = 0.001
        return values

    def state(self) -> dict[str, Any]:
        state = "finished" if self.step >= self.steps else "running"
        about = {"state": state, "step": self.step, "steps": self.steps, "words": "", "layer": "", "threads": 2}
        if "queue" in self.words:
            return about | {"state": "queued", "step": 0, "place": 2, "words": "One run is before this one."}
        if "fail" in self.words and self.step >= 200:
            return about | {
                "state": "failed",
                "layer": "conv2",
                "words": "The loss is not a number since step 200; "
                "a smaller learning rate (now 3.0, try 0.003) usually mends this.",
            }
        return about

    def frame(self, sample: int, layer: str) -> Frame:
        """A frame with something to see: blobs that sharpen while the run goes on."""
        words, rng, t = self.words, np.random.default_rng(sample + 1), self.step / self.steps
        indices = list(range(12))
        view = next((v for v in ("attention", "states", "vector") if v in words), "feature_maps")
        shape = {"attention": (4, 24, 24), "states": (20, 64), "vector": (40,), "feature_maps": (16, 28, 28)}[view]
        if layer in ("conv2", "relu2") and view == "feature_maps":
            shape = (64, 14, 14)
        data = (t * blobs(rng, shape) + (1 - t) * 0.4 * rng.random(shape)).clip(0, 1)
        classes = CLASSES if "names" in words else [str(i) for i in range(10)]
        targets = np.array([(3 * i + 1) % 10 for i in indices])
        right = np.random.default_rng(9).random(12) < 0.15 + t
        predicted = np.where(right, targets, (targets + 3) % 10)
        arrays: dict[str, Any] = {
            "view": (255 * data).astype("uint8"),
            "targets": targets,
            "predicted": predicted,
            "confidence": np.clip(0.3 + 0.6 * t + 0.1 * np.random.default_rng(4).random(12), 0, 1).astype("float32"),
        }
        meta = {
            "sample": sample,
            "layer": layer if layer in self.layers else self.layers[0],
            "layers": self.layers,
            "view": view,
            "classes": classes,
            "low": -1.31 if "signed" in words else 0.0,
            "high": 0.94,
            "indices": indices,
            "kind": "picture",
            "device": "cpu",
        }
        if "tokens" in words:
            meta |= {"kind": "tokens", "vocabulary": VOCABULARY}
            arrays["tokens"] = np.where(np.arange(14) < 9, np.random.default_rng(2).integers(0, 12, (12, 14)), -1)
        else:
            arrays["pictures"] = np.stack(
                [(255 * blobs(np.random.default_rng(i + 50), (1, 28, 28))[0]).astype("uint8") for i in indices]
            )
        if words & {"points", "sums"}:
            del arrays["pictures"]
        if "points" in words:
            meta |= {"kind": "points", "range": [-1.7, 1.7]}
            arrays["points"] = np.linspace(-1.5, 1.5, 24, dtype="float32").reshape(12, 2)
        if "sums" in words:
            meta |= {"kind": "sequence", "task": "number", "classes": ["sum"]}
            del arrays["confidence"]
            arrays |= {
                "sequences": np.random.default_rng(6).random((12, 20), dtype="float32"),
                "marks": np.tile(np.isin(np.arange(20), (3, 15)), (12, 1)).astype("uint8"),
                "targets": np.linspace(0.5, 1.6, 12, dtype="float32"),
                "predicted": np.linspace(0.75, 1.3, 12, dtype="float32"),
            }
        if "each" in words:
            meta |= {"task": "each_step"}
            arrays["targets"] = np.where(np.arange(14) < 10, -100, np.arange(14) % 10) + np.zeros((12, 1), int)
            arrays["predicted"] = np.where(np.arange(14) == 12, 0, arrays["targets"])
        return Frame(self.step, time.time(), meta, arrays)


VOCABULARY = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "very", "quietly"]
LAYERS = ["conv1", "relu1", "conv2", "relu2", "gap", "linear"]


def blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth strokes in 0…1."""
    if len(shape) == 1:
        return rng.random(shape)
    *count, h, w = (1, *shape) if len(shape) == 2 else shape
    y, x = np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j]
    maps = []
    for _ in range(count[0]):
        a, b, c, d = rng.random(4)
        stroke = np.exp(-30 * (y - a - 0.5 * np.sin(3 * b + 4 * x) * 0.5) ** 2) * np.exp(-9 * (x - 0.5) ** 2)
        stroke += np.exp(-60 * ((y - c) ** 2 + (x - d) ** 2))
        maps.append(stroke / stroke.max())
    return np.array(maps).reshape(shape)


SCRIPTS: dict[str, Script] = {}


async def live(socket: WebSocket) -> None:
    """One watcher of one scripted run."""
    run, offset = socket.query_params["run"], int(socket.query_params.get("after", 0))
    await socket.accept()
    if run == "unknown":
        return await socket.close(4404)
    script = SCRIPTS.setdefault(run, Script(run))
    chosen: dict[str, Any] = {"sample": 0, "layer": ""}
    hearing = asyncio.create_task(hear(socket, script, chosen))
    said, framed, began = "", ("", -99), time.time()
    try:
        while not hearing.done():
            if not script.words & {"queue", "still"} and not ("fail" in script.words and script.step >= 200):
                held = 340 if "half" in script.words else script.steps
                script.grow(min(held, script.step + max(1, round(script.rate / 50))))
            if len(script.log) != offset:
                after = offset if len(script.log) > offset else 0
                rows = [json.loads(line) for line in script.log[after:].splitlines()]
                offset = len(script.log)
                await socket.send_text(json.dumps({"after": after, "offset": offset, "rows": rows}))
            state = {"run": run, "place": None, "pid": 1, **script.state()}
            if (now := json.dumps(state | {"step": 0})) != said:
                said = now
                await socket.send_text(json.dumps({"state": state}))
            key = (f"{chosen}", script.step // 10)
            if key != framed and "still" not in script.words and "queue" not in script.words:
                framed = key
                await socket.send_bytes(encode_frame(script.frame(chosen["sample"] or 0, chosen["layer"] or "")))
            if script.cuts and time.time() - began > 0.7:
                script.cuts -= 1
                await socket.close(1011)
                break
            await asyncio.sleep(0.02)
    except (WebSocketDisconnect, RuntimeError):
        pass
    hearing.cancel()


async def hear(socket: WebSocket, script: Script, chosen: dict[str, Any]) -> None:
    try:
        while True:
            message = json.loads(await socket.receive_text())
            chosen |= message["watch"]
            script.watch.append(message["watch"])
    except (WebSocketDisconnect, RuntimeError):
        return


async def asset(request: Any) -> Response:
    name = request.path_params["name"]
    return FileResponse(PLOTLY if name == "plotly.min.js" else WEB / name, headers={"Cache-Control": "no-cache"})


async def watched(request: Any) -> Response:
    return Response(json.dumps(SCRIPTS[request.query_params["run"]].watch), media_type="application/json")


THEMES = {
    "light": "--st-primary-color:#1b62a8;--st-background-color:#fff;--st-text-color:#31333f",
    "dark": "--st-primary-color:#2f78bf;--st-background-color:#0e1117;--st-text-color:#fafafa;"
    "--st-red-text-color:#ff9da4;--st-chart-categorical-colors:#56b4e9,#f5a15b;"
    "--st-chart-diverging-colors:#a6d3f5,#6fb0e6,#3f86c4,#275a8a,#1b2f42,#3b2a1c,#82501f,#bf7630,#eda45c,#ffd3a6",
}


async def page(request: Any) -> Response:
    """The stage on a bare page, with the theme's variables as Streamlit sets them."""
    from pages.kit.live import live_words

    query = request.query_params
    data = {
        "run": query.get("run") or None,
        "sample": 0,
        "layer": "",
        "layers": LAYERS if query.get("run") else [],
        "words": live_words(),
        "accuracy": "loss-only" not in query,
        "caption": "",
        "height": 556,
    }
    theme = THEMES["dark" if "dark" in query else "light"]
    return HTMLResponse(f"""<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>stage</title>
<body style="margin:0;background:var(--st-background-color);{theme};font-family:sans-serif">
<div id=place style="width:{query.get("width", 880)}px;margin:16px"></div><script type=module>
import {{ mount }} from "/layerlab/live.js";
const component = {{ data: {json.dumps(data)}, parentElement: document.getElementById("place"),
  setStateValue: (name, value) => (window.told ??= []).push([name, value]) }};
window.again = (change) => {{ component.data = {{ ...component.data, ...change }}; return mount(component); }};
window.again({{}});
</script>""")


ROUTES = [Route("/layerlab/{name}", asset), Route("/watched", watched), WebSocketRoute("/live", live)]
app = Starlette(routes=[Route("/", page), *ROUTES])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
