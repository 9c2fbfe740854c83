"""A text from a trained language model, token by token (Radford 2019, section 2): draw the next one, append, repeat."""

from __future__ import annotations

import torch
from torch import Tensor

from core.build import Network
from core.data.splits import Splits
from core.trace import looking

LENGTH = 200  # tokens of the sample that a finished run shows
TEMPERATURE = 0.8
UNKNOWN = "\ufffd"  # the word of tokens that no text has


def is_language(splits: Splits) -> bool:
    """Is the next token asked for at every step, so that what is answered can be read on?"""
    return bool(splits.vocabulary) and splits.vocabulary == splits.classes and splits.test[1].dim() > 1


def sample_text(network: Network, splits: Splits, seed: int, length: int = LENGTH) -> str:
    """A text that begins with a new line; "" where the model does not answer with the next token."""
    if not is_language(splits):
        return ""
    words = splits.vocabulary
    begin = words.index("\n") if "\n" in words else splits.test[0][0, 0].item()
    real = torch.tensor([place > 0 and word != UNKNOWN for place, word in enumerate(words)])
    start = torch.tensor([int(begin)], device=splits.test[0].device)
    tokens = generate(network, start, length, splits.test[0].shape[1], real, TEMPERATURE, seed)
    return "".join(words[token] for token in tokens[1:])


def generate(
    network: Network, start: Tensor, length: int, window: int, allowed: Tensor, temperature: float, seed: int
) -> list[int]:
    """`start` [step] and `length` further tokens, each drawn from softmax(logits / temperature) over `allowed` [class].

    The model sees the last `window` tokens. Temperature 0 takes the likeliest. Draws from a generator of its own.
    """
    drawn, tokens = torch.Generator().manual_seed(seed), start.tolist()
    with looking(network):
        for _ in range(length):
            seen = torch.tensor(tokens[-window:], device=start.device)[None]
            logits = network(seen)[0, -1].float().cpu().masked_fill(~allowed, float("-inf"))
            if temperature <= 0:
                tokens.append(int(logits.argmax()))
            else:
                odds = (logits / temperature).softmax(0)
                tokens.append(int(torch.multinomial(odds, 1, generator=drawn)))
    return [int(token) for token in tokens]
