"""Which networks the methods that change the backward pass are right for, judged by what was found in the network."""

from core.catalog.entries import OTHER, WITHHELD, Findings, Fit
from core.spec.sentences import Sentence, _, join

OF_DEEP_LIFT = frozenset({"relu", "elu", "leaky_relu", "sigmoid", "tanh", "softplus"})  # Captum has a rule for these
OF_RELU = frozenset({"relu", "max_pool1d", "max_pool2d", "max_pool3d"})
NOT_ZERO_AT_ZERO = frozenset(
    {
        "sigmoid",
        "softplus",
        "logsigmoid",
        "log_sigmoid",
        "hardsigmoid",
        "threshold",
        "exp",
        "cos",
        "clamp",
        "clip",
        "clamp_min",
        "clamp_max",
    }
)


def listed(names: tuple[str, ...]) -> str:
    """conv1, conv2 and 3 more."""
    if len(names) > 2:
        return Sentence("{some} and {n} more", some=names[:2], n=len(names) - 2)
    return join(names, _(" and "))


def mixing(title: str, found: Findings) -> str:
    """Why no rule of a single value can be laid on this network; "" where one can."""
    if found.recurrent:
        return Sentence(
            "{title} has no rule for {listed}: a recurrent layer's tanh and gates work inside one call, out "
            "of its sight, and the plain gradient would stand in there. Choose Integrated Gradients.",
            title=title,
            listed=listed(found.recurrent),
        )
    if found.softmaxes:
        return Sentence(
            "{title} has no rule for the attention or softmax in {listed}, where every value depends on all "
            "the others. Choose Integrated Gradients.",
            title=title,
            listed=listed(found.softmaxes),
        )
    if found.layer_norms:
        return Sentence(
            "{title} has no rule for {listed}: a layer or group norm divides by what it measures in its own "
            "input. Choose Integrated Gradients.",
            title=title,
            listed=listed(found.layer_norms),
        )
    if found.products:
        return Sentence(
            "{title} has no rule for {listed}, where two signals are multiplied (a gate): it cannot say "
            "which of them made the product. Choose Integrated Gradients.",
            title=title,
            listed=listed(found.products),
        )
    if found.strange:
        return Sentence(
            "{title} has no rule for the function in {listed}. Choose Integrated Gradients.",
            title=title,
            listed=listed(found.strange),
        )
    return ""


def unseen(found: Findings) -> str:
    """What a hook on modules does not see or cannot tell apart; "" where hooks on modules see all."""
    if found.functional:
        return Sentence(
            "what is called in {listed} is a function, no module of its own", listed=listed(found.functional)
        )
    bent = tuple(name for name in found.reused if name in (*found.activations, *found.max_pools))
    if bent:
        return Sentence("several calls share {listed}", listed=listed(bent))
    return ""


def deep_lift(found: Findings) -> Fit:
    """DeepLift and DeepLiftShap: functions of one value, max-pools, and anything affine."""
    why = mixing("DeepLift", found)
    if why:
        return Fit(WITHHELD, why)
    wrong = not_for_captums_deep_lift(found)
    if wrong:
        return Fit(OTHER, _own_way(wrong))
    if found.chained:
        return Fit(
            OTHER,
            Sentence(
                "Captum's own rules get into each other's way where an activation's output goes straight into "
                "{listed}; LayerLab's backward pass keeps them apart, as a “+ 0” between the two does.",
                listed=listed(found.chained),
            ),
        )
    return Fit()


def not_for_captums_deep_lift(found: Findings) -> str:
    """Why no insertion of modules makes Captum's DeepLift right here; "" where it is, or one does."""
    hidden = unseen(found)
    if hidden:
        return hidden
    unknown = tuple(name for name in found.bends if name not in OF_DEEP_LIFT and not name.startswith("max_pool"))
    if unknown:
        return Sentence("Captum has no rule for {listed}", listed=listed(unknown))
    if found.overlapping:
        return Sentence(
            "Captum loses credit where windows overlap or have gaps, in {listed}", listed=listed(found.overlapping)
        )
    return ""


def _own_way(wrong: str) -> str:
    return Sentence(
        "By LayerLab's own backward pass, which lays the rule on every function as it is called. "
        "Captum's fails here, or is wrong without a word: {wrong}.",
        wrong=wrong,
    )


def guided(title: str, found: Findings) -> Fit:
    """Guided backprop and deconvolution: they change ReLUs, and are made for networks that have no other bend."""
    if not relus(found) and not found.recurrent:
        return Fit(
            WITHHELD,
            Sentence(
                "{title} changes the backward pass of ReLUs, and this network has none: the map would be the "
                "plain gradient. Choose Saliency.",
                title=title,
            ),
        )
    why = mixing(title, found)
    if why:
        return Fit(WITHHELD, why)
    other = tuple(name for name in found.bends if name not in OF_RELU and not _is_relu6(name, found))
    if other:
        return Fit(
            WITHHELD,
            Sentence(
                "{title} changes ReLUs only, and here {listed} bends the signal, too: the map would be half a "
                "plain gradient. Choose Integrated Gradients.",
                title=title,
                listed=listed(other),
            ),
        )
    wrong = not_for_captums_guided(found)
    return Fit(OTHER, _own_way(wrong)) if wrong else Fit()


def guided_grad_cam(found: Findings) -> Fit:
    """Guided backprop times Grad-CAM, which needs maps."""
    if not found.convolutions:
        return Fit(WITHHELD, _("Guided Grad-CAM weighs the maps of a convolution, and this network has none."))
    return guided(_("Guided Grad-CAM"), found)


def not_for_captums_guided(found: Findings) -> str:
    """Why Captum's guided backprop and deconvolution are wrong here; "" where they are right."""
    hidden = tuple(name for name in found.functional if name.endswith((": relu", ": hardtanh", ": relu6")))
    if hidden:
        return Sentence("what is called in {listed} is a function, no module of its own", listed=listed(hidden))
    if "ReLU6" in found.kinds:
        return _("Captum does not know ReLU6")
    twice = found.chained if set(found.bends) == {"relu"} else ()
    return Sentence("{listed} reads what another ReLU has given", listed=listed(twice)) if twice else ""


def relus(found: Findings) -> bool:
    """Is there a ReLU, be it a module or a function?"""
    return any(name == "relu" or _is_relu6(name, found) for name in found.bends)


def _is_relu6(name: str, found: Findings) -> bool:
    return name == "relu6" or (name == "hardtanh" and "ReLU6" in found.kinds and "Hardtanh" not in found.kinds)


def lrp(found: Findings) -> Fit:
    """Layer-wise relevance propagation with the ε rule."""
    why = mixing("LRP", found)
    if why:
        return Fit(WITHHELD, why)
    moved = tuple(name for name in found.bends if name in NOT_ZERO_AT_ZERO)
    if moved:
        return Fit(
            WITHHELD,
            Sentence(
                "LRP passes relevance through an activation that is 0 at 0, and {listed} is not. Choose "
                "Integrated Gradients.",
                listed=listed(moved),
            ),
        )
    wrong = not_for_captums_lrp(found)
    if wrong:
        return Fit(OTHER, _own_way(wrong))
    if found.foldable:
        pairs = tuple(Sentence("{norm} into {layer}", norm=norm, layer=layer) for layer, norm in found.foldable)
        return Fit(
            OTHER,
            Sentence(
                "The batch norms are folded into the layers before them ({listed}), so that the ε rule is laid "
                "on one sum, not on two.",
                listed=listed(pairs),
            ),
        )
    if found.without_rule:
        return Fit(
            OTHER,
            Sentence(
                "Captum's LRP stops at {listed}, for which it has no rule; relevance is led through: what only "
                "moves values hands it on, and a mean is a sum like any other.",
                listed=listed(found.without_rule),
            ),
        )
    return Fit()


def not_for_captums_lrp(found: Findings) -> str:
    """Why Captum's LRP cannot be mended by changing modules here; "" where it is right, or can."""
    if found.additions:
        return Sentence("it does not see the sum of two signals in {listed}", listed=listed(found.additions))
    if found.loose:
        return Sentence("it does not see the sum in {listed}", listed=listed(found.loose))
    hidden = unseen(found)
    if hidden:
        return hidden
    if found.reused:
        return Sentence("several calls share {listed}", listed=listed(found.reused))
    known = ("(Flatten)", "(Identity)", "(GlobalPool)")
    missing = tuple(one for one in found.without_rule if not one.endswith(known))
    if missing:
        return Sentence("it has no rule for {listed}", listed=listed(missing))
    return ""
