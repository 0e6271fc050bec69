"""Every key of a chip file with its kind and what it allows, derived from the schema."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from emulator.chip.schema import Chip

Kind = Literal["section", "list", "choice", "boolean", "integer", "number", "text"]

NOUNS: dict[Kind, str] = {
    "section": "a mapping of keys",
    "list": "a list",
    "choice": "one of the choices",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "text": "text",
}


@dataclass(frozen=True)
class Key:
    """What one key may hold."""

    path: str
    kind: Kind
    allowed: str
    meaning: str
    required: bool = True
    default: Any = None
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    children: dict[str, "Key"] = field(default_factory=dict)  # of a section
    item: "Key | None" = None  # of a list


@cache
def root_key() -> Key:
    """Return the chip file as a whole, whose children are its sections."""
    schema = Chip.model_json_schema()
    return _key("", schema, schema["$defs"])


def walk(key: Key | None = None) -> list[Key]:
    """Return every key below one (below the whole file by default), in the order of the schema."""
    found = []
    for child in (key or root_key()).children.values():
        found += [child, *walk(child)]
    return found


def _key(path: str, schema: dict[str, Any], models: dict[str, Any], required: bool = True) -> Key:
    meaning, default = schema.get("description", ""), schema.get("default")
    if "$ref" in schema:
        schema = models[schema["$ref"].rpartition("/")[2]]
        meaning = meaning or schema["description"]
    nullable = "anyOf" in schema
    if nullable:
        schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    kind = _kind(schema)
    children, item = {}, None
    if kind == "section":
        children = {
            name: _key(
                f"{path}.{name}" if path else name, child, models, name in schema["required"]
            )
            for name, child in schema["properties"].items()
        }
    if kind == "list":
        item = _key(f"{path}[]", schema["items"], models)
    return Key(
        path=path,
        kind=kind,
        allowed=_allowed(kind, schema, children, item) + (", or null" if nullable else ""),
        meaning=meaning,
        required=required,
        default=default,
        nullable=nullable,
        choices=_choices(schema),
        children=children,
        item=item,
    )


def _kind(schema: dict[str, Any]) -> Kind:
    if _choices(schema):
        return "choice"
    kinds: dict[str, Kind] = {
        "object": "section",
        "array": "list",
        "boolean": "boolean",
        "integer": "integer",
        "number": "number",
        "string": "text",
    }
    return kinds[schema["type"]]


def _choices(schema: dict[str, Any]) -> tuple[Any, ...]:
    return (schema["const"],) if "const" in schema else tuple(schema.get("enum", ()))


def _allowed(kind: Kind, schema: dict[str, Any], children: dict[str, Key], item: Key | None) -> str:
    """Return what a value may be, without its kind."""
    match kind:
        case "section":
            return ", ".join(children)
        case "choice":
            return ", ".join(map(str, _choices(schema)))
        case "boolean":
            return "true, false"
        case "text":
            shortest = schema.get("minLength", 0)
            plain = f"{shortest} characters or more" if shortest else "any"
            return str(schema.get("x-allowed", plain))
        case "list":
            assert item is not None
            return f"one or more of: {item.allowed}"
        case "integer" | "number":
            low, high = _digits(schema["minimum"]), _digits(schema["maximum"])
            return low if low == high else f"{low} to {high}"


def _digits(bound: float) -> str:
    """Return a bound as a chip file would write it: 1e9 is 1000000000."""
    text = f"{Decimal(repr(bound)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
