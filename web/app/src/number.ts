/** A number in few characters, for tables and axes; five digits that count. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return minus(value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e"));
  return minus(String(Number(value.toPrecision(5))));
}

/** A number as it was sent where that is short, and else shortened. */
export function shortText(text: string): string {
  return text.length <= 9 ? minus(text) : short(Number(text));
}

/** Ticks of an axis that need no more digits than they differ in. */
export function ticks(values: number[]): string[] {
  const size = Math.max(...values.map(Math.abs));
  const step = values.length > 1 ? Math.abs((values[1] ?? 0) - (values[0] ?? 0)) : size;
  if (size >= 1e4) return values.map((value) => scaled(value, size));
  if (size < 1e-3 && size > 0) return values.map((value) => (value === 0 ? "0" : minus(value.toExponential(1).replace(".0e", "e"))));
  const digits = step > 0 ? digitsOf(step) : 2;
  return values.map((value) => minus(value.toFixed(digits)));
}

/** Digits behind the point that a step needs: 0.025 needs three. */
function digitsOf(step: number): number {
  let digits = 0;
  while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * 10 ** digits * step) digits++;
  return digits;
}

const scales: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

function scaled(value: number, size: number): string {
  if (size >= 1e15) return minus(value.toExponential(1).replace("e+", "e"));
  const [unit, sign] = scales.find(([unit]) => size >= unit) ?? [1, ""];
  return value === 0 ? "0" : minus(String(Number((value / unit).toPrecision(4)))) + sign;
}

function minus(text: string): string {
  return text.replace(/^-/, "−");
}

const thousands = new Intl.NumberFormat("en");

/** A count with separators: "12,345". */
export function count(value: number): string {
  return thousands.format(value);
}

/** "1 run", "12 runs". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** "1.5 MB": decimal units, as object stores count. */
export function bytes(size: number): string {
  if (Math.abs(size) < 1000) return `${Number(size.toFixed(1))} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length, Math.floor(Math.log10(Math.abs(size)) / 3));
  return `${Number((size / 1000 ** power).toPrecision(3))} ${units[power - 1] ?? ""}`;
}

/** "1.5 GiB": powers of 1024, as quotas are set. */
export function binaryBytes(size: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let power = 0;
  while (power < units.length - 1 && Math.abs(size) / 1024 ** power >= 999.5) power++;
  return `${Number((size / 1024 ** power).toPrecision(3))} ${units[power] ?? ""}`;
}

/** "1 h 5 min": how long something took, in its two largest units. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}
