"""Names, titles and sentences as members write them: every script, emoji, marks, quotes, nothing.

Country shares, plan shares and prices stand here too, as tables.
"""

from random import Random

# country: its share of sign-ups, its currency, the tax on prints, its cities (latin1 in the schema)
COUNTRIES: dict[str, tuple[int, str, str, tuple[str, ...]]] = {
    "US": (38, "USD", "0.0825", ("San Francisco", "Chicago", "St. John's", "Coeur d'Alene")),
    "GB": (12, "GBP", "0.2000", ("London", "Leeds", "Ynys Môn")),
    "DE": (10, "EUR", "0.1900", ("Köln", "München", "Gießen", "Heizölrückstoß")),
    "FR": (7, "EUR", "0.2000", ("Besançon", "Orléans", "Nîmes")),
    "BR": (7, "USD", "0.0000", ("São Paulo", "Florianópolis")),
    "JP": (7, "USD", "0.1000", ("Tokyo", "Sapporo")),
    "ES": (5, "EUR", "0.2100", ("A Coruña", "Logroño")),
    "IN": (5, "USD", "0.1800", ("Pune", "Kochi")),
    "SE": (4, "EUR", "0.2500", ("Malmö", "Åre", "Växjö")),
    "IS": (2, "EUR", "0.2400", ("Reykjavík", "Ísafjörður")),
    "NZ": (2, "USD", "0.1500", ("Dunedin", "Otara")),
    "AQ": (1, "USD", "0.0000", ("McMurdo",)),
}
PLANS = {"pro": ("8.25", 70), "portfolio": ("29.00", 20), "business": ("44.99", 10)}
PRODUCTS = {
    "print 4x6": "0.39",
    "print 8x10": "3.19",
    "canvas 16x20": "89.00",
    "metal 12x18": "64.50",
    "mug": "14.95",
    "photo book": "39.99",
    "calendar – 2024": "24.00",
    "carte postale «été»": "1.05",
}
CAMERAS = ("NIKON Z 8", "Canon EOS R5", "ILCE-7M4", "iPhone 15 Pro", "Leica M6", "X100V", "µ4/3 🎞")
REFERRERS = ("google", "explore", "", "t.co", "groups/black&white", "newsletter „Mai“", None)

_NAMES = (
    *("Ada", "Björn", "Chloé", "Dmitri", "Elif", "Fatima", "Günther", "Hana", "İpek", "José"),
    *("Kenji", "Łukasz", "Mária", "Ngọc", "O'Neill", "Priya", "Qi", "René", "Søren", "Þóra"),
    *("李雷", "さくら", "محمد", "Ελένη", "Олена", "דניאל", "🦊 Fox", "Zoe\u0308"),
)
_THINGS = (
    *("sunset", "ferry", "old harbour", "market", "fog", "grandma", "the dog", "birthday cake"),
    *("Milky Way", "tram 28", "first snow", "street musician", "macro: bee", "IMG_0042", "wedding"),
    *(
        "Eiffelturm",
        "Blüte",
        "crème brûlée",
        "富士山",
        "桜",
        "الصحراء",
        "город",
        "🌅",
        "👩‍👩‍👧‍👦 family",
    ),
)
_TURNS = (
    *("{} at dusk", "my {}", "{} again", "{} #2", "untitled ({})", "“{}”", "{} — 1/60 s, ƒ/2.8"),
    *("the {}'s end", "{} \\o/", "100 % {}", "{}; DROP TABLE photos; --", "{}\u0301", "{} 🇫🇷✨"),
)
_SENTENCES = (
    *("Taken from the pier.", "So beautiful!", "Nice tones 😍", "Where is this?", "love it ❤️‍🔥"),
    *(
        "Großartig, wirklich.",
        "¡Qué luz!",
        "素晴らしい",
        "مدهش",
        "Wow…",
        "Second line\nfollows.",
        ":)",
    ),
    *('He said: "don\'t".', "tab\there", "back\\slash", "nai\u0308ve", "0", "null", "NULL", " "),
)
_TAGS = ("travel", "film", "bw", "portrait", "natur", "été", "夜景", "35mm", "macro", "cats 🐈")


def name(rng: Random) -> str:
    """A display name."""
    return f"{rng.choice(_NAMES)} {rng.choice(_NAMES)}"


def title(rng: Random) -> str:
    """A title; one in twelve is the empty string."""
    if rng.random() < 0.08:
        return ""
    return rng.choice(_TURNS).format(rng.choice(_THINGS))


def sentences(rng: Random, *, most: int = 4) -> str:
    """Some sentences, one in forty a long text."""
    count = rng.randint(1, most) * (40 if rng.random() < 0.025 else 1)
    return " ".join(rng.choices(_SENTENCES, k=count))


def tags(rng: Random) -> str | None:
    """Tags with blanks between, the empty string or nothing."""
    if rng.random() < 0.3:
        return rng.choice(("", None))
    return " ".join(rng.choices(_TAGS, k=rng.randint(1, 6)))


def country(rng: Random) -> str:
    """A country, by its share of sign-ups."""
    return rng.choices(list(COUNTRIES), [entry[0] for entry in COUNTRIES.values()])[0]


def paid_plan(rng: Random) -> str:
    """A paid plan, by its share."""
    return rng.choices(list(PLANS), [share for _, share in PLANS.values()])[0]
