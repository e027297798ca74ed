import { type FieldNode, type OperationDefinitionNode, type SelectionSetNode, type ValueNode, Kind, OperationTypeNode, parse } from "graphql";
import { json } from "./server.ts";

/** What a field gives: a value, an object of such, or a function of the field's arguments. */
export type Resolvable = unknown;
type Arguments = Record<string, unknown>;
type Fragments = Map<string, SelectionSetNode>;

/**
 * Answers a GraphQL request from plain objects: a field is a property, or a function of its arguments. It knows no schema; that
 * operations fit the server's is a test of its own.
 */
export async function answerGraphql(request: Request, roots: { query: object; mutation: object }): Promise<Response> {
  const { query, variables = {} } = (await request.json()) as { query: string; variables?: Arguments };
  const document = parse(query);
  const operation = document.definitions.find((one): one is OperationDefinitionNode => one.kind === Kind.OPERATION_DEFINITION);
  if (!operation) return json({ errors: [{ message: "no operation" }] });
  const fragments: Fragments = new Map();
  for (const one of document.definitions) if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one.selectionSet);
  try {
    const root = operation.operation === OperationTypeNode.MUTATION ? roots.mutation : roots.query;
    return json({ data: select(root as Arguments, operation.selectionSet, variables, fragments) });
  } catch (error) {
    return json({ errors: [{ message: error instanceof Error ? error.message : String(error) }], data: null });
  }
}

function select(object: Arguments, selections: SelectionSetNode, variables: Arguments, fragments: Fragments): Arguments {
  const answer: Arguments = {};
  for (const selection of selections.selections) {
    if (selection.kind === Kind.FIELD) {
      answer[(selection.alias ?? selection.name).value] = complete(resolve(object, selection, variables), selection, variables, fragments);
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      const on = selection.typeCondition?.name.value;
      if (!on || object.__typename === on) Object.assign(answer, select(object, selection.selectionSet, variables, fragments));
    } else {
      const set = fragments.get(selection.name.value);
      if (set) Object.assign(answer, select(object, set, variables, fragments));
    }
  }
  return answer;
}

function resolve(object: Arguments, field: FieldNode, variables: Arguments): unknown {
  const name = field.name.value;
  if (!(name in object)) throw new Error(`Cannot query field "${name}"`);
  const value = object[name];
  if (typeof value !== "function") return value;
  const given = Object.fromEntries((field.arguments ?? []).map((argument) => [argument.name.value, valueOf(argument.value, variables)]));
  return (value as (given: Arguments) => unknown)(given);
}

function complete(value: unknown, field: FieldNode, variables: Arguments, fragments: Fragments): unknown {
  if (Array.isArray(value)) return value.map((one) => complete(one, field, variables, fragments));
  if (value === null || value === undefined) return null;
  return field.selectionSet ? select(value as Arguments, field.selectionSet, variables, fragments) : value;
}

function valueOf(node: ValueNode, variables: Arguments): unknown {
  switch (node.kind) {
    case Kind.VARIABLE:
      return variables[node.name.value];
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((one) => valueOf(one, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, valueOf(field.value, variables)]));
    default:
      return node.value;
  }
}

/** A list as the server pages it; cursors are positions. */
export function connection(all: unknown[], { first, after, last }: Arguments = {}): object {
  const from = typeof after === "string" && after !== "" ? Number(after) + 1 : typeof last === "number" ? Math.max(0, all.length - last) : 0;
  const to = typeof first === "number" ? Math.min(all.length, from + first) : all.length;
  const edges = all.slice(from, to).map((node, index) => ({ node, cursor: String(from + index) }));
  return {
    edges,
    pageInfo: { endCursor: edges.at(-1)?.cursor ?? null, hasNextPage: to < all.length },
    totalCount: all.length,
  };
}
