"""What the verdicts hang on, and their texts: limits with their sources, titles, evidence in words, and mends.

No number below is a law. Each says where it comes from; those marked "measured here" were set between networks that
learn and networks that do not (MLPs of 64 units and small convolutional and recurrent networks on digits, torch's own
start unless another is named, medians or ranges of 2 to 5 seeds):

VANISHING: first layer's gradient ÷ last layer's. 20 sigmoid layers 7e-16, 20 ReLU layers 2e-6, 8 sigmoid layers 1e-5
  (they hardly learn); 20 tanh layers 1e-3, 5 sigmoid layers 4e-3, every preset 0.08 and more (they learn). The cause:
  Hochreiter 1991; Glorot & Bengio 2010, section 4.
EXPLODING: the same, from above. 30 ReLU layers with batch norm and no shortcuts 240; every preset up to 13. The cause:
  Yang 2019 (arXiv 1902.08129): batch norm multiplies the gradient by about 1.21 a ReLU layer.
FORGOTTEN, RUNAWAY: gradient of the first state ÷ that of the last, before training. Over 40 steps of the adding task
  an RNN 2e-9, a GRU and an LSTM 1e-8, with a forget bias of 1 1e-3, of 3 about 2; over 28 rows of digits 3e-5 and
  less, trained for 100 steps 0.02 and more. The cause: Bengio 1994; Pascanu 2013.
DEAD: share of a ReLU layer's units that are zero for a whole batch. Presets that learn 0.34 and less, 10 ReLU layers
  0.64 and less. cs231n (Karpathy, "Neural Networks Part 1") tells of networks with 40 % dead after too large a step.
SMALL_STEP, LARGE_STEP: size of a step ÷ size of the weights. cs231n ("Neural Networks Part 3"): "should be somewhere
  around 1e-3". Presets that learn 1.5e-3 to 2e-2; SGD with lr 1e-5 3e-5, AdamW with 1e-5 2e-4. Judged only while little
  is learned, for a step size is no fault of a network that learns.
LITTLE: the loss now (median of the last quarter of the steps) ÷ that of the best single answer for all samples (the
  entropy of the labels, the variance of numbers): whoever has that has learned nothing from the inputs.
RISEN: the loss now ÷ the loss of the first step, chosen here.
FAIR: steps after which a network that has learned nothing is called so; presets that learn take 5 to 60 on digits.
SHRUNK, UNFIT: ‖weights‖ now ÷ at the start, median over the layers, and the loss now ÷ that of a single answer. With a
  weight decay of 1 SGD (lr 0.1) and Adam 0.3 and 0.7; of 0.1 0.8 and 0.2; without any, 1 and more.
GAP, APART: training less validation accuracy, and validation ÷ training loss. Presets 0.06 and less.
LAGS: accuracy with the batch's own mean and variance less that with the running ones, of the same samples. A resnet8
  after 10 steps 0.54, after 60 0.00; the small CNN after 10 steps 0.03.
PEAK: the largest loss of all ÷ that of the first step. Presets that learn 1.5 and less; with a learning rate a thousand
  times too large 20 and more, after which ReLU networks are often dead and their loss is that of the start again.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.spec.options import _

VANISHING = 1e-4
EXPLODING = 50.0
FORGOTTEN = 1e-4
RUNAWAY = 1e3
DEAD = 0.8
SMALL_STEP = 3e-4
LARGE_STEP = 1e-1
LITTLE = 0.9
RISEN = 1.5
PEAK = 5.0
USUAL_STEP = 3e-3  # what a smaller or larger learning rate is to bring a step to
ENOUGH = 10  # losses before anything is said of learning
FAIR = 100
SHRUNK = 0.5
UNFIT = 0.3
GAP = 0.1
APART = 2.0
LAGS = 0.1


@dataclass(frozen=True)
class Threshold:
    """One number that a verdict hangs on, what is compared with it, and where it comes from."""

    states: tuple[str, ...]
    measure: str
    limit: str
    source: str


THRESHOLDS = (
    Threshold(
        ("vanishing",),
        _("gradient at the first layer ÷ at the last"),
        f"< {VANISHING:g}",
        _("Measured here: 20 sigmoid layers 7e-16, presets 0.08 and more. Glorot & Bengio 2010, section 4."),
    ),
    Threshold(
        ("exploding",),
        _("gradient at the first layer ÷ at the last"),
        f"> {EXPLODING:g}",
        _("Measured here: 30 ReLU layers with batch norm 240, presets up to 13. Yang 2019, arXiv 1902.08129."),
    ),
    Threshold(
        ("vanishing_in_time",),
        _("gradient of the first state ÷ of the last"),
        f"< {FORGOTTEN:g}",
        _("Measured here: an LSTM over 40 steps 1e-8, with a forget bias of 3 about 1. Bengio 1994."),
    ),
    Threshold(
        ("exploding_in_time",),
        _("gradient of the first state ÷ of the last"),
        f"> {RUNAWAY:g}",
        _("Measured here: networks that learn 3 and less. Pascanu 2013."),
    ),
    Threshold(
        ("dead",),
        _("units of one ReLU layer that are zero for the whole batch"),
        f"≥ {DEAD:.0%}",
        _("Measured here: presets 34 % and less. The cs231n notes (part 1) tell of 40 % after too large steps."),
    ),
    Threshold(
        ("not_learned", "lr_too_large"),
        _("the loss now ÷ that of always giving the same answer"),
        f"> {LITTLE:g}",
        _("Chosen here: whoever has that loss has learned nothing from the inputs."),
    ),
    Threshold(("not_learned",), _("steps made"), f"≥ {FAIR}", _("Measured here: presets learn digits in 5 to 60.")),
    Threshold(
        ("lr_too_small",),
        _("size of a step ÷ size of the weights, while little is learned"),
        f"< {SMALL_STEP:g}",
        _("Measured here: presets 1.5e-3 and more. The cs231n notes (part 3): 1e-3."),
    ),
    Threshold(
        ("lr_too_large",),
        _("size of a step ÷ size of the weights, while the loss does not fall"),
        f"> {LARGE_STEP:g}",
        _("A hundred times what the cs231n notes (part 3) call usual, 1e-3."),
    ),
    Threshold(
        ("lr_too_large",),
        _("the loss now ÷ the loss of the first step"),
        f"> {RISEN:g}",
        _("Chosen here: a network that has learned nothing has about the loss of its first step."),
    ),
    Threshold(
        ("lr_too_large",),
        _("the largest loss so far ÷ the loss of the first step, while it has not fallen"),
        f"> {PEAK:g}",
        _("Measured here: presets 1.5 and less, a thousand times the learning rate 20 and more."),
    ),
    Threshold(
        ("weight_decay",),
        _("size of the weights ÷ at the start, while the loss stays high"),
        f"< {SHRUNK:g}",
        _("Measured here: with a weight decay of 1 0.3, of 0.1 0.8, of 0 1 and more."),
    ),
    Threshold(
        ("overfitting",),
        _("accuracy in training − in validation, with twice the loss there"),
        f"≥ {GAP:g}",
        _("Measured here: presets 0.06 and less."),
    ),
    Threshold(
        ("norms_lag",),
        _("accuracy with a batch's own mean and variance − with the running ones"),
        f"> {LAGS:g}",
        _("Measured here: a resnet8 after 10 steps 0.54, after 60 steps 0."),
    ),
)


TITLES = {
    "data": _("Nothing to learn in the data"),
    "limited_answer": _("A limit after the answer"),
    "weight_decay": _("Weight decay too strong"),
    "not_learned": _("Has not learned"),
    "overfitting": _("Overfitting"),
    "norms_lag": _("Batch norms lag behind"),
    "unjudged": _("Not judged yet"),
    "diverged": _("Diverged"),
    "dead": _("Dead units"),
    "exploding": _("Exploding gradient"),
    "vanishing": _("Vanishing gradient"),
    "exploding_in_time": _("Gradient exploding through time"),
    "vanishing_in_time": _("Gradient vanishing through time"),
    "lr_too_large": _("Learning rate too large"),
    "lr_too_small": _("Learning rate too small"),
    "healthy": _("Healthy"),
}
SAYS = {
    "same inputs": _("All samples that the network is given are the same: no answer can be told from them."),
    "one answer": _("All training samples have the same answer, which can be given without looking at them."),
    "limited_answer": _(
        "{layer} stands after the layer that answers: {limit}. Now {share:.0%} of all numbers that it "
        "gives lie at that limit, where no gradient passes."
    ),
    "limited at random": _("{layer} stands after the layer that answers: {limit}."),
    "weight_decay": _(
        "The weights have shrunk to {kept:.0%} of their size at the start, and the loss is {now:.3g}, "
        "where always giving the same answer would have {constant:.3g}: a weight decay of {decay:g} "
        "undoes what is learned."
    ),
    "not_learned": _(
        "After {steps} steps the loss is {now:.3g}; always giving the same answer would have {constant:.3g}."
    ),
    "not_learned alone": _("After {steps} steps the loss is still {kept:.2g} times that of the first step."),
    "at chance": _("{accuracy:.0%} of the training answers are right, {chance:.0%} by always giving the same."),
    "squashed": _(
        "Its sigmoids ({layer} is the first) pass a quarter of the gradient at most: of {at_last:.2g} at "
        "{last}, {at_first:.2g} is left at {first}."
    ),
    "overfitting": _(
        "{accuracy:.0%} of the training answers are right, but only {val_accuracy:.0%} of the validation "
        "answers; the loss is {now:.2g} in training and {val_loss:.3g} in validation."
    ),
    "overfitting in the loss": _("The loss is {now:.2g} for training and {val_loss:.3g} for validation samples."),
    "by heart": _("In validation it is no better than always giving the same answer: it knows its samples by heart."),
    "norms_lag": _(
        "With the mean and variance of the batch itself {own:.0%} of the training answers are right, with "
        "the running ones that are used after training {running:.0%}."
    ),
    "unjudged": _(
        "{steps} steps are known. The loss is {now:.3g}; always giving the same answer would have "
        "{constant:.3g}. After {fair} steps it can be said whether the network learns."
    ),
    "nothing to judge": _("The loss of too few steps is known to say whether the network learns."),
    "swept": _("The learning rate is being tried out from small to large: whether the network learns is not judged."),
    "healthy learned": _("It learns: the loss is {now:.3g}; always giving the same answer would have {constant:.3g}."),
    "healthy falling": _("It learns: the loss is {kept:.2g} times that of the first step."),
    "healthy answers": _("{accuracy:.0%} of the training answers are right."),
    "healthy validation": _("In validation the loss is {val_loss:.3g}."),
    "healthy validated": _("In validation {val_accuracy:.0%} are right."),
    "healthy norms": _("Batch norms answer alike with running and own mean and variance ({running:.0%}, {own:.0%})."),
    "healthy weights": _("The weights are {weights:.2g} times as large as at the start (weight decay {decay:g})."),
    "healthy data": _("Inputs and labels differ, and nothing limits the answer."),
    "diverged": _("At step {step} the numbers overflowed, first at the layer {layer}, with a learning rate of {lr:g}."),
    "diverged in the loss": _(
        "At step {step} the loss stopped being a number, with a learning rate of {lr:g}; no single layer is to blame."
    ),
    "dead": _(
        "At {layer}, {share:.0%} of the units are zero for every sample of the batch. No gradient passes a unit "
        "that is zero, so it cannot come back by itself."
    ),
    "exploding": _(
        "On its way back the gradient grows: {at_last:.3g} at {last} has become {at_first:.3g} at {first}, "
        "{ratio:,.0f} times as much. A step that suits one of them does not suit the other."
    ),
    "vanishing": _(
        "On its way back the gradient is lost: of {at_last:.2g} at {last}, {at_first:.2g} is left at "
        "{first}, {ratio:.1g} times as much. The first layers hardly learn."
    ),
    "exploding_in_time": _("At {layer}, the first step's state gets {ratio:.1g} times the gradient of the last one's."),
    "vanishing_in_time": _(
        "At {layer}, the first step's state gets {ratio:.1g} times the gradient of the last one's. "
        "What stands early in a row is hardly learned from."
    ),
    "lr_too_large": _(
        "With a learning rate of {lr:g}, the loss is now {kept:.2g} times that of the first step and was "
        "{peak:,.3g} times that at its worst; a step moves the weights by {size:.1g} of their size."
    ),
    "lr_too_small": _(
        "With a learning rate of {lr:g}, a step moves the weights by {size:.1g} of their size, and the "
        "loss is still {now:.3g}; always giving the same answer would have {constant:.3g}."
    ),
    "healthy": _("At {first} the gradient is {ratio:.2g} times as large as at {last}."),
    "healthy alone": _("The gradient was looked at, and no fault was found."),
    "healthy in time": _("The first step's state gets {time:.2g} times the gradient of the last one's."),
    "healthy units": _("No ReLU layer has more than {dead:.1%} dead units."),
    "no unit dead": _("No unit of a ReLU layer is dead."),
    "healthy steps": _("A step moves the weights by {size:.1g} of their size."),
}
MENDS = {
    "diverged": _("Divide the learning rate by 10 or more, let it warm up, or clip the gradient norm at 1."),
    "dead": _(
        "Start again with a smaller learning rate and with biases of zero. Leaky ReLU or GELU let some gradient "
        "through below zero; a norm before the activation keeps its inputs around zero."
    ),
    "exploding": _(
        "Add shortcuts (residual blocks): they carry the gradient past the norms. Otherwise take fewer "
        "layers, let the learning rate warm up, or clip the gradient norm at 1."
    ),
    "vanishing": _(
        "Use ReLU with He's start instead of sigmoids, add shortcuts (residual blocks), or take fewer layers."
    ),
    "exploding_in_time": _("Clip the gradient norm at 1, start the recurrent weights smaller, or use a GRU."),
    "vanishing_in_time": _(
        "Use an LSTM with a forget bias of 1 to 3, a ReLU layer that starts with the identity, "
        "shorter rows, or attention."
    ),
    "lr_too_large": _("Divide the learning rate by 10, let it warm up, or clip the gradient norm at 1."),
    "lr_too_small": _(
        "Set the learning rate to {better:g}: it would move the weights by about 0.003 of their size, as "
        "is usual. If the loss falls and then swings, halve it."
    ),
    "data": _("Look at the samples and the labels on the Data page, and choose other data."),
    "limited_answer": _("Remove {layer}: the loss takes the softmax itself and needs numbers without a limit."),
    "weight_decay": _("Set weight decay to {better:g} (0.01 is usual), and train again."),
    "not_learned": _(
        "Train longer ({better:,.0f} steps), or try a learning rate three times as large or as small. "
        "Check that the labels can be told from the inputs."
    ),
    "squashed": _("Use ReLU or tanh instead of the sigmoids, or put a norm before each; many more steps may do, too."),
    "overfitting": _(
        "Give it more samples, or vary them (augmentation); stop early (early stopping 5); use dropout or weight decay."
    ),
    "noisy": _("{noise:.0%} of the training labels are replaced by wrong ones (label noise): set it to 0."),
    "norms_lag": _(
        "Train on: the running mean and variance follow by a tenth at each step. {better:,.0f} steps, with "
        "a learning rate that comes to rest (cosine) and batches of 16 or more, bring them up."
    ),
    "unjudged": _("Train on, and look again."),
}
