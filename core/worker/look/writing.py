"""A text that a model of the next token goes on with, token by token (Radford 2019, section 2).

What it gives is declared in core.catalog.views.writing.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from core.catalog.views.writing import CHANCE, WRITTEN, Writing, WritingFacts
from core.spec.questions import Seen
from core.spec.sentences import Sentence, _
from core.worker.data.splits import DataError, Splits
from core.worker.look.subject import CannotShow, Report, Subject
from core.worker.train.generate import allowed_in, start_of, written

REPORTED = 16  # tokens between two reports


def look(subject: Subject, options: Writing, report: Report) -> Seen[WritingFacts]:
    """The prompt written on. CannotShow names the characters of it that the model does not know."""
    splits = subject.splits
    try:
        start = start_of(splits, options.prompt)
    except DataError as error:
        raise CannotShow(str(error)) from None
    window, tokens, chances = splits.test[0].shape[1], [], []
    drawn = written(subject.network, start, window, allowed_in(splits), options.temperature, options.seed)
    for number, (token, chance) in zip(range(options.length), drawn, strict=False):
        tokens.append(token)
        chances.append(chance)
        if number % REPORTED == 0:
            report(
                number / options.length, Sentence("Token {number} of {length}", number=number, length=options.length)
            )
    words = tuple(splits.vocabulary[token] for token in tokens)
    facts = WritingFacts(prompt=options.prompt, text="".join(words), words=words, window=window)
    return Seen(
        "writing",
        subject.step,
        0,
        "",
        {WRITTEN: np.array(tokens), CHANCE: np.array(chances, np.float32)},
        facts,
        _words(options, len(start), window, float(np.mean(chances))),
        _code(start, options, window, splits),
    )


def _words(options: Writing, start: int, window: int, mean: float) -> tuple[str, ...]:
    how = (
        _("each time the likeliest token")
        if options.temperature <= 0
        else Sentence("each token drawn from softmax(logits / {temperature:g})", temperature=options.temperature)
    )
    said = [
        Sentence(
            "{length} tokens, {how}; on average the model gave {mean:.0%} to what was taken.",
            length=options.length,
            how=how,
            mean=mean,
        )
    ]
    if start > window:
        said.append(
            Sentence("The model sees {window} tokens: of the start text only the last {window} act.", window=window)
        )
    return tuple(said)


def _code(start: Tensor, options: Writing, window: int, splits: Splits) -> str:
    known = allowed_in(splits).nonzero().flatten().tolist()
    take = (
        "int(logits.argmax())"
        if options.temperature <= 0
        else f"int(torch.multinomial((logits / {options.temperature!r}).softmax(0), 1, generator=drawn))"
    )
    return (
        f"import torch\n\ntokens = {start.tolist()}  # the start text, by place in the vocabulary\n"
        f"unknown = torch.ones({len(splits.vocabulary)}, dtype=torch.bool)\nunknown[{known}] = False\n"
        f"drawn = torch.Generator().manual_seed({options.seed})\nchance = []\nnetwork.eval()\n"
        f"with torch.no_grad():\n    for _ in range({options.length}):\n"
        f"        logits = network(torch.tensor([tokens[-{window}:]]))[0, -1].masked_fill(unknown, float('-inf'))\n"
        f"        tokens.append({take})\n        chance.append(float(logits.softmax(0)[tokens[-1]]))\n"
    )
