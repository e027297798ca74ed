import { expect, test } from "vitest";
import { binaryBytes, bytes, counted, duration, short, shortText, ticks } from "./number.ts";

test.each([
  [0, "0"],
  [0.1, "0.1"],
  [123456, "123460"],
  [1234567, "1.235e6"],
  [0.00001234, "1.234e-5"],
  [-2.5, "−2.5"],
  [NaN, "NaN"],
  [-Infinity, "−∞"],
  [1e-20, "1e-20"],
  [1e16, "1e16"],
])("%d is short as %s", (value, text) => {
  expect(short(value)).toBe(text);
});

test.each([
  ["1.0", "1.0"],
  ["-0.5", "−0.5"],
  ["0.21268188471746843", "0.21268"],
  ["9007199254740993", "9.007e15"],
])("%s stands in a table as %s", (text, shown) => {
  expect(shortText(text)).toBe(shown);
});

test.each([
  [[0, 0.005, 0.01, 0.015], ["0.000", "0.005", "0.010", "0.015"]],
  [[0, 0.025, 0.05], ["0.000", "0.025", "0.050"]],
  [[61.22, 61.24, 61.26], ["61.22", "61.24", "61.26"]],
  [[0, 10, 20], ["0", "10", "20"]],
  [[0, 20_000, 40_000], ["0", "20k", "40k"]],
  [[0, 1_500_000, 3_000_000], ["0", "1.5M", "3M"]],
  [[-1, -0.5, 0], ["−1.0", "−0.5", "0.0"]],
  [[0, 2e-7, 4e-7], ["0", "2e-7", "4e-7"]],
])("an axis with %j reads %j", (values, texts) => {
  expect(ticks(values)).toEqual(texts);
});

test.each([
  [0.25, "250 ms"],
  [3.14, "3.1 s"],
  [59.2, "59 s"],
  [60, "1 min"],
  [3_725, "1 h 2 min"],
  [90_000, "1 d 1 h"],
  [-1, "–"],
])("%d seconds last %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test("sizes and counts carry their units", () => {
  expect([bytes(0), bytes(999), bytes(1_500), bytes(2_340_000_000)]).toEqual(["0 B", "999 B", "1.5 kB", "2.34 GB"]);
  expect([0, 999, 1000, 1536, 500 * 2 ** 30, 1000 * 2 ** 30, 2 ** 63].map(binaryBytes)).toEqual(["0 B", "999 B", "0.977 KiB", "1.5 KiB", "500 GiB", "0.977 TiB", "8 EiB"]);
  expect([counted(1, "run"), counted(12_345, "run")]).toEqual(["1 run", "12,345 runs"]);
});
