"""What layers with sliding windows and groups share."""

from core.catalog.entries import Fault
from core.spec.sentences import Sentence


def divisor(number: int, most: int) -> int:
    """The largest divisor of `number` that is at most `most`; numbers of maps are small enough to try them all."""
    return max(d for d in range(1, min(number, most) + 1) if number % d == 0)


def even_kernel(kernel: int) -> Fault | None:
    """A block pads by half its kernel, which keeps the size only where the kernel is odd."""
    if kernel % 2:
        return None
    odd = kernel - 1
    message = Sentence(
        "a kernel of {kernel}×{kernel} has no middle, and so the block would change the picture's size", kernel=kernel
    )
    return Fault(message, Sentence("use a kernel of {odd}", odd=odd), options={"kernel": odd})
