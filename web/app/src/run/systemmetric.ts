/** What a system metric of the client is called for people, its unit, and where it belongs. */
export interface SystemMetric {
  section: string;
  title: string;
  unit: string;
  /** Bytes in what the client counts by; such a curve is drawn in bytes. */
  bytes?: number;
}

const mega = 2 ** 20;
const giga = 2 ** 30;

const patterns: [RegExp, (match: RegExpExecArray) => SystemMetric][] = [
  [/^gpu(?:\.process)?\.(\d+)\.gpu$/, ([, n]) => gpu(n, "utilisation", " %")],
  [/^gpu(?:\.process)?\.(\d+)\.temp$/, ([, n]) => gpu(n, "temperature", " °C")],
  [/^gpu(?:\.process)?\.(\d+)\.powerWatts$/, ([, n]) => gpu(n, "power", " W")],
  [/^gpu(?:\.process)?\.(\d+)\.powerPercent$/, ([, n]) => gpu(n, "power", " %")],
  [/^gpu(?:\.process)?\.(\d+)\.memoryAllocated$/, ([, n]) => gpu(n, "memory allocated", " %")],
  [/^gpu(?:\.process)?\.(\d+)\.memoryAllocatedBytes$/, ([, n]) => gpu(n, "memory in use", " B")],
  [/^gpu(?:\.process)?\.(\d+)\.memory$/, ([, n]) => gpu(n, "memory access", " %")],
  [/^gpu(?:\.process)?\.(\d+)\.(.+)$/, ([, n, rest = ""]) => gpu(n, rest, "")],
  [/^cpu$/, () => ({ section: "CPU", title: "Process CPU", unit: " %" })],
  [/^cpu\.(\d+)\.cpu_percent$/, ([, n]) => ({ section: "CPU cores", title: `Core ${n ?? ""}`, unit: " %" })],
  [/^proc\.cpu\.threads$/, () => ({ section: "CPU", title: "Process threads", unit: "" })],
  [/^memory(?:_percent)?$/, () => ({ section: "Memory", title: "System memory", unit: " %" })],
  [/^proc\.memory\.rssMB$/, () => ({ section: "Memory", title: "Process memory", unit: " B", bytes: mega })],
  [/^proc\.memory\.percent$/, () => ({ section: "Memory", title: "Process memory share", unit: " %" })],
  [/^proc\.memory\.availableMB$/, () => ({ section: "Memory", title: "Memory available", unit: " B", bytes: mega })],
  [/^disk\.(.+)\.usageGB$/, ([, at = ""]) => ({ section: "Disk", title: `Used on ${diskPath(at)}`, unit: " B", bytes: giga })],
  [/^disk\.(.+)\.usagePercent$/, ([, at = ""]) => ({ section: "Disk", title: `Share used of ${diskPath(at)}`, unit: " %" })],
  [/^disk(?:\..+)?\.(in|out)$/, ([, way]) => ({ section: "Disk", title: way === "in" ? "Read" : "Written", unit: " B", bytes: mega })],
  [/^network\.(sent|recv)$/, ([, way]) => ({ section: "Network", title: way === "sent" ? "Sent" : "Received", unit: " B" })],
  [/^network\.(.+)$/, ([, what = ""]) => ({ section: "Network", title: what, unit: "" })],
];

/** Reads the name of a system metric; one that nobody knows keeps its name. */
export function systemMetric(key: string): SystemMetric {
  const bare = key.replace(/^system\./, "");
  for (const [pattern, name] of patterns) {
    const match = pattern.exec(bare);
    if (match) return name(match);
  }
  return { section: "Other", title: bare, unit: "" };
}

function gpu(number: string | undefined, what: string, unit: string): SystemMetric {
  return { section: "GPU", title: `GPU ${number ?? ""} ${what}`, unit };
}

function diskPath(text: string): string {
  return text.replaceAll("\\", "/");
}
