import { expect, test } from "vitest";
import { type DiffLine, aroundChanges, diffLines } from "./diff.ts";

const signs = { same: " ", removed: "-", added: "+" };
const show = (lines: DiffLine[]) => lines.map(({ kind, text }) => signs[kind] + text);

test.each([
  ["equal texts", "a\nb", "a\nb", [" a", " b"]],
  ["a changed line", "a\nb\nc", "a\nx\nc", [" a", "-b", "+x", " c"]],
  ["lines at both ends", "b", "a\nb\nc", ["+a", " b", "+c"]],
  ["a moved line", "a\nb\nc", "b\nc\na", ["-a", " b", " c", "+a"]],
  ["an emptied text", "a\nb", "", ["-a", "-b", "+"]],
])("the difference of %s", (_, before, after, want) => {
  expect(show(diffLines(before, after))).toEqual(want);
});

test("any two texts can be told from their difference", () => {
  let seed = 3;
  const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  const text = () => Array.from({ length: random(12) }, () => "abc"[random(3)]).join("\n");
  for (let round = 0; round < 2_000; round++) {
    const before = text();
    const after = text();
    const lines = diffLines(before, after);
    const without = (kind: DiffLine["kind"]) => lines.filter((line) => line.kind !== kind).map((line) => line.text).join("\n");
    expect(without("added")).toBe(before);
    expect(without("removed")).toBe(after);
  }
});

test("texts too long to compare count as wholly different", () => {
  const lines = (word: string) => Array.from({ length: 3_000 }, (_, index) => `${word} ${index}`).join("\n");
  const found = diffLines(lines("old"), lines("new"));
  expect(found.filter(({ kind }) => kind === "removed")).toHaveLength(3_000);
  expect(found.filter(({ kind }) => kind === "added")).toHaveLength(3_000);
});

test("what lies far from a change is left out", () => {
  const before = Array.from({ length: 20 }, (_, index) => String(index)).join("\n");
  const lines = aroundChanges(diffLines(before, before.replace("10", "ten")), 1);
  expect(lines.map((line) => line && signs[line.kind] + line.text)).toEqual([undefined, " 9", "-10", "+ten", " 11", undefined]);
});
