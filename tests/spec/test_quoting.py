"""What comes in is clean; what a sentence quotes is literal, for a page and for a terminal."""

from __future__ import annotations

import json

import pytest

from core.spec.quoting import clean, markdown, one_line, parsed, quoted, shown, visible, whole
from tests.hostile import ACTING, BROKEN, live

EVERY = [pytest.param(text, id=ascii(text)[:24]) for text in (*ACTING, *BROKEN)]


@pytest.mark.parametrize("text", EVERY)
def test_clean_text_can_be_sent_and_drawn_and_is_cleaned_once(text: str) -> None:
    once = clean(text)
    once.encode()
    assert not any(c in once for c in "\x00\x1b\r\u202e") and clean(once) == once and len(once) == len(text)


def test_clean_leaves_text_of_all_languages_alone() -> None:
    for text in ("ordinary", "Größe ½ × π", "日本語\n\ttwo lines", "العربية", "👩\u200d🔬 می\u200cخواهم", "a\u00a0b"):
        assert clean(text) == visible(text) == text


def test_clean_goes_into_lists_objects_and_their_names_and_leaves_numbers() -> None:
    assert clean({"\ud800": ["\x00", 1, None, {"a": "\x1b"}]}) == {"\ufffd": ["\ufffd", 1, None, {"a": "\ufffd"}]}
    assert parsed('{"kind": "\\ud800", "pair": "\\ud83d\\ude00"}') == {"kind": "\ufffd", "pair": "😀"}
    with pytest.raises((ValueError, RecursionError)):
        parsed("[" * 100_000)


@pytest.mark.parametrize("text", EVERY)
def test_nothing_acts_in_markdown(text: str) -> None:
    assert live(markdown(text)) == []
    assert "\n" not in markdown(text)


@pytest.mark.parametrize("text", EVERY)
def test_a_quoted_value_is_one_short_line_without_controls(text: str) -> None:
    for made in (quoted(text), shown(text), one_line(text)):
        assert made.isprintable() or all(c.isprintable() or c in "\u200c\u200d" for c in made)
    assert len(quoted(text)) <= 60 and len(shown(text)) <= 60 and len(one_line(text)) <= 2000


def test_controls_are_written_out() -> None:
    assert quoted("a\x1b[2J\nb") == r"a\x1b[2J\nb"
    assert visible("two\nlines \u202e") == "two\nlines \\u202e"
    assert quoted(10**5000) == shown(10**5000) == "a number of thousands of digits"


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("7", 9, 7),
        (" 7 ", 9, 7),
        ("10", 9, None),
        ("-1", 9, None),
        ("1" * 4500, 9, None),
        ("٣", 9, 3),
        ("²", 9, None),
        ("1e3", 9999, None),
        ("", 9, None),
        ("0" * 30, 9, None),
    ],
)
def test_a_whole_number_is_read_or_refused(text: str, most: int, number: int | None) -> None:
    assert whole(text, most) == number


def test_no_text_is_no_value_of_an_option() -> None:
    from core.spec import specs
    from core.spec.options import SpecError

    for text in ("\udcff", "a\x00"):
        with pytest.raises(SpecError, match="must be a word"):
            specs.assign(specs.preset("gpt", "characters"), {"data.path": text})
    made, notices = specs.from_link({"layers": json.dumps([{"kind": "\ud800", "name": "a"}])})
    assert made.model.layers == () and len(notices) == 1 and notices[0].encode()
