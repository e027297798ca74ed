import { describe, expect, test } from "vitest";
import { type StreamItem, StreamParser } from "./stream.ts";

const parse = (...chunks: string[]): StreamItem[] => {
  const parser = new StreamParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

describe("a stream of events", () => {
  test.each<[string, string, StreamItem[]]>([
    ["one event", 'data: {"a":1}\n\n', [{ kind: "data", data: '{"a":1}' }]],
    ["data without a space", "data:x\n\n", [{ kind: "data", data: "x" }]],
    ["data on several lines", "data: a\ndata: b\n\n", [{ kind: "data", data: "a\nb" }]],
    ["comments", ":\n\n: alive\n", [{ kind: "comment" }, { kind: "comment" }]],
    ["carriage returns", "data: x\r\n\r\n", [{ kind: "data", data: "x" }]],
    ["fields that nobody needs", "event: e\nid: 1\nretry: 5\ndata: x\n\n", [{ kind: "data", data: "x" }]],
    ["an event that has not ended", "data: x\n", []],
  ])("%s", (_, text, want) => {
    expect(parse(text)).toEqual(want);
  });

  test("reads the same however the network cuts it", () => {
    const text = ':\n\ndata: {"pods":["a","b"]}\n\ndata: one\r\ndata: two\r\n\r\n: alive\ndata: end\n\n';
    const want = parse(text);
    let seed = 7;
    const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    for (let round = 0; round < 500; round++) {
      const chunks: string[] = [];
      for (let at = 0; at < text.length; ) {
        const size = 1 + random(12);
        chunks.push(text.slice(at, at + size));
        at += size;
      }
      expect(parse(...chunks)).toEqual(want);
    }
  });
});
