"""Which networks the methods that change the backward pass are right for, judged by what was found in the network."""

from core.catalog.entries import OTHER, WITHHELD, Findings, Fit

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
    shown = ", ".join(names[:2])
    return f"{shown} and {len(names) - 2} more" if len(names) > 2 else " and ".join(names)


def mixing(title: str, found: Findings) -> str:
    """Why no rule of a single value can be laid on this network; "" where one can."""
    if found.recurrent:
        return (
            f"{title} has no rule for {listed(found.recurrent)}: a recurrent layer's tanh and gates work inside one "
            "call, out of its sight, and the plain gradient would stand in there. Choose Integrated Gradients."
        )
    if found.softmaxes:
        return (
            f"{title} has no rule for the attention or softmax in {listed(found.softmaxes)}, where every value depends "
            "on all the others. Choose Integrated Gradients."
        )
    if found.layer_norms:
        return (
            f"{title} has no rule for {listed(found.layer_norms)}: a layer or group norm divides by what it measures "
            "in its own input. Choose Integrated Gradients."
        )
    if found.products:
        return (
            f"{title} has no rule for {listed(found.products)}, where two signals are multiplied (a gate): it cannot "
            "say which of them made the product. Choose Integrated Gradients."
        )
    if found.strange:
        return f"{title} has no rule for the function in {listed(found.strange)}. Choose Integrated Gradients."
    return ""


def unseen(found: Findings) -> str:
    """What a hook on modules does not see or cannot tell apart; "" where hooks on modules see all."""
    if found.functional:
        return f"what is called in {listed(found.functional)} is a function, no module of its own"
    bent = tuple(name for name in found.reused if name in (*found.activations, *found.max_pools))
    if bent:
        return f"several calls share {listed(bent)}"
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
            f"Captum's own rules get into each other's way where an activation's output goes straight into "
            f"{listed(found.chained)}; LayerLab's backward pass keeps them apart, as a “+ 0” between the two does.",
        )
    return Fit()


def not_for_captums_deep_lift(found: Findings) -> str:
    """Why no insertion of modules makes Captum's DeepLift right here; "" where it is, or one does."""
    hidden = unseen(found)
    if hidden:
        return hidden
    unknown = tuple(name for name in found.bends if name not in OF_DEEP_LIFT and not name.startswith("max_pool"))
    if unknown:
        return f"Captum has no rule for {listed(unknown)}"
    if found.overlapping:
        return f"Captum loses credit where windows overlap or have gaps, in {listed(found.overlapping)}"
    return ""


def _own_way(wrong: str) -> str:
    return (
        "By LayerLab's own backward pass, which lays the rule on every function as it is called. Captum's fails here, "
        f"or is wrong without a word: {wrong}."
    )


def guided(title: str, found: Findings) -> Fit:
    """Guided backprop and deconvolution: they change ReLUs, and are made for networks that have no other bend."""
    if not relus(found) and not found.recurrent:
        return Fit(
            WITHHELD,
            f"{title} changes the backward pass of ReLUs, and this network has none: the map would be the "
            "plain gradient. Choose Saliency.",
        )
    why = mixing(title, found)
    if why:
        return Fit(WITHHELD, why)
    other = tuple(name for name in found.bends if name not in OF_RELU and not _is_relu6(name, found))
    if other:
        return Fit(
            WITHHELD,
            f"{title} changes ReLUs only, and here {listed(other)} bends the signal, too: the map would be "
            "half a plain gradient. Choose Integrated Gradients.",
        )
    wrong = not_for_captums_guided(found)
    return Fit(OTHER, _own_way(wrong)) if wrong else Fit()


def guided_grad_cam(found: Findings) -> Fit:
    """Guided backprop times Grad-CAM, which needs maps."""
    if not found.convolutions:
        return Fit(WITHHELD, "Guided Grad-CAM weighs the maps of a convolution, and this network has none.")
    return guided("Guided Grad-CAM", found)


def not_for_captums_guided(found: Findings) -> str:
    """Why Captum's guided backprop and deconvolution are wrong here; "" where they are right."""
    hidden = tuple(name for name in found.functional if name.endswith((": relu", ": hardtanh", ": relu6")))
    if hidden:
        return f"what is called in {listed(hidden)} is a function, no module of its own"
    if "ReLU6" in found.kinds:
        return "Captum does not know ReLU6"
    twice = found.chained if set(found.bends) == {"relu"} else ()
    return f"{listed(twice)} reads what another ReLU has given" if twice else ""


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
            f"LRP passes relevance through an activation that is 0 at 0, and {listed(moved)} is not. "
            "Choose Integrated Gradients.",
        )
    wrong = not_for_captums_lrp(found)
    if wrong:
        return Fit(OTHER, _own_way(wrong))
    if found.foldable:
        pairs = tuple(f"{norm} into {layer}" for layer, norm in found.foldable)
        return Fit(
            OTHER,
            f"The batch norms are folded into the layers before them ({listed(pairs)}), so that the ε rule is "
            "laid on one sum, not on two.",
        )
    if found.without_rule:
        return Fit(
            OTHER,
            f"Captum's LRP stops at {listed(found.without_rule)}, for which it has no rule; relevance is led "
            "through: what only moves values hands it on, and a mean is a sum like any other.",
        )
    return Fit()


def not_for_captums_lrp(found: Findings) -> str:
    """Why Captum's LRP cannot be mended by changing modules here; "" where it is right, or can."""
    if found.additions:
        return f"it does not see the sum of two signals in {listed(found.additions)}"
    if found.loose:
        return f"it does not see the sum in {listed(found.loose)}"
    hidden = unseen(found)
    if hidden:
        return hidden
    if found.reused:
        return f"several calls share {listed(found.reused)}"
    known = ("(Flatten)", "(Identity)", "(GlobalPool)")
    missing = tuple(one for one in found.without_rule if not one.endswith(known))
    if missing:
        return f"it has no rule for {listed(missing)}"
    return ""
