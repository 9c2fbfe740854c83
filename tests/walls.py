"""The checkers behind test_walls.py: each reads a module's syntax tree and says what it does that it must not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ── imports ──────────────────────────────────────────────────────────────────

LIGHT = ("spec", "catalog", "store", "figures", "diagnosis", "engine")
WORKER = ("worker.data", "worker.model", "worker.train", "worker.look", "worker.explain", "worker")
HEAVY = (*WORKER, "bench", "doctor", "cli", "__main__")
USE_THE_WORKER = (*WORKER, "bench")  # everybody else asks the engine
ROOMS = {room: rank for rank, room in enumerate(LIGHT + HEAVY)}  # a room imports only from itself and those before it
PACKAGES = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}  # module → where it is called else
IMPORTED_WHERE_THERE = {"umap", "lightning", "ignite", "skorch", "fastai", "keras", "accelerate"}  # never needed
BANNED_FOR_THE_WEB = ("torch", "torchvision", "captum", "sklearn", "skimage")


def imported(tree: ast.AST) -> Iterator[str]:
    """The full name of everything a module imports, also inside functions and by import_module("…")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node).endswith("import_module") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def wrong_imports(tree: ast.AST, room: str) -> list[str]:
    """Imports of a module in `room` from a room that is not above it, from pages, or of streamlit."""
    wrong = []
    for name in imported(tree):
        parts = name.split(".")
        if name.startswith("."):
            wrong.append(f"{name}: write imports in full, core.…")
        elif parts[0] in ("streamlit", "pages", "app"):
            wrong.append(f"{name}: core knows nothing of the screen")
        elif parts[0] == "core" and len(parts) > 1:
            if (other := _room(parts[1:])) not in ROOMS:
                wrong.append(f"{name}: core.{other} is in no list of rooms (tests/walls.py)")
            elif ROOMS[other] > ROOMS[room]:
                wrong.append(f"{name}: core.{other} is below core.{room}")
    return wrong


def heavy_imports(tree: ast.AST) -> list[str]:
    """Imports that the web process and the light rooms must not make."""
    wrong = []
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] in BANNED_FOR_THE_WEB or (parts[0] == "core" and len(parts) > 1 and _room(parts[1:]) in HEAVY):
            wrong.append(name)
    return wrong


def of_the_worker(tree: ast.AST) -> list[str]:
    """Imports of core.worker, wherever they stand. Addresses of heavy halves are texts, and no imports."""
    return [name for name in imported(tree) if name == "core.worker" or name.startswith("core.worker.")]


def room_of(path: Path, core: Path) -> str:
    """The room that a file of core belongs to."""
    return _room(path.relative_to(core).with_suffix("").parts)


def _room(parts: Sequence[str]) -> str:
    """core.worker has rooms within it; what lies beside them is its own."""
    inner = ".".join(parts[:2])
    return inner if inner in WORKER else parts[0]


# ── files ────────────────────────────────────────────────────────────────────

_FILE_METHODS = {
    "open",
    "fdopen",
    "write_text",
    "write_bytes",
    "read_text",
    "read_bytes",
    "mkdir",
    "makedirs",
    "unlink",
    "rmdir",
    "touch",
    "symlink_to",
    "hardlink_to",
    "rglob",
    "iterdir",
    "listdir",
    "scandir",
    "chmod",
    "truncate",
    "ftruncate",
}
OTHER_FILES: set[tuple[str, str]] = set()  # (module, call) of what LayerLab does not store; none so far
_HARMLESS = {"shutil.which", "shutil.get_terminal_size", "webbrowser.open"}


def file_calls(tree: ast.AST) -> list[str]:
    """Calls that read or change files: `os.remove`, `?.open` where the receiver is an expression."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _called(node)
            of_module = name.split(".")[0] in ("shutil", "tempfile") or name in ("os.remove", "os.rename", "os.replace")
            nowhere = bool(node.args) and ast.unparse(node.args[0]) == "os.devnull"
            if name not in _HARMLESS and not nowhere and (of_module or name.split(".")[-1] in _FILE_METHODS):
                found.append(name)
    return found


def _called(node: ast.Call) -> str:
    """`os.path.join` for os.path.join(…); `?.open` where the receiver is an expression."""
    parts: list[str] = []
    at: ast.expr = node.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    parts.append(at.id if isinstance(at, ast.Name) else "?")
    return ".".join(reversed(parts))


# ── what runs what it reads ──────────────────────────────────────────────────

_RUNNING_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "jsonpickle", "copyreg"}
_RUNNING_CALLS = {"eval", "exec", "torch.load", "torch.save", "torch.hub.load", "pandas.read_pickle", "np.save"}
OWN_UNPICKLER = (
    "core/worker/data/cifar10.py"  # files that are made so by others; it lets numpy's arrays through and no more
)


def running_what_it_reads(tree: ast.AST) -> list[str]:
    """Imports and calls that run code which stands in the bytes they read: unpickling, eval, and the like."""
    found = [name for name in imported(tree) if name.split(".")[0] in _RUNNING_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _called(node)
            method, allowed = name.split(".")[-1], {k.arg: ast.unparse(k.value) for k in node.keywords}
            of_connection = "." in name and (
                (method == "recv" and not node.args) or (method == "send" and name.split(".")[-2].endswith("conn"))
            )
            if name in _RUNNING_CALLS or of_connection or allowed.get("allow_pickle", "False") != "False":
                found.append(name)
    return found


# ── answers ──────────────────────────────────────────────────────────────────

_PARTS = ("facts", "arrays")  # of an answer


def literal_keys(tree: ast.AST) -> list[str]:
    """Reads of an answer's facts or arrays by a key that is written out: `seen.facts["x"]`, `f"x/{y}" in arrays`."""
    aliases = {name for node in ast.walk(tree) if isinstance(node, ast.Assign) for name in _aliases(node)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=held, slice=key):
                pass
            case ast.Call(func=ast.Attribute(value=held, attr="get"), args=[key, *_]):
                pass
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[held]):
                pass
            case _:
                continue
        of_answer = isinstance(held, ast.Name) and held.id in aliases
        if (of_answer or _is_part(held)) and (isinstance(key, ast.JoinedStr) or _is_text(ast.unparse(key))):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def _aliases(node: ast.Assign) -> Iterator[str]:
    """The names that an assignment gives to an answer's facts or arrays."""
    target, value = node.targets[0], node.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for name, held in pairs:
        if isinstance(name, ast.Name) and _is_part(held):
            yield name.id


def _is_part(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in _PARTS


# ── names ────────────────────────────────────────────────────────────────────

_VAGUE = re.compile(r"^_*(utils?|commons?|helpers?|misc|managers?)$")


def vague_names(path: Path) -> list[str]:
    """Words in a path that say nothing about what is in it."""
    words = [part for piece in path.with_suffix("").parts for part in (piece, *piece.split("_"))]
    return sorted({word for word in words if _VAGUE.match(word)})


# ── session state ────────────────────────────────────────────────────────────

STATE_KEYS = {
    "run",
    "sample",
    "layer",
    "step",
    "drawn",
    "model",
    "data",
    "language",
}  # what every page follows, and is asked for


def widget_keys(tree: ast.AST) -> set[str]:
    """The keys given to widgets, as source text: `"lr"`, `f"{run}/lr"`."""
    return {
        ast.unparse(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "key"
    }


def state_uses(tree: ast.AST, keys: set[str], *, forms: bool = False) -> list[str]:
    """Uses of st.session_state other than under the key of a widget (`keys`) or of what every page follows.

    `forms`: keys may be computed, as they are where the widgets themselves are drawn from options.
    """
    allowed = keys | {repr(key) for key in STATE_KEYS}
    found, blessed = [], set()
    for node in ast.walk(tree):
        used = _state_key(node)
        if used is not None:
            state, key = used
            blessed.add(id(state))
            if key not in allowed and not (forms and not _is_text(key)):
                found.append(f"line {state.lineno}: st.session_state under {key}")
    for node in ast.walk(tree):
        if _is_state(node) and id(node) not in blessed and not forms:
            found.append(f"line {node.lineno}: st.session_state as a whole")  # type: ignore[attr-defined]
    return found


def _state_key(node: ast.AST) -> tuple[ast.expr, str] | None:
    """(the st.session_state in it, its key as source text) of one use under a key."""
    if isinstance(node, ast.Subscript) and _is_state(node.value):
        return node.value, ast.unparse(node.slice)
    if isinstance(node, ast.Compare) and _is_state(node.comparators[0]) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return node.comparators[0], ast.unparse(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_state(node.func.value):
        return node.func.value, ast.unparse(node.args[0]) if node.args else f"{node.func.attr}()"
    if isinstance(node, ast.Attribute) and _is_state(node.value) and node.attr not in ("get", "pop", "setdefault"):
        return node.value, repr(node.attr)
    return None


def _is_text(source: str) -> bool:
    return isinstance(ast.parse(source, mode="eval").body, ast.Constant)


def _is_state(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "session_state"


# ── words on the screen ──────────────────────────────────────────────────────

_SHOWN_BY = {
    "title",
    "header",
    "subheader",
    "write",
    "markdown",
    "caption",
    "text",
    "info",
    "warning",
    "error",
    "success",
    "toast",
    "button",
    "download_button",
    "link_button",
    "form_submit_button",
    "checkbox",
    "toggle",
    "radio",
    "selectbox",
    "multiselect",
    "slider",
    "select_slider",
    "number_input",
    "text_input",
    "text_area",
    "date_input",
    "file_uploader",
    "color_picker",
    "segmented_control",
    "pills",
    "feedback",
    "metric",
    "expander",
    "popover",
    "tabs",
    "status",
    "spinner",
    "dialog",
    "chat_input",
}
_SHOWN_KEYWORDS = {"label", "help", "placeholder", "body", "caption", "captions", "text", "delta_description"}
_NOT_THE_SCREEN = {"logging", "log", "logger", "sys", "stdout", "stderr"}
_NO_WORDS = re.compile(r"LayerLab|:material/\w+:|&\w+;|:[a-z-]+\[|\{[^}]*\}|<[^>]*>|`[^`]*`|https?://\S+")


def untranslated(tree: ast.AST) -> list[str]:
    """Words given to the screen that do not pass through _(…)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SHOWN_BY:
            if set(_called(node).split(".")[:-1]) & _NOT_THE_SCREEN:
                continue
            shown = [*node.args[:1], *(k.value for k in node.keywords if k.arg in _SHOWN_KEYWORDS)]
            for value in shown:
                found += [f"line {node.lineno}: {node.func.attr}({words!r})" for words in _words(value)]
    return found


def _words(value: ast.expr) -> list[str]:
    """The words that `value` holds as literals outside of _(…)."""
    match value:
        case ast.Constant(value=str(text)):
            return [text] if re.search(r"[^\W\d_]", _NO_WORDS.sub("", text)) else []
        case ast.JoinedStr(values=parts):
            return _words(ast.Constant("".join(p.value for p in parts if isinstance(p, ast.Constant))))
        case ast.List(elts=many) | ast.Tuple(elts=many) | ast.BoolOp(values=many):
            inside = many
        case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
            inside = [one, other]
        case ast.Call(func=ast.Attribute(value=one, attr="format" | "join")):
            inside = [one]
        case _:
            inside = []
    return [word for one in inside for word in _words(one)]
