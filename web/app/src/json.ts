/**
 * JSON with each number as it was written: 9007199254740993 and 1.0 stay what they are, which JSON.parse would change. NaN,
 * Infinity and -Infinity, which clients send, are read as numbers.
 */
export type Json =
  | { kind: "object"; entries: [string, Json][] }
  | { kind: "array"; items: Json[] }
  | { kind: "string"; value: string }
  | { kind: "number"; text: string }
  | { kind: "word"; text: "true" | "false" | "null" };

const token = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|(-?Infinity|NaN|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;

/** Reads a text; undefined where it is no JSON. */
export function parseJson(text: string | null | undefined): Json | undefined {
  if (!text) return undefined;
  try {
    return new Reader(text).document();
  } catch {
    return undefined;
  }
}

class Reader {
  private readonly text: string;
  private at = 0;
  private match: RegExpExecArray | null = null;

  constructor(text: string) {
    this.text = text;
    this.next();
  }

  document(): Json {
    const value = this.value();
    if (this.match || this.text.slice(this.at).trim() !== "") throw new SyntaxError("text after the document");
    return value;
  }

  private next(): void {
    token.lastIndex = this.at;
    this.match = token.exec(this.text);
    if (this.match) this.at = token.lastIndex;
  }

  private take(sign: string): boolean {
    if (this.match?.[1] !== sign) return false;
    this.next();
    return true;
  }

  private value(): Json {
    const [, , string, number, word] = this.match ?? [];
    if (string !== undefined) {
      this.next();
      return { kind: "string", value: JSON.parse(string) as string };
    }
    if (number !== undefined) {
      this.next();
      return { kind: "number", text: number };
    }
    if (word !== undefined) {
      this.next();
      return { kind: "word", text: word as "true" };
    }
    if (this.take("{")) return { kind: "object", entries: this.list("}", () => this.entry()) };
    if (this.take("[")) return { kind: "array", items: this.list("]", () => this.value()) };
    throw new SyntaxError("no value");
  }

  private entry(): [string, Json] {
    const name = this.match?.[2];
    if (name === undefined) throw new SyntaxError("no name");
    this.next();
    if (!this.take(":")) throw new SyntaxError("no colon");
    return [JSON.parse(name) as string, this.value()];
  }

  private list<T>(end: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.take(end)) return items;
    do items.push(item());
    while (this.take(","));
    if (!this.take(end)) throw new SyntaxError("no end");
    return items;
  }
}

/** The member of an object. */
export function member(json: Json | undefined, name: string): Json | undefined {
  return json?.kind === "object" ? json.entries.find(([key]) => key === name)?.[1] : undefined;
}

/** The text of a string; undefined for everything else. */
export function stringOf(json: Json | undefined): string | undefined {
  return json?.kind === "string" ? json.value : undefined;
}

/** The nearest number; undefined for everything else. */
export function numberOf(json: Json | undefined): number | undefined {
  return json?.kind === "number" ? Number(json.text) : undefined;
}

/** A value on one line, as JSON; a string without its quotes. */
export function inline(json: Json): string {
  return json.kind === "string" ? json.value : compact(json);
}

function compact(json: Json): string {
  switch (json.kind) {
    case "object":
      return `{${json.entries.map(([key, value]) => `${JSON.stringify(key)}: ${compact(value)}`).join(", ")}}`;
    case "array":
      return `[${json.items.map(compact).join(", ")}]`;
    case "string":
      return JSON.stringify(json.value);
    default:
      return json.text;
  }
}

/** Each value of nested objects under its path, "optimizer.lr". What a client marks with _type (media, tables) stays one value. */
export function flatten(json: Json | undefined, into = new Map<string, Json>(), prefix = ""): Map<string, Json> {
  if (json?.kind !== "object") return into;
  for (const [key, value] of json.entries) {
    const path = prefix + key;
    if (value.kind === "object" && value.entries.length > 0 && !member(value, "_type")) flatten(value, into, `${path}.`);
    else into.set(path, value);
  }
  return into;
}

/** A run's configuration without what wraps each value, and without what the client keeps for itself. */
export function configOf(text: string | null | undefined): Json | undefined {
  const json = parseJson(text);
  if (json?.kind !== "object") return json;
  return {
    kind: "object",
    entries: json.entries.filter(([key]) => key !== "_wandb").map(([key, value]) => [key, member(value, "value") ?? value]),
  };
}
