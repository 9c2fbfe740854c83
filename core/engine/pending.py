"""What a run was told while there was no worker to take it: nothing is dropped, whatever the run was doing then."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.spec.events import Command


@dataclass
class Kept:
    """Commands in the order in which they came, and the newest wish to watch.

    Commands are handed over once. The wish stands until nobody watches: every worker that takes the run on is told.
    Changes by hand (`set`) are kept in the run's folder (Run.change_later), where they outlive the engine as well.
    """

    commands: list[Command] = field(default_factory=list)
    wish: Command | None = None

    def add(self, command: Command) -> None:
        """Keep one. A resume takes back what would hold the run, a stop everything; a step holds the run behind it."""
        if command.verb == "watch":
            self.wish = command
        elif command.verb == "unwatch":
            self.wish = None
        elif command.verb == "resume":
            self.commands = [one for one in self.commands if one.verb not in ("pause", "step")]
        elif command.verb == "stop":
            self.commands = [command]
        elif command.verb == "step":
            self.commands += [*([] if self.holds() else [Command("pause")]), command]
        elif command.verb != "pause" or not self.holds():
            self.commands.append(command)

    def holds(self) -> bool:
        """Will the run be paused by what is kept?"""
        return any(one.verb == "pause" for one in self.commands)

    def rests(self) -> bool:
        """Will it be paused before it has made a step?"""
        return self.holds() and not any(one.verb == "step" for one in self.commands)

    def for_worker(self) -> list[Command]:
        """What a worker that begins is told, the wish first: what the other commands show is then what is watched."""
        commands, self.commands = self.commands, []
        return [*([self.wish] if self.wish else []), *commands]
