"""Ask why"""

from pages.kit import why

why.draw()
