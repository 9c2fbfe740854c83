"""A text from a trained language model, token by token (Radford 2019, section 2): draw the next one, append, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from core.spec.sentences import Sentence
from core.worker.data.splits import DataError, Splits
from core.worker.model.build import Network
from core.worker.model.trace import looking

LENGTH = 200  # tokens of the sample that a finished run shows
TEMPERATURE = 0.8
UNKNOWN = "\ufffd"  # the word of tokens that no text has


def is_language(splits: Splits) -> bool:
    """Is the next token asked for at every step, so that what is answered can be read on?"""
    return bool(splits.vocabulary) and splits.vocabulary == splits.classes and splits.test[1].dim() > 1


def start_of(splits: Splits, prompt: str) -> Tensor:
    """A start text as tokens [token]; without one a new line, or what the test text begins with.

    DataError names the characters that the training text does not have: the model knows none but those.
    """
    words = splits.vocabulary
    places = {word: place for place, word in enumerate(words) if place and word != UNKNOWN}
    if missing := sorted({character for character in prompt if character not in places}):
        named = ", ".join(f"“{character}”" if character.isprintable() else repr(character) for character in missing[:8])
        more = Sentence(" and {missing} more", missing=len(missing) - 8) if len(missing) > 8 else ""
        there = "".join(word for word in places if word.isprintable()).strip()[:100]
        raise DataError(
            Sentence(
                "The start text has characters that the model has never read: {named}{more}. Leave them out; "
                "besides spaces and line ends it knows only {there}",
                named=named,
                more=more,
                there=there,
            )
        )
    begin = places.get("\n", int(splits.test[0][0, 0].item()))
    return torch.tensor([places[character] for character in prompt] or [begin], device=splits.test[0].device)


def allowed_in(splits: Splits) -> Tensor:
    """Which tokens have a word, so that they may be written [class]."""
    return torch.tensor([place > 0 and word != UNKNOWN for place, word in enumerate(splits.vocabulary)])


def sample_text(network: Network, splits: Splits, seed: int, length: int = LENGTH) -> str:
    """A text that begins with a new line; "" where the model does not answer with the next token."""
    if not is_language(splits):
        return ""
    start, window = start_of(splits, ""), splits.test[0].shape[1]
    tokens = generate(network, start, length, window, allowed_in(splits), TEMPERATURE, seed)
    return "".join(splits.vocabulary[token] for token in tokens[1:])


def generate(
    network: Network, start: Tensor, length: int, window: int, allowed: Tensor, temperature: float, seed: int
) -> list[int]:
    """`start` [step] and `length` further tokens; see `written`."""
    drawn = written(network, start, window, allowed, temperature, seed)
    return [*start.tolist(), *(token for token, _chance in islice(drawn, length))]


def written(
    network: Network, start: Tensor, window: int, allowed: Tensor, temperature: float, seed: int
) -> Iterator[tuple[int, float]]:
    """Token after token, without end, each drawn from softmax(logits / temperature) over `allowed` [class].

    With each the probability that it has at temperature 1. The model sees the last `window` tokens. Temperature 0
    takes the likeliest. Draws from a generator of its own.
    """
    drawn, tokens = torch.Generator().manual_seed(seed), start.tolist()
    while True:
        with looking(network):
            logits = network(torch.tensor(tokens[-window:], device=start.device)[None])[0, -1]
        logits = logits.float().cpu().masked_fill(~allowed, float("-inf"))
        if temperature <= 0:
            tokens.append(int(logits.argmax()))
        else:
            tokens.append(int(torch.multinomial((logits / temperature).softmax(0), 1, generator=drawn)))
        yield tokens[-1], float(logits.softmax(0)[tokens[-1]])
