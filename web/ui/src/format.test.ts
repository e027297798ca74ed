import { expect, test } from "vitest";
import { age, ago, instant, shortDigest } from "./format.ts";

const now = Date.parse("2026-05-01T12:00:00Z");
const before = (seconds: number) => now - seconds * 1000;

test.each([
  ["a moment", 20, "just now"],
  ["a clock that runs ahead", -20, "just now"],
  ["minutes", 190, "3 minutes ago"],
  ["hours", 2 * 3600 + 10, "2 hours ago"],
  ["a day", 86_400, "yesterday"],
  ["months", 65 * 86_400, "2 months ago"],
])("%s ago reads naturally", (_, seconds, want) => {
  expect(ago(before(seconds), now)).toBe(want);
});

test.each([
  [0, "0 s"],
  [59, "59 s"],
  [125, "2 min 5 s"],
  [3600, "1 h"],
  [90_061, "1 d 1 h"],
])("an age of %d seconds shows its two largest units", (seconds, want) => {
  expect(age(before(seconds), now)).toBe(want);
});

test("missing, unreadable and zero times are no instant", () => {
  expect([null, undefined, "", "soon", "0001-01-01T00:00:00Z"].map(instant)).toEqual(Array(5).fill(undefined));
  expect(instant("2026-05-01T12:00:00Z")).toBe(now);
});

test("a digest is cut to what tells images apart", () => {
  expect(shortDigest(`registry.example.com/server@sha256:${"7c1f0e5ab9d24638".repeat(4)}`)).toBe("7c1f0e5ab9d2");
  expect(shortDigest("server:1.2")).toBe("");
});
