"""People and category knowledge shared by all genres of the inference corpus."""

from __future__ import annotations

from dataclasses import dataclass

TRAIN_NAMES: tuple[str, ...] = (
    "Mara",
    "Ilse",
    "Tobias",
    "Renata",
    "Oskar",
    "Yusuf",
    "Pilar",
    "Henrik",
    "Zofia",
    "Dario",
    "Leila",
    "Anselm",
    "Greta",
    "Kofi",
    "Bruna",
    "Matteo",
    "Signe",
    "Rashid",
    "Ottilie",
    "Pavel",
    "Noor",
    "Emeric",
    "Salma",
    "Jorun",
    "Fabian",
    "Wanda",
    "Tarek",
    "Livia",
    "Goran",
    "Astrid",
    "Benedikt",
    "Chiara",
    "Edvard",
    "Farida",
    "Hugo",
    "Ines",
    "Jakob",
    "Katya",
    "Lorenz",
    "Mirjam",
    "Nadir",
    "Olga",
    "Piet",
    "Quirin",
    "Rosalba",
    "Sven",
    "Thea",
    "Ursula",
    "Valentin",
    "Wilma",
    "Xenia",
    "Yannick",
    "Zelda",
    "Amadou",
    "Birgit",
)
TEST_NAMES: tuple[str, ...] = (
    "Alma",
    "Bastian",
    "Celeste",
    "Dunja",
    "Elif",
    "Florian",
    "Gitte",
    "Hamid",
    "Isolde",
    "Joris",
    "Kamila",
    "Lasse",
    "Mehmet",
    "Nadia",
    "Orson",
    "Petra",
    "Ragnar",
    "Selin",
    "Timo",
    "Ulrika",
    "Viggo",
    "Wenzel",
    "Yara",
    "Zeno",
    "Ayo",
    "Bertil",
    "Corinna",
    "Dimitri",
)


@dataclass(frozen=True)
class Category:
    """A choice of one thing out of several exclusive classes.

    Attributes:
        genres: Genres the category suits.
        subjects: Fixed subjects, or nothing when the subject is a person.
        premises: Templates over ``{S}`` (subject) and ``{x}`` (member of a class).
        hypotheses: Templates over ``{S}`` and ``{c}`` (class).
        opens: Templates over ``{S}``, ``{T}`` (another subject), ``{x}``.
        classes: Class phrase and its members.
    """

    genres: tuple[str, ...]
    subjects: tuple[str, ...]
    premises: tuple[str, ...]
    hypotheses: tuple[str, ...]
    opens: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]


MATERIALS = {
    "metal": ("copper", "iron", "brass", "steel", "bronze"),
    "wood": ("oak", "pine", "walnut", "beech", "cherry wood"),
    "stone": ("granite", "marble", "slate", "limestone", "basalt"),
    "cloth": ("linen", "silk", "cotton", "wool", "velvet"),
}
COLOURS = {
    "red": ("scarlet", "crimson", "ruby red", "dark red"),
    "blue": ("navy blue", "sky blue", "sapphire blue", "pale blue"),
    "green": ("emerald green", "olive green", "moss green", "pale green"),
    "yellow": ("lemon yellow", "mustard yellow", "canary yellow", "pale yellow"),
}

CATEGORIES: dict[str, Category] = {
    "market": Category(
        ("travel", "kitchen", "village-history"),
        (),
        (
            "all that {S} bought at the market was {x}",
            "{S} went to the market and bought {x} and nothing else",
            "{S} came back from the market with {x} and not a thing besides",
        ),
        ("{S} bought {c} at the market", "what {S} brought back from the market was {c}"),
        (
            "{S} went to the market, where {T} bought {x} and nothing else",
            "{S} bought something at the market, and all that {T} bought was {x}",
            "{S} came back from the market with a covered basket, and {T} with {x}",
        ),
        {
            "fruit": ("pears", "plums", "apricots", "cherries", "peaches"),
            "vegetables": ("leeks", "turnips", "carrots", "cabbages", "parsnips"),
            "fish": ("trout", "herring", "cod", "mackerel", "eels"),
            "cheese": ("cheddar", "brie", "gouda", "camembert", "gorgonzola"),
        },
    ),
    "vehicle": Category(
        ("travel", "sports-report", "office-mail"),
        (),
        (
            "{S} made the whole journey by {x}",
            "from start to end {S} travelled by {x}",
            "for {S} it was the {x} all the way and nothing else",
        ),
        ("{S} travelled {c}", "{S} made the journey {c}"),
        (
            "{S} made the whole journey in a day, and {T} went by {x}",
            "{S} travelled with a single bag, while {T} came by {x}",
            "for {T} it was the {x} all the way, and {S} made the journey too",
        ),
        {
            "by water": ("ferry", "canoe", "steamboat", "barge"),
            "by rail": ("express train", "night train", "steam train", "local train"),
            "by road": ("bus", "taxi", "motorcycle", "van"),
            "through the air": ("helicopter", "plane", "hot-air balloon", "seaplane"),
        },
    ),
    "instrument": Category(
        ("theatre-diary", "village-history", "travel"),
        (),
        (
            "the only instrument that {S} ever played was the {x}",
            "{S} played the {x} and no other instrument",
            "of all instruments {S} had learned just one, the {x}",
        ),
        ("{S} played a {c} instrument", "the instrument {S} played was a {c} instrument"),
        (
            "{S} and {T} each played one instrument, in {T}'s case the {x}",
            "the only instrument that {T} ever played was the {x}, and {S} played along",
            "{T} played the {x}, and {S} had learned just one instrument as well",
        ),
        {
            "string": ("violin", "cello", "guitar", "harp"),
            "wind": ("flute", "oboe", "trumpet", "clarinet"),
            "percussion": ("snare drum", "kettledrum", "tambourine", "cymbals"),
        },
    ),
    "material": Category(
        ("workshop-log", "village-history", "travel", "theatre-diary", "kitchen"),
        (
            "the old bench",
            "the shelf",
            "the sign",
            "the screen",
            "the box",
            "the cover",
            "the tray",
            "the lamp stand",
            "the panel",
            "the door stop",
        ),
        (
            "{S} was made entirely of {x}",
            "for {S} nothing but {x} had been used",
            "{S} was {x} through and through",
        ),
        ("{S} was made of {c}", "the material of {S} was {c}"),
        (
            "{T} was made entirely of {x}, and what {S} was made of is not known",
            "for {T} nothing but {x} had been used, and {S} stood next to it",
            "{S} was made by the same hands as {T}, which was {x} through and through",
        ),
        MATERIALS,
    ),
    "colour": Category(
        ("workshop-log", "theatre-diary", "sports-report", "office-mail", "kitchen"),
        (
            "the cupboard",
            "the banner",
            "the folder",
            "the scarf",
            "the bucket",
            "the ribbon",
            "the chair",
            "the blanket",
            "the cap",
            "the trunk",
        ),
        (
            "{S} was {x} all over",
            "from top to bottom {S} was {x}",
            "{S} had a single colour, a handsome shade of {x}",
        ),
        ("{S} was {c}", "the colour of {S} was {c}"),
        (
            "{T} was {x} all over, and {S} was a bit smaller",
            "{S} and {T} had one colour each, {T} being {x}",
            "{S} lay beside {T}, which was {x} from top to bottom",
        ),
        COLOURS,
    ),
    "day": Category(
        ("office-mail", "science-note", "theatre-diary", "sports-report", "workshop-log"),
        (
            "the inspection",
            "the first trial",
            "the training day",
            "the fitting",
            "the vote",
            "the second trial",
            "the photo session",
            "the safety talk",
            "the big clean-up",
            "the auction",
        ),
        (
            "{S} took place on {x}",
            "{S} was held on {x} as planned",
            "it was on {x} that {S} took place",
        ),
        ("{S} took place {c}", "{S} was held {c}"),
        (
            "{T} was held on {x}, and {S} took place in the same month",
            "{S} was held as planned, and {T} took place on {x}",
            "it was on {x} that the date of {S} was picked",
        ),
        {
            "at the weekend": ("Saturday", "Sunday", "the last Sunday in May", "Saturday the 9th"),
            "on a weekday": ("Tuesday", "Wednesday", "the first Monday in May", "Friday the 5th"),
        },
    ),
    "hour": Category(
        ("office-mail", "science-note", "sports-report", "kitchen", "travel"),
        (
            "the phone call",
            "the delivery",
            "the roll call",
            "the handover",
            "the tasting",
            "the briefing",
            "the visit",
            "the draw",
            "the interview",
            "the count",
        ),
        (
            "{S} took place at {x} and was over within ten minutes",
            "it was exactly {x} when {S} began, and it ended minutes later",
            "{S} began and ended at about {x}",
        ),
        ("{S} took place {c}", "{S} happened {c}"),
        (
            "{T} took place at {x}, and {S} was over within ten minutes",
            "{S} happened on the same day as {T}, which began at {x}",
            "it was exactly {x} when somebody asked about {S}",
        ),
        {
            "before noon": ("eight in the morning", "9 a.m.", "six in the morning", "10:20 a.m."),
            "after noon": ("four in the afternoon", "7 p.m.", "9 p.m.", "3:40 p.m."),
        },
    ),
    "animal": Category(
        ("science-note", "village-history", "travel"),
        (),
        (
            "the only animal that {S} saw was {x}",
            "{S} saw {x} and no other animal",
            "just one animal was seen by {S}, namely {x}",
        ),
        ("{S} saw {c}", "the animal that {S} saw was {c}"),
        (
            "{S} saw one animal, and {T} saw {x}",
            "{T} saw {x} and no other animal, and {S} had a sighting too",
            "just one animal was seen by {S}, who had hoped for {x}",
        ),
        {
            "a bird": ("a heron", "a magpie", "a kestrel", "an owl"),
            "a fish": ("a pike", "a salmon", "a carp", "a sturgeon"),
            "an insect": ("a hornet", "a dragonfly", "a cricket", "a stag beetle"),
            "a mammal": ("a badger", "an otter", "a hedgehog", "a squirrel"),
        },
    ),
    "job": Category(
        ("village-history", "office-mail", "theatre-diary"),
        (),
        (
            "{S} worked as a {x} from the first day of working life to the last",
            "the only job that {S} ever had was that of a {x}",
            "all through working life {S} was a {x} and nothing else",
        ),
        ("{S} earned a living {c}", "{S} had a job {c}"),
        (
            "{S} had only one job in life, and {T} worked as a {x}",
            "{T} was a {x} and nothing else, and {S} earned a living too",
            "{S} had a job all through life and was married to a {x}",
        ),
        {
            "in medicine": ("nurse", "surgeon", "dentist", "country doctor"),
            "on building sites": ("bricklayer", "roofer", "plasterer", "scaffolder"),
            "on the land": ("shepherd", "dairy farmer", "beekeeper", "vine grower"),
            "in a school": ("teacher", "head teacher", "school caretaker", "maths teacher"),
        },
    ),
    "discipline": Category(
        ("sports-report",),
        (),
        (
            "the only event {S} entered was the {x}",
            "{S} took part in the {x} and in nothing else",
            "{S} was entered for one event, the {x}, and did take part",
        ),
        ("{S} took part in a {c} event", "{S}'s event was a {c} event"),
        (
            "{S} and {T} each took part in one event, in {T}'s case the {x}",
            "the only event {T} entered was the {x}, and {S} took part in one as well",
            "{S} was entered for just one event and watched {T} in the {x}",
        ),
        {
            "swimming": ("100 metres backstroke", "butterfly", "freestyle relay in the pool"),
            "running": ("marathon", "110 metres hurdles", "800 metres on the track"),
            "throwing": ("javelin", "discus", "shot put"),
        },
    ),
    "year": Category(
        ("village-history", "science-note", "workshop-log", "travel"),
        (
            "the stone bridge",
            "the boathouse",
            "the weather station",
            "the pump house",
            "the water tower",
            "the signal box",
            "the ice house",
            "the toll house",
            "the windmill",
        ),
        (
            "{S} was built in {x}",
            "the year {S} was built was {x}",
            "{x} was the year in which {S} was begun and finished",
        ),
        ("{S} was built in {c}", "{S} dates from {c}"),
        (
            "{T} was built in {x}, and {S} is close by",
            "the year {T} was built was {x}, and the year of {S} is not given",
            "{S} was built by the family that put up {T} in {x}",
        ),
        {
            "the eighteenth century": ("1712", "1734", "1768", "1789"),
            "the nineteenth century": ("1823", "1846", "1871", "1888"),
            "the twentieth century": ("1907", "1926", "1953", "1974"),
        },
    ),
}
