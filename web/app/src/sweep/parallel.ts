import { type Json, inline } from "../json.ts";

/** One axis of the picture: numbers on a scale, other values side by side. */
export interface ParallelAxis {
  key: string;
  label: string;
  /** Place of a value from 0 (bottom) to 1 (top); undefined where the run has none. */
  place: (value: Json | undefined) => number | undefined;
  ticks: { at: number; text: string }[];
}

/** The axis for the values that runs have of one key. Numbers that span several powers of ten get a logarithmic scale. */
export function axisOf(key: string, label: string, values: (Json | undefined)[], format: (value: number) => string): ParallelAxis {
  const present = values.filter((value) => value !== undefined);
  const numbers = present.flatMap((value) => (value.kind === "number" ? [Number(value.text)] : [])).filter(Number.isFinite);
  if (present.length > 0 && numbers.length === present.length) return numberAxis(key, label, numbers, format);
  const texts = [...new Set(present.map(inline))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const at = (text: string) => (texts.length < 2 ? 0.5 : texts.indexOf(text) / (texts.length - 1));
  return {
    key,
    label,
    place: (value) => (value === undefined ? undefined : at(inline(value))),
    ticks: texts.length > 12 ? [] : texts.map((text) => ({ at: at(text), text })),
  };
}

function numberAxis(key: string, label: string, numbers: number[], format: (value: number) => string): ParallelAxis {
  const min = Math.min(...numbers);
  const max = Math.max(...numbers);
  const log = min > 0 && max / min >= 10;
  const scale = (value: number) => (log ? Math.log10(value) : value);
  const [low, high] = [scale(min), scale(max)];
  const at = (value: number) => (high === low ? 0.5 : (scale(value) - low) / (high - low));
  const middle = log ? Math.sqrt(min * max) : (min + max) / 2;
  const marks = min === max ? [min] : [min, middle, max];
  return {
    key,
    label,
    place: (value) => (value?.kind === "number" && Number.isFinite(Number(value.text)) ? at(Number(value.text)) : undefined),
    ticks: marks.map((value) => ({ at: at(value), text: format(value) })),
  };
}
