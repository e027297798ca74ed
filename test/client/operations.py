"""Prints, as JSON, what the installed client may ask in GraphQL: every operation that its sources hold as a text, and the
fields of its input types. A text that is put together from parts is evaluated with the names of its module; where that is
not possible it is listed as "assembled"."""

import ast
import importlib
import json
import os
import re
import sys

import wandb

ROOT = os.path.dirname(wandb.__file__)
# The values that the client's code gives to the names of its assembled texts.
SCOPES = {
    "apis/public/runs.py": [
        {"fragment_name": "RunFragment", "fragment": "RUN_FRAGMENT", "node": "history", "delete_artifacts": True},
        {"fragment_name": "LightweightRunFragment", "fragment": "LIGHTWEIGHT_RUN_FRAGMENT", "node": "events", "delete_artifacts": False},
    ],
    "sdk/artifacts/_gqlutils.py": [
        {
            "query_vars": [
                "$entityName: String!", "$projectName: String!", "$runName: String!", "$artifactID: ID!", "$usedAs: String",
                "$artifactEntityName: String", "$artifactProjectName: String",
            ],
            "query_args": [
                "entityName: $entityName", "projectName: $projectName", "runName: $runName", "artifactID: $artifactID",
                "usedAs: $usedAs", "artifactEntityName: $artifactEntityName", "artifactProjectName: $artifactProjectName",
            ],
        }
    ],
}
OPERATION = re.compile(r"^\s*(?:#graphql\b[^\n]*\s)?\s*(query|mutation)\s+(\w+)")


def modules():
    for folder, _, files in os.walk(ROOT):
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def module_name(path):
    relative = os.path.relpath(path, os.path.dirname(ROOT))[: -len(".py")]
    return relative.replace(os.sep, ".").removesuffix(".__init__")


def globals_of(path):
    try:
        return vars(importlib.import_module(module_name(path)))
    except Exception:  # an optional dependency is missing
        return {}


def head(node):
    """The text with which a template begins; None for what is no template."""
    if isinstance(node, ast.JoinedStr):
        first = node.values[0] if node.values else None
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        first = node.func.value
    else:
        return None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def assemble(node, path, source):
    for scope in SCOPES.get(source, [{}]):
        names = dict(globals_of(path))
        names.update({key: names.get(value, value) if isinstance(value, str) else value for key, value in scope.items()})
        try:
            yield {"text": eval(compile(ast.Expression(node), path, "eval"), names)}
        except Exception:
            yield {"assembled": True}


def replaced(text):
    """A text whose marks the client replaces before it sends it, in the newest of the forms that it tries."""
    return text.replace("_PROJECT_QUERY_", "project { id name entity { id name } }").replace(
        "controller: $controller,",
        "controller: $controller,launchScheduler: $launchScheduler,templateVariableValues: $templateVariableValues,",
    ).replace(
        "$controller: JSONString,", "$controller: JSONString,$launchScheduler: JSONString,$templateVariableValues: JSONString,"
    )


def operations(path):
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    inside = set()
    source = os.path.relpath(path, ROOT)
    for node in ast.walk(tree):
        template = head(node)
        if template is not None:
            inside.update(id(part) for part in ast.walk(node) if part is not node)
            found = OPERATION.match(template)
            for entry in assemble(node, path, source) if found else ():
                yield {"name": found.group(2), "source": source, **entry}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found = OPERATION.match(node.value)
            if found and "{" in node.value:
                yield {"name": found.group(2), "source": source, "text": replaced(node.value)}


def inputs():
    for path in modules():
        if os.path.basename(path) != "input_types.py":
            continue
        for name, kind in globals_of(path).items():
            fields = getattr(kind, "model_fields", None)
            if isinstance(kind, type) and fields and kind.__module__ == module_name(path):
                source = os.path.relpath(path, ROOT)
                yield {"name": name, "source": source, "fields": [field.alias or key for key, field in fields.items()]}


json.dump(
    {
        "operations": [operation for path in modules() for operation in operations(path)],
        "inputs": list(inputs()),
    },
    sys.stdout,
)
