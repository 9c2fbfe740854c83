"""What the engine calls in a worker process, by name: `train` a run, `answer` a question, `prepare` for one."""

from core.worker.answers import answer, prepare
from core.worker.session import train

__all__ = ["answer", "prepare", "train"]
