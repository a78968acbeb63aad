"""What pydantic found, in plain words, with the place where the user wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from tarazu.errors import Problem, did_you_mean

Keys = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_RULES = {
    "missing": "this key is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "none_required": "must be null",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def check(
    model: type[Model], values: Any, place: Callable[[Keys], str], base: Keys = ()
) -> tuple[Model | None, list[tuple[Keys, Problem]]]:
    """Build a pydantic model, or say in plain words what stands against it.

    Args:
        model: The model.
        values: Plain values as read from YAML. Types are taken as they are: ``"3"`` is no number
            and ``true`` is not 1.
        place: Gives the place of a key path, for messages.
        base: Key path of `values` themselves.

    Returns:
        The model or None, and the problems with their key paths.
    """
    try:
        # Through JSON, in which a list may stand for a tuple although types are strict.
        return model.model_validate_json(json.dumps(values, default=str), strict=True), []
    except ValidationError as error:
        found: dict[Keys, list[dict[str, Any]]] = {}
        for detail in error.errors(include_url=False):
            found.setdefault(_real_path(detail, values), []).append(dict(detail))
        kept = {keys: details for keys, details in found.items() if not _wrong_branch(keys, found)}
        return None, [
            ((*base, *keys), _problem(model, values, keys, details, place((*base, *keys))))
            for keys, details in kept.items()
        ]


def _real_path(detail: Any, values: Any) -> Keys:
    """Drop what pydantic adds to a path (names of a union's branches): only real keys stay."""
    keys: list[str | int] = []
    location = detail["loc"]
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if (isinstance(values, dict) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        ):
            values = values[part]
            keys.append(part)
        elif last and detail["type"] == "missing":
            keys.append(part)
    return tuple(keys)


def _wrong_branch(keys: Keys, found: dict[Keys, list[dict[str, Any]]]) -> bool:
    """Tell whether errors come from the branches of a union that the value is not meant to be.

    "Not text" at a mapping says nothing when the mapping itself has mistakes inside.
    """
    only_types = all(detail["type"].endswith("_type") for detail in found[keys])
    return only_types and any(len(k) > len(keys) and k[: len(keys)] == keys for k in found)


def _problem(
    model: type[BaseModel], values: Any, keys: Keys, details: list[dict[str, Any]], where: str
) -> Problem:
    kinds = {detail["type"] for detail in details}
    if kinds == {"missing"}:
        return Problem(where, f"the key '{keys[-1]}' is required", "", "Add it.")
    if "extra_forbidden" in kinds:
        valid = valid_keys(model, keys[:-1])
        return Problem(
            where, "must be a known key", f"'{keys[-1]}'", did_you_mean(str(keys[-1]), valid)
        )
    rules = dict.fromkeys(_rule(detail) for detail in details)
    remedy = ""
    value = _at(values, keys)
    for detail in details:
        if detail["type"] == "literal_error" and isinstance(value, str):
            choices = detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
            remedy = did_you_mean(value, [choice.strip("'") for choice in choices])
    return Problem(where, " or ".join(rules), shown(value), remedy)


def _rule(detail: dict[str, Any]) -> str:
    rule = _RULES.get(detail["type"])
    context = detail.get("ctx", {})
    return rule.format(**context) if rule is not None else detail["msg"].lower()


def _at(values: Any, keys: Keys) -> Any:
    for key in keys:
        values = values[key]
    return values


def shown(value: Any) -> str:
    """Return a value as the user would write it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"


def valid_keys(model: type[BaseModel], keys: Keys) -> list[str]:
    """Return the keys that a model knows at a key path."""
    found: list[type[BaseModel]] = [model]
    for key in keys:
        found = [
            inner
            for outer in found
            for name, field in outer.model_fields.items()
            if key in (name, field.alias)
            for inner in _models_in(field.annotation)
        ] or found  # a key of the user's own (a model's name) stays at the same models
    return [field.alias or name for m in found for name, field in m.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
