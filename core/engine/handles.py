"""How many files and connections this process may have open at once."""

from __future__ import annotations

import psutil

_MOST = 1 << 20  # more is never needed, and "no limit" cannot be asked for everywhere


def raise_limit() -> int:
    """Allow this process (and what it starts) as many as the system lets it; how many that are, 0 where unknown.

    The usual 256 or 1,024 are meant for programs that wait for many at once with select(), which this one never does.
    """
    try:
        import resource  # POSIX alone
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):  # macOS allows fewer than it says
            return soft
        soft = most
    return soft


def held() -> int:
    """How many this process has open now, 0 where that cannot be told."""
    try:
        return int(psutil.Process().num_fds())
    except (AttributeError, psutil.Error):  # Windows
        return 0
