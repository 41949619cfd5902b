"""Values of the shape that a JSON Schema describes, made by chance, and what strict structured output asks of a schema.

Knows no endpoint. A schema is only looked at, never run.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

BEGINNINGS = (
    *(
        "Fresh from the bench",
        "Early this morning",
        "After a long week",
        "Right before lunch",
        "By popular demand",
    ),
    *(
        "Between two meetings",
        "On a rainy day",
        "With a little patience",
        "Against all odds",
        "For the first time",
    ),
    *("Around the corner", "At the end of the street"),
)
MIDDLES = (
    *("we opened the door", "everything came together", "the first batch was ready", "a new idea took shape"),
    *("somebody asked the right question", "we found what we were looking for", "the lights went on"),
    *("it was worth the wait", "the table was set", "the old plan made sense again", "we started over"),
    *("a quiet moment turned up",),
)
ENDINGS = (
    *(
        "and you can see it.",
        "and nobody was surprised.",
        "so here it is.",
        "with room for more.",
        "at last.",
    ),
    *(
        "and it shows.",
        "as promised.",
        "and we like it.",
        "thanks to you.",
        "just in time.",
        "and that is all.",
    ),
    *("without a fuss.",),
)
WORDS = (
    *(
        "fresh",
        "today",
        "newin",
        "handmade",
        "local",
        "season",
        "craft",
        "together",
        "morning",
        "special",
        "studio",
    ),
    *("behindthescenes", "slow", "bright", "weekend", "favourites", "ideas", "team", "open", "now"),
)
MOST_DEPTH = 8


class ShapeError(ValueError):
    """A schema that strict structured output does not take; the text says why."""


def sentence(chance: random.Random) -> str:
    """Return one sentence."""
    return " ".join(chance.choice(bank) for bank in (BEGINNINGS, MIDDLES, ENDINGS))


def filled(
    schema: Mapping[str, object], chance: random.Random, *, sentences: int = 1, depth: int = 0
) -> object:
    """Return a value of a schema's shape.

    Args:
        schema: What is described: objects, lists, texts, numbers, flags, and choices.
        chance: Where the value is drawn from.
        sentences: How many sentences a text has.
        depth: How deep inside the answer this is; past a bound there is nothing.
    """
    if depth > MOST_DEPTH:
        return None
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return chance.choice(choices)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties")
            return {
                str(name): filled(inner, chance, sentences=sentences, depth=depth + 1)
                for name, inner in (properties if isinstance(properties, dict) else {}).items()
                if isinstance(inner, dict)
            }
        case "array":
            inner = schema.get("items")
            if isinstance(inner, dict) and inner.get("type") == "string":
                return chance.sample(WORDS, 3)
            inner = inner if isinstance(inner, dict) else {"type": "string"}
            return [filled(inner, chance, sentences=sentences, depth=depth + 1) for _ in range(2)]
        case "string":
            return " ".join(sentence(chance) for _ in range(sentences))
        case "integer":
            return chance.randint(1, 100)
        case "number":
            return chance.randint(1, 1000) / 10
        case "boolean":
            return chance.random() < 0.5
        case _:
            return None


def check_strict(schema: Mapping[str, object], *, depth: int = 0) -> None:
    """Check what strict output asks for: no other property, and every property required.

    Raises:
        ShapeError: The schema is not so.
    """
    if depth > MOST_DEPTH:
        raise ShapeError("it is nested too deeply.")
    if schema.get("type") == "object":
        properties, required = schema.get("properties"), schema.get("required")
        if schema.get("additionalProperties") is not False:
            raise ShapeError("'additionalProperties' is required to be supplied and to be false.")
        names = set(properties) if isinstance(properties, dict) else set()
        if not isinstance(required, list) or set(required) != names:
            raise ShapeError("'required' is required to be supplied and to name every property.")
        for inner in properties.values() if isinstance(properties, dict) else ():
            if isinstance(inner, dict):
                check_strict(inner, depth=depth + 1)
    items = schema.get("items")
    if isinstance(items, dict):
        check_strict(items, depth=depth + 1)
