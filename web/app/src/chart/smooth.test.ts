import { expect, test } from "vitest";
import { align, smooth, span } from "./smooth.ts";

test("weight 0 changes nothing, and a constant stays one from its first point on", () => {
  expect(smooth([1, null, 3], 0)).toEqual([1, null, 3]);
  for (const value of smooth([5, 5, null, 5], 0.9)) expect(value === null ? 5 : value).toBeCloseTo(5, 12);
});

test("a gap stays a gap and does not pull the average", () => {
  const smoothed = smooth([0, null, 1], 0.5);
  expect(smoothed[1]).toBeNull();
  expect(smoothed[2]).toBeCloseTo(2 / 3, 12);
});

test("curves meet on one axis; missing points and gaps differ", () => {
  const curves = [
    { x: [0, 2], y: [1, null] },
    { x: [1, 2, 2], y: [5, 6, 7] },
  ];
  expect(align(curves)).toEqual([
    [0, 1, 2],
    [1, undefined, null],
    [undefined, 5, 7],
  ]);
  expect(align([])).toEqual([[]]);
});

test("the span of a column looks past gaps", () => {
  expect(span([null, 3, undefined, 1, null])).toEqual({ min: 1, max: 3, last: 1, count: 2 });
  expect(span([null, undefined])).toBeUndefined();
});
