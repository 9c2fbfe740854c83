"""Every sentence that quotes a foreign value does it by one function. See tests/sentences.py for how that is found."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests import sentences
from tests.walls import ROOT


@cache  # not at import: every process that collects the tests would parse the whole tree
def trees(room: str) -> dict[Path, ast.Module]:
    """The modules of a room of the top level, parsed."""
    return {p: ast.parse(p.read_text(encoding="utf-8")) for p in sorted((ROOT / room).rglob("*.py"))}


@cache
def typed(room: str) -> dict[str, str]:
    return sentences.returned({str(p): tree for p, tree in trees(room).items()})


MADE_VISIBLE = ("engine",)  # rooms whose one error makes its own text visible: EngineError.__init__
OURS = {  # what was looked at, and is ours: numbers, names of the catalog, sentences made beside it
    "catalog/applies.py": ["2 * before", "before", "' and '.join(mixing)", "message", "name"],
    "worker/model/build.py": ["fix", "name", "spec.name"],
    "catalog/trials.py": ["', '.join(known)", "name"],
    "cli/__init__.py": ["name.replace('_', '-')"],
    "cli/requests.py": ["asked.seeds", "ending", "flag", "view.name"],
    "cli/runs.py": ["2 * status.steps", "experiment.data.name", "flag", "is_finished(status)"],
    "worker/data/cifar10.py": ["found", "name"],
    "worker/data/download.py": ["put", "reason", "title", "url"],
    "worker/data/emnist.py": ["name"],
    "worker/data/idx.py": ["found", "known.first_label", "labels.max()", "labels.min()", "last"],
    "worker/explain/questions.py": ["count"],
    "worker/explain/explained_case.py": ["name"],
    "worker/explain/methods/controls.py": ["fit.reason"],
    "worker/explain/methods/neurons.py": ["case.layer", "known", "options.unit", "ranges", "shown"],
    "worker/explain/methods/perturbation.py": ["side", "stride"],
    "worker/explain/scoreboard/score.py": ["subject.experiment.data.name"],
    "worker/explain/views/attack.py": ["known"],
    "worker/explain/views/concepts.py": ["address"],
    "worker/explain/views/faithfulness.py": ["known", "reasons"],
    "worker/explain/views/influence.py": ["', '.join(broken)"],
    "worker/model/flaws.py": ["said", "spec.name"],
    "worker/train/generate.py": ["named", "there"],
    "spec/options.py": ["', '.join(known.choices)", "_range(known)", "name", "wanted"],
    "spec/registry.py": ["hint", "self._files"],
    "spec/specs.py": [
        "', '.join(known.names())",
        "', '.join(names)",
        "', '.join(sorted(known))",
        "chosen",
        "error.field",
        "name",
        "names",
        "place",
    ],
    "store/engine_files.py": ["said"],
    "store/files.py": ["reason"],
    "store/runs.py": ["error"],
    "worker/train/training.py": ["', '.join(self.values)"],
    "worker/look/embeddings.py": ["options.method"],
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ── the checkers find what they are for ──────────────────────────────────────


@pytest.mark.parametrize(
    "source",
    [
        "st.warning(name)",
        "st.markdown(f'**{run.name}**')",
        "st.error(_('{x} is wrong').format(x=layer))",
        "def f(x):\n    words = x\n    st.caption(words)",
        "st.button('a', help=hover)",
        "st.pills('a', names)",
        "def f() -> Markdown:\n    return Markdown(name)",
        "st.caption(_(name))",
        "st.progress(.5, text=words)",
        "def f(found):\n    said = []\n    said.append(found.layer)\n    st.caption(' '.join(said))",
        "for notice in notices():\n    st.warning(notice)",
        "st.badge(words[kind])",
    ],
)
def test_the_page_checker_finds_a_value_that_is_not_quoted(source: str) -> None:
    assert sentences.unquoted_on_pages(ast.parse(source), {})


@pytest.mark.parametrize(
    "source",
    [
        "st.warning(_('Gone.'))",
        "st.markdown(f'**{plain(run.name)}**')",
        "st.error(fill(_('{x} is wrong'), x=layer))",
        "st.caption(f'{count:,} runs')",
        "def f(n: int):\n    st.caption(_('{n} runs').format(n=n))",
        "st.caption(_('{x:.3g} nats').format(x=loss))",
        "st.button('a', help=plain(hover))",
        "log.warning(name)",
        "st.pills('a', names, format_func=plain)",
        "def f(x: Markdown):\n    st.caption(x)",
        "st.info(_(view.needs))",
        "def f(x):\n    words = plain(x)\n    st.caption(words)",
        "words = {'a': _('b')}\nst.badge(words[kind])",
    ],
)
def test_the_page_checker_lets_quoted_values_pass(source: str) -> None:
    assert sentences.unquoted_on_pages(ast.parse(source), {}) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise StoreError(f'{path} is gone')",
        "Problem(name, f'no {kind}', 'fix')",
        "raise SpecError('a', f'{value!r} is wrong')",
        "raise Mistake(f'--out {asked.out}')",
    ],
)
def test_the_checker_of_core_finds_a_value_that_is_not_quoted(source: str) -> None:
    assert sentences.unquoted_in_core(ast.parse(source), {})


@pytest.mark.parametrize(
    "source",
    [
        "raise StoreError(f'{quoted(path)} is gone')",
        "raise SpecError('a', f'{n:,} is too many of {MOST}')",
        "raise StoreError(f'Run {self.id[:8]} is gone')",
        "name = quoted(x)\nraise Mistake(f'{name} is wrong')",
    ],
)
def test_the_checker_of_core_lets_quoted_values_pass(source: str) -> None:
    assert sentences.unquoted_in_core(ast.parse(source), {}) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise StoreError('It is gone.')",
        "raise Mistake(f'{name} is not there')",
        "words.append('It is gone.')",
        "Fault(Sentence('a'), 'remove this layer' if x else 'keep this layer')",
        "report(0.5, f'asking the {n}th sample')",
    ],
)
def test_the_checker_finds_what_nobody_could_translate(source: str) -> None:
    assert sentences.raw_english(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "Sentence('{a} of {b}', a=1)",
        "Sentence('{a}', a=1, b=2)",
        "Sentence(f'{a} is', a=1)",
        "counted('{m}', '{n}', n=1)",
    ],
)
def test_the_checker_finds_a_sentence_whose_fields_are_not_its_values(source: str) -> None:
    assert sentences.unsound_sentences(ast.parse(source))


def test_the_checkers_let_sentences_pass() -> None:
    tree = ast.parse("raise StoreError(Sentence('{a} is gone', a=a))\nwords.append(counted('one', '{n} of us', n=n))")
    assert sentences.raw_english(tree) == sentences.unsound_sentences(tree) == []


# ── the walls ────────────────────────────────────────────────────────────────


def test_all_markdown_of_the_pages_quotes_what_is_foreign() -> None:
    """By pages.kit.words.plain or fill."""
    assert {
        _name(p): bad
        for p, tree in trees("pages").items()
        if (bad := sentences.unquoted_on_pages(tree, typed("pages")))
    } == {}


def test_every_sentence_of_core_quotes_what_is_foreign() -> None:
    """By quoted or shown; what is ours all the same stands in OURS, once somebody has looked at it."""
    wrong = {}
    for path, tree in trees("core").items():
        name = str(path.relative_to(ROOT / "core"))
        ours = {f"{{{one}}}" for one in OURS.get(name, [])}
        bad = [one for one in sentences.unquoted_in_core(tree, typed("core")) if one.partition(": ")[2] not in ours]
        if bad and path.relative_to(ROOT / "core").parts[0] not in MADE_VISIBLE:
            wrong[name] = bad
    assert wrong == {}


def test_what_core_says_to_people_can_be_translated() -> None:
    assert {_name(p): bad for p, tree in trees("core").items() if (bad := sentences.raw_english(tree))} == {}


def test_every_sentence_has_the_values_of_its_fields_and_can_be_gathered() -> None:
    made_elsewhere = ("core/spec/sentences.py", "core/diagnosis/__init__.py", "core/spec/commands.py")  # of sentences
    found = {_name(p): bad for p, tree in trees("core").items() if (bad := sentences.unsound_sentences(tree))}
    assert {name: bad for name, bad in found.items() if name not in made_elsewhere} == {}


def test_the_command_line_prints_by_one_function() -> None:
    """core.cli.output.say, which makes control characters visible."""
    printed = [
        f"{_name(path)} line {node.lineno}"
        for path, tree in trees("core").items()
        if path.parent.name == "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert len(printed) == 2 and all(one.startswith("core/cli/output.py") for one in printed), printed  # say; JSON


def test_the_address_is_read_in_one_place() -> None:
    """pages.kit.location.address, which cleans it."""
    readers = [_name(path) for path, tree in trees("pages").items() if "query_params" in ast.unparse(tree)]
    assert readers == ["pages/kit/exchange.py", "pages/kit/location.py"]  # the former writes whole links


def test_json_from_outside_is_read_by_one_function() -> None:
    """quoting.parsed, which cleans it. The others read what this program has itself written a moment before."""
    own = {
        "core/spec/quoting.py",
        "core/engine/live.py",
        "core/store/log.py",
        "core/store/runs.py",
        "core/store/scores.py",
        "core/store/files.py",
        "core/store/addresses.py",
        "core/engine/wire.py",
        "pages/kit/setup.py",
        "pages/build/builder.py",
    }
    readers = {
        _name(path)
        for path, tree in {**trees("core"), **trees("pages")}.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "json.loads"
    }
    assert readers <= own


def test_every_function_that_makes_a_figure_escapes_the_names_it_is_given() -> None:
    bare = [
        f"{_name(path)}: {node.name}"
        for path, tree in trees("core").items()
        if path.parent.name == "figures"
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and "go.Figure" in ast.unparse(node.returns)
        and "literal" not in [ast.unparse(one) for one in node.decorator_list]
    ]
    assert bare == []


def test_no_script_in_the_browser_writes_html() -> None:
    for file in (ROOT / "assets" / "web").glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not any(way in text for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")), file
