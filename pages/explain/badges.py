"""One method's card: its name, its map or why there is none, whether its own check holds, and what it has cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.catalog.entries import DRAWS, FITS, OTHER, WITHHELD, Method
from core.spec.questions import Explain, Explained, MethodFit
from pages.explain import why_maps
from pages.explain.why_options import Price
from pages.kit.words import _, plain

WIDTH = 216  # pixels of a card: four stand beside each other on a projector


@dataclass(frozen=True)
class Place:
    """One method's place in the comparison."""

    method: Method
    fit: MethodFit
    price: Price
    asked: Explain  # the question for this method alone
    costly: bool = False  # it waits for a word: nobody has agreed to its price yet

    @property
    def runs(self) -> bool:
        """Is it asked for?"""
        return not self.unfit and not self.costly

    @property
    def unfit(self) -> str:
        """Why it is not run; empty where it can be."""
        return self.price.fault or (self.fit.reason if self.fit.status == WITHHELD else "")


def draw(
    place: Place,
    found: Explained | None,
    failed: str,
    *,
    kind: str,
    over: bool,
    agree: Callable[[], None],
    spread: Callable[[], None],
) -> None:
    """The card of one method; `found` is None while its map is on its way.

    agree: what a word for its price does; spread: what the button does that takes several seeds, or one again.
    """
    title = _(place.method.title)
    with st.container(border=True, width=width(kind), gap="xsmall"):
        st.markdown(f"**{plain(title)}**", help=_(place.method.words))
        if place.unfit or (found is not None and found.withheld):
            _instead(place.unfit or (found.withheld if found else ""), kind, "block", _("not available"))
        elif failed:
            _instead(failed, kind, "error", _("failed"))
        elif place.costly:
            words = _("It would take about {passes} here. So many are not run unasked.")
            _instead(words.format(passes=passes(place.price.units)), kind)
            if st.button(_("Run it"), key=f"why.run.{place.method.name}", icon=":material/play_arrow:"):
                agree()
        elif found is None:
            words = _("about {passes}").format(passes=passes(place.price.units))
            if place.price.most > place.price.units:
                words = _("{least} to {passes}").format(
                    least=f"{place.price.units:,.0f}", passes=passes(place.price.most)
                )
            _instead("", kind, "hourglass_empty", _("on its way"), words)
            if place.method.averages in (DRAWS, FITS):  # its place is kept, so that no card jumps when the map comes
                label = _("Spread over {n} seeds").format(n=place.asked.seeds)
                key = f"why.spread.{place.method.name}"
                st.button(plain(label), key=key, icon=":material/casino:", type="tertiary", disabled=True)
        elif not np.isfinite(found.attribution).all():
            words = _("The values are not finite here; no map is shown.")
            _instead(words, kind, "block", _("not available"))
        elif found.rounding:
            why_maps.instead(found.rounding, kind)
            _proof(place, found)
        else:
            why_maps.draw(found, title, over=over)
            _proof(place, found)
            _seeds(place, found, spread)


def width(kind: str) -> int:
    """Pixels of a card."""
    return WIDTH if kind != "tokens" else 2 * WIDTH + 16


def _instead(words: str, kind: str, icon: str = "", label: str = "", price: str = "") -> None:
    """What stands where the map would be, and beneath it a badge and a line as under every map."""
    why_maps.instead(words, kind)
    if label:
        st.badge(plain(label), icon=f":material/{icon}:", color="red" if icon == "error" else "gray")
        st.caption(plain(price or _("not run")))


def _proof(place: Place, found: Explained) -> None:
    icon, words, color = badge(found)
    st.badge(plain(words), icon=icon, color=color, help=plain(meaning(found) or "") or None)  # type: ignore[arg-type]
    if place.fit.status == OTHER:  # its own line has no room for the time, which the table has, too
        spent = f"{plain(passes(found.cost))} · :material/alt_route: {_('another way')}"
        st.caption(spent, help=plain(place.fit.reason))
    else:
        st.caption(plain(" · ".join(cost(found))))


def _seeds(place: Place, found: Explained, spread: Callable[[], None]) -> None:
    """Of a method that draws at random: the way to several seeds, and what they have in common."""
    told = found.over
    if told:
        words = _("{n} seeds: top tenth {alike} in common, correlation {r}, ± {deviation} of the largest value")
        st.caption(
            words.format(
                n=len(told.seeds),
                alike=f"{told.overlap:.0%}",
                r=f"{told.correlation:.2f}",
                deviation=f"{told.deviation:.0%}",
            )
        )
    if told or found.draws:
        label = _("One seed") if told else _("Spread over {n} seeds").format(n=place.asked.seeds)
        help_ = _(
            "This method draws at random. The mean over several seeds shows what was not luck; it takes so many "
            "times as long."
        )
        key = f"why.spread.{place.method.name}"
        if st.button(plain(label), key=key, icon=":material/casino:", type="tertiary", help=help_):
            spread()


def badge(found: Explained) -> tuple[str, str, str]:
    """(icon, words, colour) of a result's own check."""
    if found.rounding:
        return ":material/blur_on:", _("only rounding"), "orange"
    shares = ((_("gap {gap}"), found.gap), (_("map ± {gap}"), found.change), (_("chance ± {gap}"), found.error))
    told = [words.format(gap=share(value)) for words, value in shares if value is not None and np.isfinite(value)]
    if found.holds is None:
        return ":material/remove:", " · ".join(told) or _("no self-check"), "gray"
    if found.holds:
        return ":material/check_circle:", " · ".join([_("holds"), *told]), "green"
    return ":material/cancel:", " · ".join([_("does not hold"), *told]), "red"


def meaning(found: Explained) -> str | None:
    """What the numbers on the badge are, for who points at it."""
    said = []
    if found.gap is not None:
        said.append(_("gap: by how much the sum of the map misses the difference that it should be."))
    if found.change is not None:
        said.append(
            _(
                "map ±: by how much a value changes at most when every other point of the way is left out, as a "
                "share of the largest value."
            )
        )
    if found.error is not None:
        said.append(
            _(
                "chance ±: the standard error of a mean over random draws, where it is largest, as a share of "
                "the largest value. More draws make it smaller."
            )
        )
    return " ".join(said) or None


def share(gap: float) -> str:
    """A gap in per cent, with two digits that say something."""
    if gap >= 10:
        return f"{gap:,.0%}".replace("%", " %")
    return (f"{gap:.1%}" if gap >= 0.0005 else "< 0.1%").replace("%", " %")


def passes(units: float) -> str:
    """A price in words; one pass is a forward and a backward pass of one sample."""
    number = f"{units:,.0f}" if units >= 100 or units == round(units) else f"{units:.1f}"
    return _("1 pass") if number == "1" else _("{n} passes").format(n=number)


def cost(found: Explained) -> list[str]:
    """What it has cost, and what luck it depended on."""
    said = [
        passes(found.cost),
        _("{n} ms").format(n=f"{1000 * found.seconds:.0f}")
        if found.seconds < 1
        else _("{n} s").format(n=f"{found.seconds:.1f}"),
    ]
    if found.layer:
        said.append(found.layer)
    if "seed" in found.code:
        said.append(_("seed {n}").format(n=found.seed))
    return said
