import { expect, test } from "vitest";
import { configOf, flatten, inline, member, numberOf, parseJson } from "./json.ts";

test("numbers stay as they were written", () => {
  const texts = ["9007199254740993", "1.0", "1e+16", "-0", "0.10", "NaN", "-Infinity", "Infinity", "12345678901234567890.5"];
  const json = parseJson(`{"list": [${texts.join(", ")}]}`);
  expect(inline(member(json, "list") ?? { kind: "array", items: [] })).toBe(`[${texts.join(", ")}]`);
  expect(numberOf(parseJson("1.0"))).toBe(1);
});

test("texts with escapes, empty things and order are kept", () => {
  const json = parseJson(' {"b":"a\\"\\u00e9\\n","a":{},"c":[],"d":null,"e":true} ');
  expect(json).toEqual({
    kind: "object",
    entries: [
      ["b", { kind: "string", value: 'a"é\n' }],
      ["a", { kind: "object", entries: [] }],
      ["c", { kind: "array", items: [] }],
      ["d", { kind: "word", text: "null" }],
      ["e", { kind: "word", text: "true" }],
    ],
  });
});

test.each(["", "{", "[1,]", "{1:2}", "nope", "1 2", '{"a" 1}', '"', "{]", "01", '{"a":1}}', "-", null, undefined])("%j is no JSON", (text) => {
  expect(parseJson(text)).toBeUndefined();
});

test("whatever JSON.stringify writes is read to the same value", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth > 3 ? 4 : 6));
    if (kind === 0) return random() < 0.5 ? Math.floor(random() * 1e6) : random() * 10 ** Math.floor(random() * 40 - 20);
    if (kind === 1) return String.fromCharCode(...Array.from({ length: 5 }, () => Math.floor(random() * 0xd000)));
    if (kind === 2) return random() < 0.5;
    if (kind === 3) return null;
    const list = Array.from({ length: Math.floor(random() * 4) }, () => value(depth + 1));
    return kind === 4 ? list : Object.fromEntries(list.map((one, index) => [`k"${index}\\`, one]));
  };
  for (let round = 0; round < 300; round++) {
    const made = value(0);
    const json = parseJson(JSON.stringify(made));
    if (!json) throw new Error(`not read: ${JSON.stringify(made)}`);
    expect(JSON.parse(json.kind === "string" ? JSON.stringify(json.value) : inline(json))).toEqual(made);
  }
});

test("a configuration loses what wraps its values, and the client's own part", () => {
  const config = configOf('{"lr":{"value":0.10,"desc":null},"plain":3,"_wandb":{"value":{}},"model":{"value":{"layers":2}}}');
  expect([...flatten(config)].map(([key, value]) => [key, inline(value)])).toEqual([
    ["lr", "0.10"],
    ["plain", "3"],
    ["model.layers", "2"],
  ]);
});

test("what the client marks as media stays one value", () => {
  const values = flatten(parseJson('{"image":{"_type":"image-file","path":"a.png"},"a":{"b":{"c":1}},"empty":{}}'));
  expect([...values.keys()]).toEqual(["image", "a.b.c", "empty"]);
});
