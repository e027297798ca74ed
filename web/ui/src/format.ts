const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** Milliseconds since the epoch, or undefined for a missing, unreadable or zero time (Go's zero time is the year 1). */
export function instant(time: string | null | undefined): number | undefined {
  if (!time) return undefined;
  const value = Date.parse(time);
  return Number.isNaN(value) || value <= 0 ? undefined : value;
}

/** "3 minutes ago"; below a minute "just now", so that small clock differences never read as the future. */
export function ago(time: number, now: number): string {
  const seconds = Math.round((time - now) / 1000);
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

/** "4 d 3 h": how long something has lasted, in its two largest units. */
export function age(since: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}

/** The time in the reader's own zone and language. */
export function dateTime(time: number): string {
  return absolute.format(time);
}

/** Twelve characters of the digest in an image ID, enough to tell two images apart; "" where the ID has none. */
export function shortDigest(imageID: string): string {
  return /sha256:([0-9a-f]{12})/.exec(imageID)?.[1] ?? "";
}
