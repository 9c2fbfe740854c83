"""Scoreboard"""

from pages.kit import scoreboard

scored = scoreboard.board()
if scored is not None:
    scoreboard.draw(scored)
