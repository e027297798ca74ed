import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Kind, buildASTSchema, extendSchema, parse, validate } from "graphql";
import { expect, test } from "vitest";
import * as artifact from "../app/src/data/artifact.ts";
import * as project from "../app/src/data/project.ts";
import * as run from "../app/src/data/run.ts";
import * as sweep from "../app/src/data/sweep.ts";
import type { Operation } from "../app/src/graphql.ts";

const folder = resolve(import.meta.dirname, "../../internal/server/graph/schema");
const sources = readdirSync(folder).filter((name) => name.endsWith(".graphql")).map((name) => readFileSync(join(folder, name), "utf8"));
const { definitions } = parse(sources.join("\n"));
const document = (extensions: boolean) => ({ kind: Kind.DOCUMENT as const, definitions: definitions.filter(({ kind }) => kind.endsWith("Extension") === extensions) });
// The server's generator allows a type without fields that other files extend.
const schema = extendSchema(buildASTSchema(document(false), { assumeValidSDL: true }), document(true), { assumeValidSDL: true });

const operations = [artifact, project, run, sweep].flatMap((module) =>
  Object.values(module).filter((value): value is Operation<unknown, unknown> => typeof value === "object" && "text" in value),
);

test("there is something to check", () => {
  expect(operations.length).toBeGreaterThan(25);
});

test.each(operations.map((operation) => [operation.name, operation.text]))("the server understands %s", (_, text) => {
  expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([]);
});
