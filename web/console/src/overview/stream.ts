/** What a stream of Server-Sent Events holds, as it arrives. */
export type StreamItem = { kind: "data"; data: string } | { kind: "comment" };

/**
 * Splits the text of a stream into its events. Comments are items too, since they are how a quiet stream shows that it is
 * alive (the browser's own EventSource hides them).
 */
export class StreamParser {
  private rest = "";
  private data: string[] = [];

  push(text: string): StreamItem[] {
    const items: StreamItem[] = [];
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.data.length > 0) items.push({ kind: "data", data: this.data.join("\n") });
        this.data = [];
      } else if (line.startsWith(":")) {
        items.push({ kind: "comment" });
      } else if (line.startsWith("data:")) {
        this.data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return items;
  }
}
