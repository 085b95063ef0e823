"""The text of `kerasgan recipes --explain`, read from the code: fields, docstrings, and the options of components."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from kerasgan import registry
from kerasgan.config import NOT_SETTINGS, Component, Recipe

_GIVEN = ("name", "classes")  # which a recipe says elsewhere: the name of the file, and the structures
_OPTION_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}


class Setting(NamedTuple):
    """A setting of a recipe.

    Attributes:
        path: As `--set` takes it.
        meaning: What it does.
        values: What it may be, in words.
        default: In JSON; `""` where it has none.
        of: The component whose option it is; `""` for a setting that every recipe has.
    """

    path: str
    meaning: str
    values: str
    default: str
    of: str = ""

    def content(self) -> dict[str, Any]:
        """The setting as plain data; one without a default is required."""
        default = json.loads(self.default) if self.default else None
        return self._asdict() | {"default": default, "required": not self.default}


def settings() -> list[Setting]:
    """Every setting of a recipe, in its order; an option of a component once for each component that has it."""
    return list(_fields(Recipe))


def explanation(found: Sequence[Setting]) -> str:
    """Returns settings as text, each with meaning, values and default."""
    wrapper = textwrap.TextWrapper(100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    lines = ["Settings, each of which --set PATH=VALUE can change, with their defaults:"]
    for setting in found:
        default = f"={setting.default}" if setting.default else ""
        of = f"  of {setting.of}" if setting.of else ""
        texts = [setting.meaning, f"Values: {setting.values}."]
        lines += ["", f"{setting.path}{default}{of}", *map(wrapper.fill, texts)]
    return "\n".join(lines)


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """The settings of a part of a recipe, and of its parts in turn."""
    meanings, schema = described(inspect.getdoc(model) or "", "Attributes"), model.model_json_schema()
    for name, field in model.model_fields.items():
        path, meaning, default = f"{prefix}{name}", meanings.get(name, ""), field.get_default()
        part = next((one for one in (field.annotation, *get_args(field.annotation)) if _is_model(one)), None)
        if not prefix and name in NOT_SETTINGS:
            continue
        if part is Component:
            yield from _component(path, meaning, default if isinstance(default, Component) else None)
        elif part:
            if type(None) in get_args(field.annotation):
                yield Setting(path, meaning, f"null, or the settings {path}.NAME", "null")
            yield from _fields(part, f"{path}.")
        else:
            one = schema["properties"][name]
            values = _names(registry.names("models")) if path == "method" else _words(one, schema.get("$defs", {}))
            yield Setting(path, meaning, values, json.dumps(one["default"]) if "default" in one else "")


def _component(path: str, meaning: str, default: Component | None) -> Iterator[Setting]:
    """The name of a component, then the options of each file that can stand in its place."""
    kind, functions = registry.COMPONENTS[path]
    trees = {name: ast.parse(registry.path_of(kind, name).read_text(encoding="utf-8")) for name in registry.names(kind)}
    found = {
        name: [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in functions]
        for name, tree in trees.items()
    }
    offering = [name for name, nodes in found.items() if nodes]
    yield Setting(f"{path}.name", meaning, _names(offering), json.dumps(default.name) if default else "")
    for name in offering:
        for node in found[name]:
            texts = described(ast.get_docstring(node) or "", "Args")
            for argument, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if argument.arg not in _GIVEN:
                    annotation = ast.unparse(argument.annotation) if argument.annotation else ""
                    values = _option_words(_aliases(trees[name]).get(annotation, annotation))
                    preset = json.dumps(ast.literal_eval(value)) if value else ""
                    yield Setting(f"{path}.{argument.arg}", texts.get(argument.arg, ""), values, preset, name)


def described(docstring: str, section: str) -> dict[str, str]:
    """The meaning of each name in a section of a docstring, in one line.

    Args:
        docstring: Without the indentation of the code.
        section: `"Attributes"` or `"Args"`.

    Example:
        >>> described("A part.\\n\\nArgs:\\n    size: Pixels\\n        of a side.\\n    scale: A number.", "Args")
        {'size': 'Pixels of a side.', 'scale': 'A number.'}
    """
    block = re.search(rf"^{section}:\n((?:    .*\n?|\n(?=    ))*)", docstring, re.MULTILINE)
    entries = re.split(r"^    (?=\w+:)", block[1] if block else "", flags=re.MULTILINE)
    pairs = (entry.partition(":") for entry in entries if entry.strip())
    return {name: " ".join(text.split()) for name, _, text in pairs}


def _aliases(tree: ast.Module) -> dict[str, str]:
    """The names that a module gives to types."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in assigned}


def _names(known: Sequence[str]) -> str:
    return f"{', '.join(known)}, or the path of a .py file"


def _words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words."""
    if "$ref" in schema:
        return _words(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(_words(one, definitions) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        *others, last = map(json.dumps, schema.get("enum") or [schema["const"]])
        return f"{', '.join(others)} or {last}" if others else last
    if schema["type"] == "array":
        if "prefixItems" in schema:
            low, high = (_words(one, definitions) for one in schema["prefixItems"])
            return f"[low, high], low below high, each {low}" if low == high else f"[{low}, {high}]"
        return f"a list, each {_words(schema['items'], definitions)}"
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    words = [f"{word} {schema[bound]:,.12g}" for bound, word in bounds.items() if bound in schema]
    text = f"{kinds.get(schema['type'], schema['type'])} {', '.join(words)}".rstrip()
    several = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return (text.replace(", at most", " to") if "minimum" in schema else text) + several


def _option_words(annotation: str) -> str:
    """The values of an option, by the annotation of its argument.

    Example:
        >>> _option_words("int"), _option_words("Literal['signed', 'magnitude']")
        ('a whole number', '"signed" or "magnitude"')
    """
    if annotation.startswith("Literal["):
        return _words({"enum": list(ast.literal_eval(f"({annotation[8:-1]},)"))}, {})
    return " or ".join(_OPTION_TYPES.get(one, one) for one in annotation.split(" | "))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
