"""Sentences: English texts that can still be translated where they are read."""

from __future__ import annotations

import copy
import gettext
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from core.spec.pseudo import PSEUDO, pseudo
from core.spec.quoting import Quoted
from core.spec.sentences import ENGLISH, Language, Sentence, _, counted, join, remade

GERMAN = {
    "{name} = {value:,.2f} is out of range: {range}.": "{range}: {name} = {value:,.2f}.",
    "at least {n:g}": "mindestens {n:g}",
    " and ": " und ",
}


def german(words: str) -> str:
    language = Language(
        "de",
        lambda one: GERMAN.get(one, one),
        lambda one, many, n: "Schritt {n}" if n == 1 else "{n:,} Schritte",
        decimal=",",
        group=".",
    )
    return language.text(words)


def test_a_sentence_is_its_english_text_to_whoever_knows_nothing_of_languages() -> None:
    sentence = Sentence("{n:,} of {name}", n=1234, name="a")
    assert sentence == "1,234 of a" and hash(sentence) == hash("1,234 of a")
    assert json.dumps([sentence]) == '["1,234 of a"]' and f"{sentence}!" == "1,234 of a!"
    assert {sentence: 1}["1,234 of a"] == 1


def test_it_comes_whole_out_of_an_exception_a_copy_and_a_cache() -> None:
    sentence = counted("{n} step", "{n} steps", n=2)
    for made in (str(ValueError(sentence)), copy.deepcopy(sentence), copy.copy(sentence), _pickled(sentence)):
        assert isinstance(made, Sentence)
        assert (made.msgid, made.plural, dict(made.values)) == ("{n} step", "{n} steps", {"n": 2})


def _pickled(value: object) -> object:
    return pickle.loads(pickle.dumps(value))  # as Streamlit's cache keeps it


def test_it_does_not_change() -> None:
    sentence = Sentence("{n} steps", n=2)
    with pytest.raises(AttributeError, match="does not change"):
        sentence.msgid = "other"
    with pytest.raises(TypeError):
        sentence.values["n"] = 3  # type: ignore[index]


def test_its_repr_says_what_it_is_made_of() -> None:
    assert repr(Sentence("{n} of {name}", n=1, name="a")) == "Sentence('{n} of {name}', n=1, name='a')"
    assert eval(repr(counted("{n} step", "{n} steps", n=2))) == "2 steps"


def test_values_are_put_in_as_they_stand_and_what_is_foreign_is_quoted() -> None:
    assert Sentence("“{name}” is gone", name="{n}\n\x1b[31m") == "“{n}\\n\\x1b[31m” is gone"
    assert len(Sentence("{name}", name="x" * 1000)) == 500
    assert Sentence("{name}", name=Quoted("x" * 1000)) == "x" * 1000
    assert Sentence("{path}", path=Path("a/b")) == "a/b"
    assert Sentence("{all}", all=["a", "b\n"]) == "a, b\\n"
    numbers = Sentence("{a} {b} {c}", a=np.float32(0.5), b=np.float64(0.5), c=np.int64(3)).values
    assert numbers == {"a": 0.5, "b": 0.5, "c": 3} and {type(n) for n in numbers.values()} == {int, float}


def test_without_values_braces_are_text() -> None:
    assert _("a {b} {{c}}") == "a {b} {{c}}"
    assert ENGLISH.text(_("a {b} {{c}}")) == "a {b} {{c}}"


@pytest.mark.parametrize("msgid", ["{a.__class__}", "{a[0]}", "{a!r}", "{}", "{0}"])
def test_a_field_is_a_name_and_reaches_into_nothing(msgid: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Sentence(msgid, a="b")


def test_it_is_translated_with_its_numbers_and_the_sentences_within_it() -> None:
    least = Sentence("at least {n:g}", n=0.5)
    sentence = Sentence("{name} = {value:,.2f} is out of range: {range}.", name="lr", value=-1234.5, range=least)
    assert sentence == "lr = -1,234.50 is out of range: at least 0.5."
    assert german(sentence) == "mindestens 0,5: lr = -1.234,50."


def test_numbers_choose_among_the_forms_that_the_language_has() -> None:
    assert [counted("{n} step", "{n:,} steps", n=n) for n in (1, 0, 2000)] == ["1 step", "0 steps", "2,000 steps"]
    assert [german(counted("{n} step", "{n:,} steps", n=n)) for n in (1, 2000)] == ["Schritt 1", "2.000 Schritte"]


def test_sentences_are_joined_as_sentences() -> None:
    parts = [Sentence("at least {n:g}", n=0.5), "lr"]
    assert join(parts) == "at least 0.5 lr" and german(join(parts)) == "mindestens 0,5 lr"
    assert (
        join(parts, _(" and ")) == "at least 0.5 and lr" and german(join(parts, _(" and "))) == "mindestens 0,5 und lr"
    )
    assert german(parts[0] + " {x}") == "mindestens 0,5 {x}" and german("{x} " + parts[0]) == "{x} mindestens 0,5"
    assert join(parts[:1]) is parts[0] and join([]) == ""


@pytest.mark.parametrize("wrong", ["{no} field", "{n:d}", "{n", "{n.real}"])
def test_a_translation_that_does_not_fit_is_not_used(wrong: str) -> None:
    language = Language("de", lambda one: wrong, lambda *_: wrong)
    assert language.text(Sentence("{n:g} steps", n=1.5)) == "1.5 steps"


@pytest.mark.parametrize(
    "parts",
    [
        ("{n:999d}", "", {"n": 1}),
        ("{n.real}", "", {"n": 1}),
        ("{n}", "", {"m": 1}),
        ("{n}", "", {"n": None}),
        ("{n}", "", {"n": {"a": 1}}),
        ("{n}", "", [1]),
        (3, "", {}),
        ("a", "b", {"x": 1}),
        ("x" * 20_000, "", {}),
    ],
    ids=["wide", "reaching", "missing", "none", "object", "list", "number", "uncounted", "long"],
)
def test_what_was_written_elsewhere_makes_a_sound_sentence_or_none(parts: tuple[object, ...]) -> None:
    with pytest.raises(ValueError):
        remade(*parts)


def test_what_was_written_down_makes_the_same_sentence() -> None:
    sentence = counted("{n} of {all}", "{n} of {all}s", n=2, all=["a", Sentence("{b:.1f}", b=0.25)])
    again = remade(sentence.msgid, sentence.plural, dict(sentence.values))
    assert again == sentence and again.values == sentence.values


# ── the language that nobody speaks ──────────────────────────────────────────


@pytest.mark.parametrize(
    ("english", "made"),
    [
        ("A **net** of {n:,} layers", "⟦Á **ńéť** óḟ {n:,} ĺáýéŕś⟧"),
        ("[see](http://a.b) `x = y` :material/add: <br>%{x}", "⟦[śéé](http://a.b) `x = y` :material/add: <br>%{x}⟧"),
        ("{a}: {b}", "{a}: {b}"),
    ],
    ids=["field", "left alone", "no words"],
)
def test_the_pseudo_language_changes_words_and_nothing_else(english: str, made: str) -> None:
    assert pseudo(english) == made


def test_every_letter_of_a_sentence_is_changed_but_for_the_values() -> None:
    sentence = Sentence("The {layer} has {n:,} of {what}", layer="conv1", n=1, what=_("maps"))
    assert PSEUDO.text(sentence) == "⟦Ťħé conv1 ħáś 1 óḟ ⟦ṁáṗś⟧⟧"


def test_catalogs_of_gettext_serve_as_languages() -> None:
    known = gettext.NullTranslations()
    assert Language("en", known.gettext, known.ngettext).text(counted("{n} step", "{n} steps", n=2)) == "2 steps"
