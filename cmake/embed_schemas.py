#!/usr/bin/python3
"""Makes one .cpp that holds every JSON Schema of schemas/ (standard library only).

References to definitions.json become local ones: each schema carries the definitions it needs, so
that the program never has to fetch a document.
"""
import json
import os
import sys

SHARED = "definitions.json#/definitions/"
LOCAL = "#/definitions/"


def localise(node, needed):
    """A copy of node whose shared references are local; the names go to needed."""
    if isinstance(node, list):
        return [localise(item, needed) for item in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "$ref":
            name = value.split(SHARED)[-1] if SHARED in value else value[len(LOCAL):]
            needed.append(name)
            value = LOCAL + name
        else:
            value = localise(value, needed)
        out[key] = value
    return out


def bundle(schema, shared, path):
    needed, definitions = [], {}
    own = schema.get("definitions", {})
    out = localise({k: v for k, v in schema.items() if k != "definitions"}, needed)
    while needed:
        name = needed.pop()
        if name in definitions:
            continue
        source = own if name in own else shared
        if name not in source:
            sys.exit(f"{path}: no definition '{name}'")
        definitions[name] = localise(source[name], needed)
    if definitions:
        out["definitions"] = definitions
    return out


def main(folder, output):
    with open(os.path.join(folder, "definitions.json"), encoding="utf-8") as file:
        shared = json.load(file)["definitions"]
    rows = []
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"cli", "vendor", "vectors"})
        for name in sorted(names):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, folder)
            if not name.endswith(".json") or relative == "definitions.json":
                continue
            with open(path, encoding="utf-8") as file:
                schema = bundle(json.load(file), shared, path)
            rows.append((relative[:-len(".json")], json.dumps(schema, separators=(",", ":"))))
    with open(output, "w", encoding="utf-8") as out:
        out.write("// Made from schemas/ by the build. Do not edit.\n")
        out.write('#include "common/message/embedded_schemas.hpp"\n\n')
        out.write("namespace lockstep::message {\n\nconst EmbeddedSchema kEmbeddedSchemas[] = {\n")
        for name, text in sorted(rows):
            out.write(f'    {{"{name}", R"schema({text})schema"}},\n')
        out.write("};\n")
        out.write(f"const std::size_t kEmbeddedSchemaCount = {len(rows)};\n\n}}  // namespace lockstep::message\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
