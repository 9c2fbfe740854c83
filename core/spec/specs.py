"""What was asked for: frozen, hashable, checked when made; one canonical JSON, one content id, one link form."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from core.spec import registry
from core.spec.options import Option, Options, SpecError, _, changed, coerce, declared, option
from core.spec.quoting import clean, parsed, quoted, shown
from core.spec.sentences import Sentence

T = TypeVar("T")

FORMAT = 1  # of the JSON below; a newer one is refused in words
LINK_LIMIT = 4096  # characters a link may use
LAYER_LIMIT = 300  # layers a model may list; checking one must stay quick


@dataclass(frozen=True)
class Choice:
    """One entry of a catalog with its options: an optimizer, a schedule, an augmentation."""

    name: str
    options: Options


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a model; `name` is its address in every view."""

    kind: str
    options: Options
    name: str


@dataclass(frozen=True)
class ModelSpec:
    """`layers`, where there are any, are the model; otherwise the architecture makes them from its options."""

    architecture: str
    options: Options
    layers: tuple[LayerSpec, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """A data set, its options, and the seed that splits (and, for generated ones, draws) it."""

    name: str
    options: Options
    seed: int = 0


@dataclass(frozen=True)
class TrainSpec(Options):
    """How a model is trained."""

    optimizer: Choice = field(default_factory=lambda: default_choice("optimizer"))
    schedule: Choice = field(default_factory=lambda: default_choice("schedule"))
    augmentation: tuple[Choice, ...] = ()  # in the order of the catalog, each at most once
    lr: float = option(
        0.003,
        _("Learning rate: how far one step moves the weights."),
        label=_("learning rate"),
        low=1e-7,
        high=100.0,
        unit=_("per step"),
        log=True,
    )
    steps: int = option(600, _("How many batches the model learns from."), low=1, high=1_000_000, unit=_("steps"))
    epochs: int = option(
        0,
        _("Passes over the training set; 0 means that the number of steps decides."),
        low=0,
        high=10_000,
        unit=_("epochs"),
    )
    batch_size: int = option(
        64, _("Samples per step."), label=_("batch size"), low=1, high=65_536, unit=_("samples"), log=True
    )
    weight_decay: float = option(
        0.0,
        _("Pulls every weight towards zero a little at each step."),
        label=_("weight decay"),
        low=0.0,
        high=10.0,
        unit=_("per unit of learning rate"),
    )
    clip_norm: float = option(
        0.0,
        _("Largest norm that a step's gradient may have; 0 means no clipping."),
        label=_("clip norm"),
        low=0.0,
        high=1e6,
        unit=_("(norm)"),
    )
    initialisation: str = option(
        "default",
        _("How the weights of linear and convolutional layers start; default is torch's own."),
        choices=("default", "he", "xavier", "orthogonal"),
        group=_("Start and arithmetic"),
    )
    init_gain: float = option(
        1.0,
        _("What the weights are multiplied by at the start."),
        label=_("gain of the start"),
        low=0.01,
        high=10.0,
        unit=_("(factor)"),
        group=_("Start and arithmetic"),
        applies=lambda o: o.initialisation != "default",
    )
    precision: str = option(
        "float32",
        _(
            "bfloat16 computes products with fewer digits; auto takes it where that is faster. A recurrent layer stays "
            "in float32 on a CPU that has no bfloat16."
        ),
        choices=("float32", "bfloat16", "auto"),
        group=_("Start and arithmetic"),
    )
    label_smoothing: float = option(
        0.0,
        _("Share of each target that is spread evenly over all classes."),
        label=_("label smoothing"),
        low=0.0,
        high=0.9,
        unit=_("share"),
        group=_("Against overfitting"),
    )
    early_stopping: int = option(
        0,
        _(
            "Stop when so many checks of the validation loss in a row were no better; there are 40 checks in a run, "
            "and 0 means never."
        ),
        label=_("early stopping"),
        low=0,
        high=40,
        unit=_("checks"),
        group=_("Against overfitting"),
    )
    keep_best: bool = option(
        True,
        _("Keep the weights at the smallest validation loss, not those of the last step, as the result."),
        label=_("keep the best"),
        group=_("Against overfitting"),
        applies=lambda o: o.early_stopping > 0,
    )
    label_noise: float = option(
        0.0,
        _("Share of the training labels that are replaced by a wrong class, to see what a network does then."),
        label=_("label noise"),
        low=0.0,
        high=1.0,
        unit=_("share"),
        group=_("Trials"),
    )
    seed: int = option(0, _("Fixes the initial weights and the order of the batches."), low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run."""

    data: DataSpec
    model: ModelSpec
    train: TrainSpec


OWN = "own network"  # what is called so was built layer by layer, whatever preset it began with


def title(experiment: Experiment) -> str:
    """What a run is called that nobody has named: `cnn on digits`, `own network on shapes`."""
    return f"{OWN if experiment.model.layers else experiment.model.architecture} on {experiment.data.name}"


def default_choice(field_name: str) -> Choice:
    """The first optimizer or schedule of the catalog with its default options."""
    entry = next(iter(_CHOICES[field_name]))
    return Choice(entry.name, entry.options())


_CHOICES = {"optimizer": registry.OPTIMIZERS, "schedule": registry.SCHEDULES}
_LISTS = {"augmentation": registry.AUGMENTATIONS}  # of which several may be chosen
NONE = "none"  # how an empty list is written in a link and on the command line


def choices_of(train: TrainSpec) -> dict[str, tuple[Choice, ...]]:
    """Field → what is chosen there: one optimizer, one schedule, any number of augmentations."""
    return {
        "optimizer": (train.optimizer,),
        "schedule": (train.schedule,),
        "augmentation": train.augmentation,
    }


def preset(architecture: str, data: str) -> Experiment:
    """The experiment a preset and a data set start from, with the training settings that the preset recommends."""
    entry, dataset = _entry(registry.ARCHITECTURES, architecture, "model"), _entry(registry.DATASETS, data, "data")
    made = Experiment(DataSpec(dataset.name, dataset.options()), ModelSpec(entry.name, entry.options()), TrainSpec())
    return assign(made, {f"train.{k}": v for k, v in entry.recommended.items()})


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def to_json(spec: Any) -> Any:
    """A spec as plain JSON values, every field written out. An Experiment carries the format version."""
    if isinstance(spec, Experiment):
        return {"format": FORMAT, **{f.name: to_json(getattr(spec, f.name)) for f in fields(spec)}}
    if is_dataclass(spec):
        return {f.name: to_json(getattr(spec, f.name)) for f in fields(spec)}
    if isinstance(spec, tuple):
        return [to_json(v) for v in spec]
    return spec


def canonical(spec: Any) -> str:
    """The one text of a spec: sorted keys, no spaces."""
    return json.dumps(to_json(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_id(spec: Any) -> str:
    """16 hex digits that name what was asked for; equal specs, equal ids."""
    return hashlib.sha256(f"{FORMAT}:{canonical(spec)}".encode()).hexdigest()[:16]


def experiment_from_json(raw: Any) -> Experiment:
    """An Experiment from parsed JSON. Missing fields take their defaults; anything else wrong raises SpecError."""
    raw = _object(raw, "experiment", {"format", "data", "model", "train"})
    _known_format(raw, "format")
    model = model_from_json(raw.get("model", {}))
    data = _object(raw.get("data", {}), "data", {"name", "options", "seed"})
    dataset = _entry(registry.DATASETS, data.get("name", "digits"), "data.name")
    known = Option("", low=0, high=2**31 - 1)
    seed = _at("data", lambda: coerce("seed", int, data.get("seed", 0), known))
    data_spec = DataSpec(dataset.name, _options(dataset.options, data.get("options", {}), "data.options"), seed)
    return Experiment(data_spec, model, _train_from_json(raw.get("train", {}), model))


def _known_format(raw: dict[str, Any], place: str) -> None:
    """SpecError for a file of another version: what its fields mean there is not known here. None: of this one."""
    was = raw.get("format", FORMAT)
    if type(was) is not int or was != FORMAT:
        hint = _("Open it with the LayerLab that made it, and save it again for this one.")
        raise SpecError(
            place,
            Sentence(
                "format is {was}; this LayerLab reads format {format}. {hint}", was=shown(was), format=FORMAT, hint=hint
            ),
        )


def plain_name(name: str) -> str:
    """A name as Python's own reader sees it (NFKC): `ﬁ` and `fi` are one name in a program, and so they are here."""
    return unicodedata.normalize("NFKC", name)


def model_from_json(raw: Any) -> ModelSpec:
    """A ModelSpec from parsed JSON (the content of a MODEL.json)."""
    raw = _object(raw, "model", {"format", "architecture", "options", "layers"})
    _known_format(raw, "model.format")
    entry = _entry(registry.ARCHITECTURES, raw.get("architecture", "cnn"), "model.architecture")
    options = _options(entry.options, raw.get("options", {}), "model.options")
    listed = raw.get("layers", [])
    if not isinstance(listed, list) or len(listed) > LAYER_LIMIT:
        raise SpecError(
            "model.layers",
            Sentence("model.layers must be a list of at most {layer_limit} layers.", layer_limit=LAYER_LIMIT),
        )
    layers = tuple(_layer_from_json(one, f"model.layers[{i}]") for i, one in enumerate(listed))
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(
                "model.layers",
                Sentence("Two layers are called “{name}”; give each a name of its own.", name=quoted(name)),
            )
    return ModelSpec(entry.name, options, layers)


def _layer_from_json(raw: Any, place: str) -> LayerSpec:
    raw = _object(raw, place, {"kind", "options", "name"})
    entry = _entry(registry.LAYERS, raw.get("kind", ""), f"{place}.kind")
    name = raw.get("name", "")
    if isinstance(name, str) and len(name) <= 60:
        name = plain_name(name)
    if not isinstance(name, str) or not name.isidentifier() or len(name) > 60:
        wanted = _("letters, digits and _, such as conv1")
        raise SpecError(
            f"{place}.name",
            Sentence("{place}.name must be {wanted}; not {name}.", place=place, wanted=wanted, name=shown(name)),
        )
    try:
        options = _options(entry.options, raw.get("options", {}), f"{place}.options")
    except SpecError as error:  # of many layers alike the sentence must say which one
        raise SpecError(error.field, Sentence("{name}: {message}", name=quoted(name), message=error.message)) from None
    return LayerSpec(entry.name, options, name)


def _train_from_json(raw: Any, model: ModelSpec) -> TrainSpec:
    hints = declared(TrainSpec)
    raw = _object(raw, "train", {*hints, *_CHOICES, *_LISTS})
    values: dict[str, Any] = {k: v for k, v in raw.items() if k in hints}
    for name, known in _CHOICES.items():
        if name in raw:
            values[name] = _choice_from_json(known, raw[name], f"train.{name}")
    for name, known in _LISTS.items():
        listed = raw.get(name, [])
        if not isinstance(listed, list) or len(listed) > len(known.names()):
            raise SpecError(
                f"train.{name}", Sentence("train.{name} must be a list of {names}.", name=name, names=known.names())
            )
        made = [_choice_from_json(known, one, f"train.{name}[{i}]") for i, one in enumerate(listed)]
        values[name] = _in_order(known, made, f"train.{name}")
    return _at("train", lambda: TrainSpec(**values))


def _choice_from_json(known: registry.Registry, raw: Any, place: str) -> Choice:
    one = _object({"name": raw} if isinstance(raw, str) else raw, place, {"name", "options"})
    entry = _entry(known, one.get("name", ""), f"{place}.name")
    return Choice(entry.name, _options(entry.options, one.get("options", {}), f"{place}.options"))


def _in_order(known: registry.Registry, chosen: list[Choice], place: str) -> tuple[Choice, ...]:
    """A list of choices as the catalog orders them, so that equal lists are equal."""
    by_name = {choice.name: choice for choice in chosen}
    if len(by_name) < len(chosen):
        raise SpecError(place, Sentence("{place} names one {known_kind} twice.", place=place, known_kind=known.kind))
    return tuple(by_name[name] for name in known.names() if name in by_name)


def _object(raw: Any, place: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SpecError(
            place, Sentence("{place} must be an object with the fields {known}.", place=place, known=sorted(known))
        )
    for key in raw:
        if key not in known:
            names = sorted(known)
            raise SpecError(
                f"{place}.{quoted(key)}",
                Sentence("{place} has no field {key}; it has {names}.", place=place, key=shown(key), names=names),
            )
    return raw


def options_of(cls: type[Options], values: dict[str, Any]) -> Options:
    """Options from values by name, as they are typed; SpecError names the option that is unknown or out of range."""
    for name in values:
        if name not in declared(cls):
            names = list(declared(cls)) or _("none")
            raise SpecError(
                name, Sentence("There is no option {name} here; the options: {names}.", name=shown(name), names=names)
            )
    return cls(**values)


def _options(cls: type[Options], raw: Any, place: str) -> Options:
    _object(raw, place, set(declared(cls)))
    return _at(place, lambda: cls(**raw))


def _entry(known: registry.Registry, name: Any, place: str) -> Any:
    try:
        return known.get(name)
    except (registry.CatalogError, TypeError) as error:
        raise SpecError(place, str(error)) from None


def _at(place: str, make: Callable[[], T]) -> T:
    """Run `make`, putting `place` before the field that it complains about."""
    try:
        return make()
    except SpecError as error:
        raise SpecError(f"{place}.{error.field}", error.message) from None


# ── changing one field by its name: the command line's --set and a link's parameters ─────────────────────────────────


def assign(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """The experiment with fields changed by address: `data.size`, `model.positions`, `train.lr`, `train.momentum`.

    Choices come first, so that `train.optimizer=sgd train.momentum=0.8` works in any order.
    """
    ordered = sorted(changes.items(), key=lambda kv: kv[0].partition(".")[2] not in {**_CHOICES, **_LISTS})
    for address, value in ordered:
        experiment = _assign_one(experiment, address, value)
    return experiment


def _assign_one(experiment: Experiment, address: str, value: Any) -> Experiment:
    part, _dot, name = address.partition(".")
    if part not in ("data", "model", "train") or not name:
        raise SpecError(
            address,
            Sentence("{address} is no address; write data.NAME, model.NAME or train.NAME.", address=shown(address)),
        )
    spec = getattr(experiment, part)
    if part == "train":
        return replace(experiment, train=_at("train", lambda: _assign_train(spec, name, value)))
    if part == "data" and name == "seed":
        seed = _at("data", lambda: coerce("seed", int, value, Option("", low=0, high=2**31 - 1)))
        return replace(experiment, data=replace(spec, seed=seed))
    known = declared(type(spec.options))
    if name not in known:
        chosen = getattr(spec, "name", None) or spec.architecture
        names = [*known, *(["seed"] if part == "data" else [])] or _("none")
        raise SpecError(
            address,
            Sentence(
                "{chosen} has no option {name}; its options: {names}.", chosen=chosen, name=shown(name), names=names
            ),
        )
    options = _at(part, lambda: replace(spec.options, **{name: value}))
    return replace(experiment, **{part: replace(spec, options=options)})


def _assign_train(train: TrainSpec, name: str, value: Any) -> TrainSpec:
    if name in _CHOICES:
        entry = _entry(_CHOICES[name], value, name)
        return _replaced(train, name, Choice(entry.name, entry.options()))
    if name in _LISTS:
        return _replaced(train, name, _chosen_list(train, name, value))
    if name in declared(TrainSpec):
        return _replaced(train, name, value)
    names = [*_CHOICES, *_LISTS, *declared(TrainSpec)]
    for place, chosen in choices_of(train).items():
        for choice in chosen:
            if name in declared(type(choice.options)):
                changed: Any = replace(choice.options, **{name: value})
                now = tuple(replace(choice, options=changed) if one is choice else one for one in chosen)
                return _replaced(train, place, now if place in _LISTS else now[0])
            names += declared(type(choice.options))
    raise SpecError(name, Sentence("train has no field {name}; it has {names}.", name=shown(name), names=names))


def _replaced(train: TrainSpec, name: str, value: Any) -> TrainSpec:
    return replace(train, **{name: value})


def _chosen_list(train: TrainSpec, name: str, value: Any) -> tuple[Choice, ...]:
    """A list of choices from names with commas between them; those that were there keep their options."""
    if isinstance(value, str):
        value = [] if value.strip().lower() in ("", NONE) else [part.strip() for part in value.split(",")]
    if not isinstance(value, list | tuple) or len(value) > 64:
        raise SpecError(
            name, Sentence("{name} must be names with commas between them, or {none}.", name=name, none=NONE)
        )
    known, before = _LISTS[name], {choice.name: choice for choice in choices_of(train)[name]}
    entries = [_entry(known, one, name) for one in value]
    return _in_order(known, [before.get(one.name) or Choice(one.name, one.options()) for one in entries], name)


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def to_link(experiment: Experiment) -> dict[str, str]:
    """The experiment as readable query parameters: the preset, the data set, and only what differs from the preset.

    Raises SpecError when the link would be longer than LINK_LIMIT characters.
    """
    link = {"v": str(FORMAT), "model": experiment.model.architecture, "data": experiment.data.name}
    start = preset(experiment.model.architecture, experiment.data.name)
    for place in _CHOICES:  # whoever reads the link takes another optimizer with its defaults: differ from those
        name = getattr(experiment.train, place).name
        if name != getattr(start.train, place).name:
            link[f"train.{place}"] = name
            start = assign(start, {f"train.{place}": name})
    for place in _LISTS:  # their names are written; of their options what differs from the defaults
        names = _flat(experiment)[f"train.{place}"]
        if names != _flat(start)[f"train.{place}"]:
            link[f"train.{place}"] = names
            start = assign(start, {f"train.{place}": names})
    usual = _flat(start)
    for address, value in _flat(experiment).items():
        if usual.get(address) != value:
            link[address] = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if experiment.model.layers:
        layers = [(one.kind, one.name, changed(one.options)) for one in experiment.model.layers]
        listed = [{"kind": k, "name": n, **({"options": o} if o else {})} for k, n, o in layers]
        link["layers"] = json.dumps(listed, separators=(",", ":"))
    if sum(len(k) + len(v) + 2 for k, v in link.items()) > LINK_LIMIT:
        raise SpecError("link", _("This model is too large for a link; save the experiment as a file instead."))
    return link


def _flat(experiment: Experiment) -> dict[str, Any]:
    flat = {f"data.{k}": getattr(experiment.data.options, k) for k in declared(type(experiment.data.options))}
    flat["data.seed"] = experiment.data.seed
    flat |= {f"model.{k}": getattr(experiment.model.options, k) for k in declared(type(experiment.model.options))}
    for place, chosen in choices_of(experiment.train).items():
        flat[f"train.{place}"] = ",".join(choice.name for choice in chosen) or NONE
        for choice in chosen:
            flat |= {f"train.{k}": getattr(choice.options, k) for k in declared(type(choice.options))}
    return flat | {f"train.{k}": getattr(experiment.train, k) for k in declared(TrainSpec)}


def from_link(link: dict[str, str]) -> tuple[Experiment, list[str]]:
    """The experiment of a link, and one sentence for every parameter that could not be used (its default stands)."""
    notices: list[str] = []
    link = clean(link)
    if sum(len(k) + len(v) + 2 for k, v in link.items()) > LINK_LIMIT:
        return preset("cnn", "digits"), [
            Sentence("The link is longer than {link_limit} characters; it was left aside.", link_limit=LINK_LIMIT)
        ]
    if link.get("v", str(FORMAT)) != str(FORMAT):
        was = shown(link["v"])
        notice = Sentence(
            "v: the link is of version {was}; this LayerLab reads version {format}. It was left aside.",
            was=was,
            format=FORMAT,
        )
        return preset("cnn", "digits"), [notice]
    names = {"model": "cnn", "data": "digits"}
    for part, known in (("model", registry.ARCHITECTURES), ("data", registry.DATASETS)):
        try:
            names[part] = known.get(link.get(part, names[part])).name
        except registry.CatalogError as error:
            notices.append(Sentence("{part}: {error}", part=part, error=error))
    made = preset(names["model"], names["data"])
    addresses = {k: v for k, v in link.items() if k.partition(".")[0] in ("data", "model", "train") and "." in k}
    for address in sorted(addresses, key=lambda a: a.partition(".")[2] not in {**_CHOICES, **_LISTS}):
        try:
            made = assign(made, {address: addresses[address]})
        except SpecError as error:
            notices.append(Sentence("{address}: {message}", address=quoted(address), message=error.message))
    if "layers" in link:
        try:
            raw = {**to_json(made.model), "layers": parsed(link["layers"])}
            made = replace(made, model=model_from_json(raw))
        except (SpecError, ValueError, RecursionError) as error:
            notices.append(
                Sentence("layers: {message}", message=getattr(error, "message", _("they are not readable JSON")))
            )
    return made, notices


def option_values(spec: Any) -> dict[str, Any]:
    """name → value of every option field: what a form shows."""
    return {name: getattr(spec, name) for name in declared(type(spec))}


def differs(one: Any, other: Any) -> list[str]:
    """The names of the fields in which two option objects differ."""
    return [f.name for f in dataclasses.fields(one) if getattr(one, f.name) != getattr(other, f.name)]
