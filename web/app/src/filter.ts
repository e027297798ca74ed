/**
 * The filter box: a short language for people, made into the JSON that the server and the client's Api understand.
 *
 *     state = running and summary.loss < 0.1
 *     (group = a or group = b) and config.lr in (0.1, 0.01) and not tags = draft
 *     resnet            runs whose name contains "resnet"
 */
export type Parsed = { ok: true; filter: string } | { ok: false; message: string };

/** What people write for a field → what the server calls it. */
const fields: Record<string, string> = {
  name: "display_name",
  displayname: "display_name",
  id: "name",
  state: "state",
  group: "group",
  type: "jobType",
  jobtype: "jobType",
  user: "username",
  username: "username",
  tag: "tags",
  tags: "tags",
  created: "created_at",
  createdat: "created_at",
  heartbeat: "heartbeat_at",
  sweep: "sweep",
  host: "host",
  commit: "commit",
  notes: "notes",
  duration: "duration",
};

/** Fields to offer; config.* and summary.* come from the runs. */
export const fieldNames = ["name", "id", "state", "group", "type", "user", "tags", "created", "sweep", "notes"];

const operators: Record<string, string> = {
  "=": "$eq",
  "==": "$eq",
  "!=": "$ne",
  ">": "$gt",
  ">=": "$gte",
  "<": "$lt",
  "<=": "$lte",
  "~": "$regex",
};

type Token = { kind: "sign" | "word" | "text"; text: string };

/** Reads the text of the filter box. "" is no filter; mistakes are told in words. */
export function parseFilter(text: string): Parsed {
  if (text.trim() === "") return { ok: true, filter: "{}" };
  try {
    const tokens = tokenize(text);
    const parser = new Parser(tokens);
    return { ok: true, filter: parser.whole() };
  } catch (error) {
    return { ok: false, message: error instanceof Mistake ? error.message : "This filter cannot be read." };
  }
}

class Mistake extends Error {}

function tokenize(text: string): Token[] {
  const pattern = /\s*(?:("(?:[^"\\]|\\.)*")|(==|!=|>=|<=|[=<>~(),])|([^\s"=!<>~(),]+)|(\S))/y;
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const match = pattern.exec(text);
    if (!match) break;
    const [, quoted, sign, word, odd] = match;
    if (quoted !== undefined) tokens.push({ kind: "text", text: unquote(quoted) });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else throw new Mistake(odd === '"' ? "A quotation mark has no partner." : `Nothing can be done with “${odd ?? ""}”.`);
  }
  return tokens;
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw new Mistake("A text in quotation marks cannot be read.");
  }
}

class Parser {
  private readonly tokens: Token[];
  private at = 0;

  constructor(tokens: Token[]) {
    this.tokens = tokens;
  }

  whole(): string {
    const filter = this.either();
    const rest = this.peek();
    if (rest) throw new Mistake(rest.text === ")" ? "A closing bracket has no partner." : `Put “and” or “or” before “${rest.text}”.`);
    return filter;
  }

  private peek(ahead = 0): Token | undefined {
    return this.tokens[this.at + ahead];
  }

  private take(text: string): boolean {
    const token = this.peek();
    if (!token || token.kind === "text" || token.text.toLowerCase() !== text) return false;
    this.at++;
    return true;
  }

  private either(): string {
    return this.list("or", "$or", () => this.both());
  }

  private both(): string {
    return this.list("and", "$and", () => this.term());
  }

  private list(word: string, operator: string, part: () => string): string {
    const parts = [part()];
    while (this.take(word)) parts.push(part());
    return parts.length === 1 ? (parts[0] ?? "{}") : object(operator, `[${parts.join(",")}]`);
  }

  private term(): string {
    if (this.take("not")) return object("$nor", `[${this.term()}]`);
    if (this.take("(")) {
      const inner = this.either();
      if (!this.take(")")) throw new Mistake("An opening bracket has no partner.");
      return inner;
    }
    const token = this.peek();
    if (!token) throw new Mistake("The filter ends too early.");
    const after = this.peek(1);
    const compares = after && (after.kind === "sign" ? after.text in operators : after.kind === "word" && /^(in|exists)$/i.test(after.text));
    if (token.kind !== "sign" && compares) return this.comparison(token.text);
    return this.name();
  }

  private comparison(field: string): string {
    this.at++;
    const key = fieldKey(field);
    if (this.take("exists")) return object(key, object("$exists", "true"));
    if (this.take("in")) return object(key, object("$in", this.values()));
    const operator = operators[this.peek()?.text ?? ""];
    this.at++;
    const value = this.peek();
    if (!value || value.kind === "sign") throw new Mistake(`A value is missing after “${field} ${this.peek(-1)?.text ?? ""}”.`);
    this.at++;
    if (operator === "$regex") return object(key, object("$regex", JSON.stringify(value.text)));
    return object(key, operator === "$eq" ? literal(value) : object(operator ?? "$eq", literal(value)));
  }

  private values(): string {
    if (!this.take("(")) throw new Mistake("“in” needs values in brackets: in (a, b).");
    const values: string[] = [];
    do {
      const value = this.peek();
      if (!value || value.kind === "sign") throw new Mistake("“in” needs values in brackets: in (a, b).");
      values.push(literal(value));
      this.at++;
    } while (this.take(","));
    if (!this.take(")")) throw new Mistake("An opening bracket has no partner.");
    return `[${values.join(",")}]`;
  }

  /** Words that compare nothing: the name contains them. */
  private name(): string {
    const words: string[] = [];
    for (;;) {
      const token = this.peek();
      if (!token || token.kind === "sign" || (token.kind === "word" && /^(and|or|not)$/i.test(token.text))) break;
      const after = this.peek(1);
      if (words.length > 0 && token.kind === "word" && after?.kind === "sign" && after.text in operators) break;
      words.push(token.text);
      this.at++;
    }
    if (words.length === 0) throw new Mistake(`Nothing stands before “${this.peek()?.text ?? ""}”.`);
    const pattern = `(?i)${words.join(" ").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}`;
    const quoted = JSON.stringify(pattern);
    return object("$or", `[${object("display_name", object("$regex", quoted))},${object("name", object("$regex", quoted))}]`);
  }
}

function fieldKey(written: string): string {
  const known = fields[written.toLowerCase().replaceAll("_", "")];
  if (known) return known;
  const dot = written.indexOf(".");
  const key = written.slice(dot + 1);
  const group = dot > 0 ? written.slice(0, dot).toLowerCase() : "";
  if (key !== "" && group === "config") return `config.${key}`;
  if (key !== "" && ["summary", "summary_metrics", "summarymetrics"].includes(group)) return `summary_metrics.${key}`;
  throw new Mistake(`There is no field “${written}”. Use ${fieldNames.join(", ")}, config.… or summary.…`);
}

/** A number is passed on as it was written. */
function literal({ kind, text }: Token): string {
  if (kind === "word" && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return text;
  if (kind === "word" && /^(true|false|null)$/.test(text)) return text;
  return JSON.stringify(text);
}

function object(key: string, value: string): string {
  return `{${JSON.stringify(key)}:${value}}`;
}

/** A condition in the box's language, for menus that write it. */
export function condition(field: string, operator: string, value: string): string {
  return `${plainly(field)} ${operator} ${plainly(value)}`;
}

function plainly(text: string): string {
  return /^[^\s"=!<>~(),]+$/.test(text) && !/^(and|or|not|in|exists)$/i.test(text) ? text : JSON.stringify(text);
}
