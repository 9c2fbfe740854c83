"""The live stage of a run: mounted once per page, it listens to the door's /live by itself.

Reruns of a page carry no curve, only which run, sample and layer is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pages.kit.web_parts import web_part
from pages.kit.words import _

HEIGHT = 556  # with it the whole stage stands under a page title at 1280×720

_mount = web_part("live", HEIGHT)


def live_view(  # noqa: PLR0913 (a widget: all by name)
    run_id: str | None,
    *,
    sample: int = 0,
    layer: str = "",
    layers: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    accuracy: bool = True,
    caption: str = "",
    floor: float = 0.0,
    labels: str = "",
    height: int = HEIGHT,
    key: str = "live",
    on_sample_change: Callable[[], None] | None = None,
    on_layer_change: Callable[[], None] | None = None,
) -> Any:
    """Show a run as it goes on; `run_id` None shows the empty stage.

    `layers` are the addresses in the order of the network. `caption` stands in the status line while the run itself
    has nothing to say (what a still shows, for instance). `floor`, where it is not 0, is what the training loss of
    smoothed or mixed `labels` cannot fall below: a line with its words, for the validation loss can. `accuracy` False
    leaves that panel out. The result has `.sample` and `.layer`: what the reader chose on the stage last, None before;
    they keep their value when the choice is later made elsewhere, so take them in the callbacks (session state under
    `key`), not on every run.
    """
    return _mount(
        key=key,
        data={
            "run": run_id,
            "sample": sample,
            "layer": layer,
            "layers": list(layers),
            "words": live_words() | dict(words or {}),
            "accuracy": accuracy,
            "caption": caption,
            "floor": floor_words(floor, labels) if floor else None,
            "height": height,
        },
        on_sample_change=on_sample_change or _nothing,
        on_layer_change=on_layer_change or _nothing,
    )


def floor_words(floor: float, labels: str) -> dict[str, Any]:
    """What the chart of the loss says where the two curves have not the same footing."""
    names = {
        "smoothed": _("train, smoothed labels"),
        "mixed": _("train, mixed labels"),
        "smoothed and mixed": _("train, smoothed and mixed labels"),
    }
    text = _("{name}: {floor} at least; validation: plain labels")
    return {"value": floor, "name": names[labels], "text": text.format(name=names[labels], floor=f"{floor:.2g}")}


def _nothing() -> None:
    pass


def live_words() -> dict[str, str]:
    """Every word the stage shows; what stands in braces is filled in by the browser."""
    return {
        "step": _("step"),
        "layer": _("layer"),
        "train": _("train"),
        "train_smooth": _("train, smoothed"),
        "validation": _("validation"),
        "loss": _("Loss"),
        "loss_axis": _("loss (nats)"),
        "accuracy": _("Accuracy"),
        "accuracy_axis": _("accuracy (%)"),
        "log": _("log scale"),
        "log_help": _("Powers of ten upwards: small losses are told apart"),
        "table": _("table"),
        "csv": _("CSV"),
        "csv_help": _("Download the numbers as a CSV file"),
        "more_in_csv": _("The CSV file has all {n} rows."),
        "thinned": _(
            "This run has {n} rows. Of its beginning the least, the largest and the last value of each stretch stand "
            "here; the file events.jsonl in the run's folder has every row."
        ),
        "heat": _("Gradients and updates by layer"),
        "grad_norm": _("Gradient norm"),
        "grad_norm_axis": _("gradient norm ‖g‖"),
        "grad_norm_help": _("How long the gradient of each layer's weights is, at each step"),
        "grad_norm_hover": _("%{customdata[0]}<br>step %{x}<br>gradient norm %{customdata[1]:.3~g}<extra></extra>"),
        "update_ratio": _("Update"),
        "update_ratio_axis": _("‖Δw‖ / ‖w‖"),
        "update_ratio_help": _(
            "How much one step changes each layer's weights, relative to them; 0.001 is a healthy order of size"
        ),
        "update_ratio_hover": _(
            "%{customdata[0]}<br>step %{x}<br>‖Δw‖ / ‖w‖ %{customdata[1]:.3~g}<br>often near 0.001<extra></extra>"
        ),
        "set_lr": _("learning rate"),
        "set_weight_decay": _("weight decay"),
        "set_clip_norm": _("clip at norm"),
        "best": _("best, step {step}"),
        "not_finite": _("loss is no longer a number"),
        "nothing_yet": _("No numbers yet."),
        "alt_curve": _("{name} at step {step}: train {train}, validation {val}."),
        "alt_heat": _("{name} at step {step}: smallest {low} in {low_layer}, largest {high} in {high_layer}."),
        "view": _("The current sample at a layer"),
        "view_empty": _("What the chosen layer makes of one test sample appears here."),
        "about_feature_maps": _("{n} maps of {h}×{w} · step {step}"),
        "about_attention": _("{n} heads, {h}×{w} · step {step}"),
        "about_states": _("{h} × {w} states · step {step}"),
        "about_vector": _("{w} values · step {step}"),
        "axes_feature_maps": _("one square per map"),
        "axes_attention": _("query ↓  key →"),
        "axes_states": _("time ↓  unit →"),
        "axes_vector": _("value by unit →"),
        "first_of": _("(first {n} of {count})"),
        "hover_feature_maps": _("map {tile}, row {i}, column {j}: {value}"),
        "hover_attention": _("head {tile}, query {i}, key {j}: {value}"),
        "hover_states": _("time {i}, unit {j}: {value}"),
        "hover_vector": _("unit {j}: {value}"),
        "scale_signed": _("Blue is below zero, orange above; zero is neutral"),
        "scale_size": _("Dark is low, bright is high"),
        "map": _("map"),
        "row": _("row"),
        "column": _("column"),
        "value": _("value"),
        "least": _("least"),
        "mean": _("mean"),
        "most": _("most"),
        "pictures": _("Test samples"),
        "pictures_empty": _("Twelve samples the network never trains on, with its answer under each."),
        "score": _("{right} of {n} right"),
        "sample": _("sample"),
        "target": _("target"),
        "predicted": _("predicted"),
        "confidence": _("confidence"),
        "tile_right": _("Sample {sample}: {guess}, right, {sure} sure"),
        "tile_wrong": _("Sample {sample}: predicted {guess}, {sure} sure; it is {target}"),
        "tile_number": _("Sample {sample}: predicted {guess}; it is {target}"),
        "progress": _("Steps done"),
        "step_of": _("step {step} / {steps}"),
        "left": _("{time} left"),
        "speed": _("{n} samples/s"),
        "thread": _("{n} thread"),
        "threads": _("{n} threads"),
        "state_none": _("no run yet"),
        "state_connecting": _("connecting"),
        "state_away": _("not connected"),
        "state_queued": _("waiting"),
        "state_place": _("waiting, place {place}"),
        "wait_second": _("about {n} s until it begins"),
        "wait_minute": _("about {n} min until it begins"),
        "wait_hour": _("about {n} h until it begins"),
        "wait_unknown": _("nobody can say yet when it begins"),
        "state_running": _("training"),
        "state_paused": _("paused"),
        "state_finished": _("finished"),
        "state_stopped": _("stopped"),
        "state_failed": _("failed"),
        "state_gone": _("engine away"),
        "lost": _("The connection is cut; trying again. Training goes on meanwhile."),
        "unknown_run": _("This run is not known here. Choose another one or start a new one."),
        "refused_origin": _(
            "The server does not accept connections from pages at {origin}. If this address is right, start the server "
            "with --server.corsAllowedOrigins {origin}"
        ),
        "refused_host": _(
            "The server does not accept requests under this name. If {host} is its own name, start the server with "
            "--server.allowedHosts {host}"
        ),
    }
