"""The words of the made-up film reviews. A clause is a row of words; {…} stands for one of a list."""

GOOD = (
    "good",
    "great",
    "brilliant",
    "moving",
    "funny",
    "charming",
    "gripping",
    "wonderful",
    "clever",
    "beautiful",
    "fresh",
    "delightful",
    "superb",
    "warm",
)
BAD = (
    "bad",
    "boring",
    "dull",
    "awful",
    "clumsy",
    "tedious",
    "flat",
    "weak",
    "dreadful",
    "silly",
    "tired",
    "empty",
    "messy",
    "bland",
)
NEGATORS = ("not", "hardly", "never", "far from", "anything but", "by no means", "not at all")
DEGREES = ("", "", "very", "really", "quite", "rather")  # of an adjective that stands without a negator

LISTS = {
    "aspect": ("film", "story", "plot", "acting", "music", "cast", "ending", "script"),
    "verb": ("is", "was", "seemed", "felt"),
    "day": ("monday", "friday", "saturday", "sunday"),
    "time": ("morning", "afternoon", "evening"),
    "number": ("two", "three", "four"),
    "place": ("paris", "a village", "a harbour", "the mountains", "the future"),
    "who": ("my sister", "a friend", "my father", "the neighbour"),
    "row": ("first", "second", "last"),
    "state": ("full", "cold", "crowded", "dark"),
    "denied": ("not", "hardly", "never"),
}
OPINIONS = (  # {opinion}: a negator or a degree, and an adjective
    "the {aspect} {verb} {opinion}",
    "i found the {aspect} {opinion}",
    "it {verb} {opinion}",
    "{who} called the {aspect} {opinion}",
    "for me the {aspect} {verb} {opinion}",
)
FACTS = (  # they say nothing of what the writer thinks
    "i watched it on a {day} {time}",
    "it runs for {number} hours",
    "the {aspect} is set in {place}",
    "we sat in the {row} row",
    "the cinema was {state}",
    "{who} bought the tickets",
    "the director made {number} short films",
    "it was raining outside",
    "{who} was there on {day}",
)
DENIALS = (  # facts with a negator that denies nothing of the opinion
    "the cinema was {denied} {state}",
    "i had {denied} seen the trailer",
    "we did not stay for the credits",
)
LONGEST = 10  # tokens of a clause with its full stop


def vocabulary() -> tuple[str, ...]:
    """Every word once, after the padding; the place of a word is its token."""
    words = {word for clause in (*OPINIONS, *FACTS, *DENIALS) for word in clause.split() if not word.startswith("{")}
    for phrase in (*GOOD, *BAD, *NEGATORS, *DEGREES, *(p for choices in LISTS.values() for p in choices)):
        words.update(phrase.split())
    return ("·", ".", *sorted(words))
