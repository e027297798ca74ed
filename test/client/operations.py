"""Prints, as JSON, what the installed client may ask in GraphQL: every operation that its sources hold as a text, and the
fields of its input types. A text that is put together from parts is evaluated with the names of its module; where that is
not possible it is listed as "assembled"."""

import ast
import importlib
import json
import os
import re
import sys
import types

import wandb

ROOT = os.path.dirname(wandb.__file__)
# The values that the client's code gives to the names of its assembled texts.
SCOPES = {
    "sdk/artifacts/artifact.py": [
        {"vars_str": "$entityName: String!, $projectName: String!, $name: String!", "args_str": "name: $name"},
    ],
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
# 0.19 asks its client for the version of the server.
CAPABLE = types.SimpleNamespace(version_supported=lambda _: True)
ALWAYS = {"client": CAPABLE, "self": types.SimpleNamespace(client=CAPABLE), "_gql_artifact_fragment": lambda *_, **__: ARTIFACT_FRAGMENT}
OPERATION = re.compile(r"^\s*(?:#graphql\b[^\n]*\s)?\s*(query|mutation)\s+(\w+)")


def modules():
    for folder, _, files in os.walk(ROOT):
        if os.path.relpath(folder, ROOT).split(os.sep)[0] == "vendor":
            continue  # tests of other people's packages
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
        names = {**globals_of(path), **ALWAYS}
        names.update({key: names.get(value, value) if isinstance(value, str) else value for key, value in scope.items()})
        try:
            yield {"text": replaced(eval(compile(ast.Expression(node), path, "eval"), names))}
        except Exception:
            yield {"assembled": True}


# What the client puts in the place of marks in its texts, in the newest of the forms that it tries.
MARKS = {
    "_PROJECT_QUERY_": "project { id name entity { id name } }",
    "controller: $controller,":
        "controller: $controller,launchScheduler: $launchScheduler,templateVariableValues: $templateVariableValues,",
    "$controller: JSONString,": "$controller: JSONString,$launchScheduler: JSONString,$templateVariableValues: JSONString,",
    # 0.19 asks for the schema first, and puts in what ours has.
    "_CLI_QUERY_": "serverInfo { cliVersionInfo latestLocalVersionInfo { outOfDate latestVersionString versionOnThisInstanceString } }",
    "_Server_Settings_": "serverSettings { serverMessages { utfText plainText htmlText messageType messageLevel } }",
    "_USED_AS_TYPE_": "$usedAs: String",
    "_USED_AS_VALUE_": "usedAs: $usedAs",
    "ID_TYPE": "$artifactID: ID, $clientID: ID",
    "ID_VALUE": "artifactID: $artifactID, clientID: $clientID",
    "_CREATE_ARTIFACT_ADDITIONAL_TYPE_":
        "$historyStep: Int64!, $distributedID: String, $clientID: ID!, $sequenceClientID: ID!, $enableDigestDeduplication: Boolean, "
        "$ttlDurationSeconds: Int64, $tags: [TagInput!]",
    "_CREATE_ARTIFACT_ADDITIONAL_VALUE_":
        "historyStep: $historyStep, distributedID: $distributedID, clientID: $clientID, sequenceClientID: $sequenceClientID, "
        "enableDigestDeduplication: $enableDigestDeduplication, ttlDurationSeconds: $ttlDurationSeconds, tags: $tags",
    "_MULTIPART_UPLOAD_FIELDS_": "storagePath uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } }",
    "_TTL_DURATION_SECONDS_TYPE_": "$ttlDurationSeconds: Int64",
    "_TTL_DURATION_SECONDS_VALUE_": "ttlDurationSeconds: $ttlDurationSeconds",
    "_TTL_DURATION_SECONDS_FIELDS_": "ttlDurationSeconds ttlIsInherited",
    "_TAGS_TO_ADD_TYPE_": "$tagsToAdd: [TagInput!]",
    "_TAGS_TO_DELETE_TYPE_": "$tagsToDelete: [TagInput!]",
    "_TAGS_TO_ADD_VALUE_": "tagsToAdd: $tagsToAdd",
    "_TAGS_TO_DELETE_VALUE_": "tagsToDelete: $tagsToDelete",
}
MARK = re.compile("|".join(re.escape(mark) for mark in sorted(MARKS, key=len, reverse=True)))

# What 0.19 adds to a text that has this fragment, as it is where the server has all that may be in it.
ARTIFACT_FRAGMENT = """
fragment ArtifactFragment on Artifact {
    id artifactSequence { project { entityName name } name } versionIndex artifactType { name } description metadata
    ttlDurationSeconds ttlIsInherited aliases { artifactCollection { project { entityName name } name } alias } tags { name }
    state currentManifest { file { directUrl } } commitHash fileCount createdAt updatedAt
}
"""


def replaced(text):
    """A text whose marks the client replaces before it sends it."""
    text = MARK.sub(lambda mark: MARKS[mark.group()], text)
    if "...ArtifactFragment" in text and "fragment ArtifactFragment" not in text:
        text += ARTIFACT_FRAGMENT
    return text


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
