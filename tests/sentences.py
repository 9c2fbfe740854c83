"""The checkers behind test_sentences.py: which sentences take in a value without quoting it.

They follow an expression as far as its own module and its function say what it is made of. What they cannot follow
counts as foreign: quoting it does no harm.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from functools import cache

# ── what is known to be harmless ─────────────────────────────────────────────────────────────────────────────────────

PLAIN_TYPES = {"int", "float", "bool", "Markdown", "int | None", "float | None"}
CATALOG = {"title", "words", "help", "label", "unit", "auto", "group", "needs", "says", "mend", "note", "ground"}
QUOTING = {"plain", "fill", "markdown", "quoted", "shown", "one_line"}
NUMBERS = {"len", "round", "int", "float", "sum", "size", "many", "moment", "abs"}
PASSING = {"Markdown", "str", "min", "max", "next", "iter", "list", "tuple", "reversed", "sorted", "dict", "filter"}
TEXT_METHODS = {"strip", "rstrip", "lower", "upper", "capitalize"}
_NUMERIC = re.compile(r"[-+ ,.\d~<>^]*[dfgGeEn%,xX]|,|\d*")


class Scope:
    """What names stand for where an expression is: in its function, the functions around it, and its module."""

    def __init__(self, module: ast.Module, around: list[ast.AST], typed: dict[str, str]) -> None:
        self.typed = typed  # function → the type that it says it returns
        self.names: dict[str, list[ast.AST]] = {}
        self.types: dict[str, str] = {}
        for place in [module, *around]:
            own = _names(place)
            self.names |= own
            if isinstance(place, ast.FunctionDef | ast.Lambda):
                self.types = {k: v for k, v in self.types.items() if k not in own}
                for one in [*place.args.args, *place.args.kwonlyargs, *place.args.posonlyargs]:
                    self.names.pop(one.arg, None) if one.arg not in own else None
                    self.types[one.arg] = ast.unparse(one.annotation) if one.annotation else "?"
        self._asked: set[str] = set()

    def literal(self, node: ast.AST | None) -> bool:  # noqa: C901, PLR0911, PLR0912 (one case a kind of expression)
        """Is this made of our own words, numbers, and quoted values?"""
        match node:
            case None | ast.Constant():
                return True
            case ast.JoinedStr(values=parts):
                return all(self.literal(part) for part in parts)
            case ast.FormattedValue(value=value, format_spec=spec):
                return _numeric(spec) or self.literal(value)
            case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
                return self.literal(one) and self.literal(other)
            case ast.BoolOp(values=many) | ast.List(elts=many) | ast.Tuple(elts=many) | ast.Set(elts=many):
                return all(self.literal(one) for one in many)
            case ast.Dict(values=many):
                return all(self.literal(one) for one in many)
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() | ast.SetComp():
                return self._comprehension(node)
            case ast.Starred(value=value) | ast.Await(value=value) | ast.UnaryOp(operand=value):
                return self.literal(value)
            case ast.NamedExpr(value=value):
                return self.literal(value)
            case ast.Subscript(value=value):
                return self.literal(value)
            case ast.Compare():
                return True
            case ast.Lambda(body=body):
                return self.literal(body)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Call():
                return self._call(node)
        return False

    def _name(self, name: str) -> bool:
        if name in self.types:
            return self.types[name] in PLAIN_TYPES
        if name in self._asked:  # it is made of itself: a sum of what the other places give
            return True
        if name not in self.names:
            return name.isupper() or name in QUOTING  # a constant of another module; a function given as format_func
        self._asked.add(name)
        try:
            return all(self.literal(value) for value in self.names[name])
        finally:
            self._asked.discard(name)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp) -> bool:
        before = dict(self.names), dict(self.types)
        for one in node.generators:
            for name, value in _bound(one.target, ast.Subscript(one.iter, ast.Constant(0), ast.Load())):
                self.names[name] = [value]
                self.types.pop(name, None)
        try:
            return self.literal(node.value if isinstance(node, ast.DictComp) else node.elt)
        finally:
            self.names, self.types = before

    def _call(self, node: ast.Call) -> bool:  # noqa: C901, PLR0911 (one case a kind of call)
        func = node.func
        if isinstance(func, ast.Name):
            if func.id == "_":
                return all(_of_the_catalog(arg) or self.literal(arg) for arg in node.args)
            if func.id == "fill":
                return self.literal(node.args[0])
            if func.id in QUOTING | NUMBERS or self.typed.get(func.id) in PLAIN_TYPES:
                return True
            if func.id in PASSING:
                return all(self.literal(arg) for arg in node.args)
            return False
        if isinstance(func, ast.Attribute):
            if func.attr == "format":
                return self._formatted(node, func.value)
            if func.attr == "join":
                return self.literal(func.value) and all(self.literal(arg) for arg in node.args)
            if func.attr in ("get", "values", "items", "pop"):
                return self.literal(func.value) and all(self.literal(arg) for arg in node.args[1:])
            if func.attr in TEXT_METHODS:
                return self.literal(func.value)
            return func.attr in QUOTING or self.typed.get(func.attr) in PLAIN_TYPES
        return False

    def _formatted(self, node: ast.Call, words: ast.expr) -> bool:
        specs = _specs(words)
        fine = (self.literal(k.value) or (k.arg is not None and _is_number(specs.get(k.arg))) for k in node.keywords)
        return self.literal(words) and not node.args and all(fine)


def _numeric(spec: ast.AST | None) -> bool:
    """Does the format take numbers alone? (`f"{name:,}"` fails for a text.)"""
    if not isinstance(spec, ast.JoinedStr):
        return False
    text = "".join(part.value if isinstance(part, ast.Constant) else "9" for part in spec.values)
    return _is_number(text)


def _is_number(spec: str | None) -> bool:
    return bool(spec) and not spec.isdigit() and _NUMERIC.fullmatch(spec) is not None


def _specs(words: ast.expr) -> dict[str, str]:
    """Field → its format, of a template that stands there as a constant."""
    found: dict[str, str] = {}
    for one in ast.walk(words):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            for _text, name, spec, _how in string.Formatter().parse(one.value):
                if name:
                    found[name] = spec or ""
    return found


def _of_the_catalog(node: ast.AST) -> bool:
    """A text that an entry of the catalog declares: `method.title`, `TITLES[state]`."""
    if isinstance(node, ast.Attribute):
        return node.attr in CATALOG
    return isinstance(node, ast.Subscript) and ast.unparse(node.value).split(".")[-1].isupper()


@cache
def _names(place: ast.AST) -> dict[str, list[ast.AST]]:
    """Name → every value that it is bound to in this module or function, not in those inside it."""
    found: dict[str, list[ast.AST]] = {}
    for node in _own(place):
        match node:
            case ast.Assign(targets=targets, value=value):
                pairs = [pair for target in targets for pair in _bound(target, value)]
            case ast.AnnAssign(target=target, value=value) | ast.AugAssign(target=target, value=value) if value:
                pairs = list(_bound(target, value))
            case ast.NamedExpr(target=target, value=value):
                pairs = list(_bound(target, value))
            case ast.For(target=target, iter=value):
                pairs = list(_bound(target, ast.Subscript(value, ast.Constant(0), ast.Load())))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                pairs = [(name, value)]
            case _:
                pairs = []
        for name, value in pairs:
            found.setdefault(name, []).append(value)
    return found


def _own(place: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(place):
        if not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from _own(child)


def _bound(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts) else None
        for i, one in enumerate(target.elts):
            yield from _bound(one, parts[i] if parts else value)
    elif isinstance(target, ast.Subscript):
        yield from _bound(target.value, value)


def returned(trees: dict[str, ast.Module]) -> dict[str, str]:
    """Function → the type that it says it returns, where all functions of that name agree."""
    found: dict[str, str] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                kind = ast.unparse(node.returns) if node.returns else "?"
                found[node.name] = kind if found.get(node.name, kind) == kind else "?"
    return found


def with_scopes(tree: ast.Module, typed: dict[str, str]) -> Iterator[tuple[ast.AST, Scope]]:
    """Every node of a module with what names stand for there."""

    def inside(node: ast.AST, around: list[ast.AST]) -> Iterator[tuple[ast.AST, Scope]]:
        scope = Scope(tree, around, typed)
        for child in ast.iter_child_nodes(node):
            yield from below(child, around, scope)

    def below(node: ast.AST, around: list[ast.AST], scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        yield node, scope
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from inside(node, [*around, node])
            return
        for child in ast.iter_child_nodes(node):
            yield from below(child, around, scope)

    yield from inside(tree, [])


# ── pages: what Streamlit reads as Markdown ──────────────────────────────────────────────────────────────────────────

LABELS = {
    "markdown",
    "caption",
    "error",
    "warning",
    "info",
    "success",
    "title",
    "header",
    "subheader",
    "badge",
    "toast",
    "metric",
    "button",
    "download_button",
    "link_button",
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
    "file_uploader",
    "segmented_control",
    "pills",
    "expander",
    "popover",
    "tabs",
    "dialog",
    "spinner",
    "status",
    "date_input",
    "color_picker",
    "write",
}
ALSO = {"help", "text", "captions", "label", "body"}  # parameters that are Markdown, too
OFFERS = {"radio", "segmented_control", "pills"}  # whose choices are Markdown
NOT_THE_SCREEN = {"log", "logging", "logger"}


def unquoted_on_pages(tree: ast.Module, typed: dict[str, str]) -> list[str]:
    """Markdown on the screen that takes in a value without quoting it."""
    found = []
    typed = typed | returned({"": tree})
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pages", "core")
        for alias in node.names
    }
    for node, scope in with_scopes(tree, typed):
        if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "Markdown":
            inner = Scope(tree, [node], typed)
            if node.name not in QUOTING:
                found += [
                    f"line {one.lineno}: {ast.unparse(one)[:90]}"
                    for one in _own(node)
                    if isinstance(one, ast.Return) and not inner.literal(one.value)
                ]
        if not isinstance(node, ast.Call):
            continue
        for value in () if _receiver(node) in ours | NOT_THE_SCREEN else _markdown_of(node):
            if not scope.literal(value):
                found.append(f"line {value.lineno}: {ast.unparse(node.func)}: {ast.unparse(value)[:90]}")
    return found


def _receiver(node: ast.Call) -> str:
    return ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""


def _markdown_of(node: ast.Call) -> Iterator[ast.expr]:
    func = node.func
    if not isinstance(func, ast.Attribute):
        return
    name, by_name = func.attr, {k.arg: k.value for k in node.keywords}
    if name == "progress":
        yield from [by_name["text"]] if "text" in by_name else []
        return
    if name not in LABELS:
        return
    yield from node.args[:1]
    yield from (value for key, value in by_name.items() if key in ALSO)
    if name in OFFERS:
        labels = by_name.get("format_func", node.args[1] if len(node.args) > 1 else by_name.get("options"))
        if labels is not None:
            yield labels


# ── core: what raises a sentence ─────────────────────────────────────────────────────────────────────────────────────

TOLD = {
    "EngineError",
    "EngineGone",
    "StoreError",
    "DiskFull",
    "SpecError",
    "CatalogError",
    "CannotShow",
    "Withheld",
    "DataError",
    "Unreachable",
    "DrawingError",
    "Mistake",
    "ModelError",
    "Problem",
}
OURS = re.compile(
    r"self\.(id\[:8\]|kind|_one|package|prog)|run\.id\[:8\]|error\.(strerror|message)|status\.state|view\.needs|"
    r"(self|known|METHODS|registry\.\w+)\.(kind|names\(\))|asked\.verb|[\w.]*entry\.name|(type|method|entry)\.title|"
    r"type\(\w+\)\.__name__|[a-z_]+\.(low|high|options|shape|dtype|length|__name__)"
)  # of core, what it knows itself: entries of its catalog, hexadecimal ids, numbers, sentences made here


def unquoted_in_core(tree: ast.Module, typed: dict[str, str]) -> list[str]:
    """Sentences of errors and problems that take in a value without quoting it."""
    found = []
    typed = typed | returned({"": tree})
    for node, scope in with_scopes(tree, typed):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in TOLD:
            for value in [*node.args, *(k.value for k in node.keywords)]:
                found += [f"line {one.lineno}: {{{ast.unparse(one)}}}" for one in _foreign(value, scope)]
    return found


def _foreign(value: ast.AST, scope: Scope) -> Iterator[ast.expr]:
    for one in ast.walk(value):
        if not isinstance(one, ast.FormattedValue) or _numeric(one.format_spec) or scope.literal(one.value):
            continue
        if OURS.fullmatch(ast.unparse(one.value)) is None:
            yield one.value


# ── core: what nobody could translate ────────────────────────────────────────────────────────────────────────────────

SAYING = TOLD | {"Fault", "Fit", "report"}  # calls whose texts a person reads
_TWO_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def raw_english(tree: ast.Module) -> list[str]:
    """Texts of two words and more that a person is told outside of Sentence(…), counted(…) and _(…)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (_called(node) in SAYING or _collects(node)):
            for value in [*node.args, *(k.value for k in node.keywords)]:
                for one in [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]:
                    if _TWO_WORDS.search(_english(one)):
                        found.append(f"line {one.lineno}: {_english(one)[:80]}")
    return found


def _collects(node: ast.Call) -> bool:
    return ast.unparse(node.func).endswith(("words.append", "said.append"))


def _english(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return " … ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    return ""


def unsound_sentences(tree: ast.Module) -> list[str]:
    """Sentences with other fields than values, or whose English no tool can gather: it stands elsewhere."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _called(node) in ("Sentence", "counted") and node.args):
            continue
        names = {keyword.arg for keyword in node.keywords}
        for text in node.args:
            if not isinstance(text, ast.Constant):
                found.append(f"line {node.lineno}: {ast.unparse(text)}")
            elif names and None not in names:
                fields = {name for _text, name, _spec, _how in string.Formatter().parse(text.value) if name}
                if fields | ({"n"} if _called(node) == "counted" else set()) != names:
                    found.append(f"line {node.lineno}: {text.value}")
    return found


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func).split(".")[-1]
