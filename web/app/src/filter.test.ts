import { expect, test } from "vitest";
import { condition, parseFilter } from "./filter.ts";

const name = (pattern: string) => `{"$or":[{"display_name":{"$regex":"(?i)${pattern}"}},{"name":{"$regex":"(?i)${pattern}"}}]}`;

test.each([
  ["", "{}"],
  ["state = running", '{"state":"running"}'],
  ["state=running", '{"state":"running"}'],
  ["config.lr >= 0.10", '{"config.lr":{"$gte":0.10}}'],
  ["summary.train/loss < 1e-3", '{"summary_metrics.train/loss":{"$lt":1e-3}}'],
  ["summary.id = 9007199254740993", '{"summary_metrics.id":9007199254740993}'],
  ['summary."my key" = 1', undefined],
  ['"summary.my key" = 1', '{"summary_metrics.my key":1}'],
  ['group = "warm up"', '{"group":"warm up"}'],
  ['name = "12"', '{"display_name":"12"}'],
  ["user != ada and tags = draft", '{"$and":[{"username":{"$ne":"ada"}},{"tags":"draft"}]}'],
  ["state = a or state = b and group = c", '{"$or":[{"state":"a"},{"$and":[{"state":"b"},{"group":"c"}]}]}'],
  ["(state = a or state = b) and group = c", '{"$and":[{"$or":[{"state":"a"},{"state":"b"}]},{"group":"c"}]}'],
  ["not state = crashed", '{"$nor":[{"state":"crashed"}]}'],
  ["state in (running, finished)", '{"state":{"$in":["running","finished"]}}'],
  ["config.lr exists", '{"config.lr":{"$exists":true}}'],
  ["name ~ ^res.*net$", '{"display_name":{"$regex":"^res.*net$"}}'],
  ["resnet", name("resnet")],
  ["res.net big", name("res\\\\.net big")],
  ["resnet and state = running", `{"$and":[${name("resnet")},{"state":"running"}]}`],
  ["config.on = true", '{"config.on":true}'],
  ["created > 2026-11-01", '{"created_at":{"$gt":"2026-11-01"}}'],
])("%s", (text, filter) => {
  const parsed = parseFilter(text);
  if (filter === undefined) {
    expect(parsed.ok).toBe(false);
    return;
  }
  expect(parsed).toEqual({ ok: true, filter });
  expect(() => JSON.parse(filter) as unknown).not.toThrow();
});

test.each([
  ["state =", "A value is missing after “state =”."],
  ["color = red", "There is no field “color”. Use name, id, state, group, type, user, tags, created, sweep, notes, config.… or summary.…"],
  ["state = a and", "The filter ends too early."],
  ["(state = a", "An opening bracket has no partner."],
  ["state = a)", "A closing bracket has no partner."],
  ["state = a state = b", "Put “and” or “or” before “state”."],
  ['name = "open', "A quotation mark has no partner."],
  ["state in running", "“in” needs values in brackets: in (a, b)."],
  ["= 3", "Nothing stands before “=”."],
])("the mistake in %s is told", (text, message) => {
  expect(parseFilter(text)).toEqual({ ok: false, message });
});

test("any text is read or refused, and what is read is JSON", () => {
  const parts = ["state", "=", "(", ")", "and", "or", "not", '"', '"x y"', "in", ",", "~", "config.a", "1e3", "\\", "!", "", " ", "exists", "é"];
  let seed = 11;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 3_000; round++) {
    const text = Array.from({ length: Math.floor(random() * 9) }, () => parts[Math.floor(random() * parts.length)]).join(random() < 0.5 ? " " : "");
    const parsed = parseFilter(text);
    if (parsed.ok) JSON.parse(parsed.filter);
    else expect(parsed.message).not.toBe("This filter cannot be read.");
  }
});

test("a menu writes conditions that the box reads", () => {
  for (const [field, value] of [
    ["state", "running"],
    ["config.my key", "two words"],
    ["group", "and"],
    ["notes", 'say "hi"'],
  ] as const) {
    const parsed = parseFilter(condition(field, "=", value));
    expect(parsed.ok && (JSON.parse(parsed.filter) as object)).toEqual({ [field]: value });
  }
});
