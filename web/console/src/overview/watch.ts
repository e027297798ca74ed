import { ApiError } from "@kubewandb/ui";
import { StreamParser } from "./stream.ts";

/** How current the shown state is: a stream delivers it, one is being opened, or none could be. */
export type Liveness = "live" | "connecting" | "stale";

export interface WatchOptions {
  url: string;
  onData: (document: unknown) => void;
  onLiveness: (liveness: Liveness) => void;
  /** Called when the stream was refused because nobody is signed in; the watch ends. */
  onSignedOut: () => void;
  /** Ends the watch. */
  signal: AbortSignal;
  /** Silence after which a stream counts as dead. The server sends a comment every 15 seconds. */
  silence?: number;
  /** First wait before connecting again; doubles up to 30 seconds. */
  firstWait?: number;
}

const longestWait = 30_000;

/** Follows the overview until the signal ends it, and connects again whenever the stream breaks or falls silent. */
export async function watch(options: WatchOptions): Promise<void> {
  const { signal, onLiveness, onSignedOut, firstWait = 1_000 } = options;
  let wait = firstWait;
  for (let failures = 0; !signal.aborted; ) {
    onLiveness(failures > 1 ? "stale" : "connecting");
    try {
      await follow(options, () => {
        failures = 0;
        wait = firstWait;
        onLiveness("live");
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        onLiveness("stale");
        onSignedOut();
        return;
      }
    }
    if (aborted(signal)) return;
    failures++;
    onLiveness(failures > 1 ? "stale" : "connecting");
    // Half of the wait is random, so that the pages of many readers do not come back at the same moment.
    await pause(wait / 2 + Math.random() * (wait / 2), signal);
    wait = Math.min(wait * 2, longestWait);
  }
}

/** Reads one stream to its end. */
async function follow({ url, onData, signal, silence = 40_000 }: WatchOptions, onAlive: () => void): Promise<void> {
  const attempt = new AbortController();
  const end = () => {
    attempt.abort();
  };
  signal.addEventListener("abort", end);
  let watchdog = setTimeout(end, silence);
  try {
    const response = await fetch(url, {
      headers: { Accept: "text/event-stream" },
      credentials: "same-origin",
      cache: "no-store",
      signal: attempt.signal,
    });
    if (!response.ok || !response.body) throw new ApiError("The stream was refused.", { status: response.status });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new StreamParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || attempt.signal.aborted) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(end, silence);
      onAlive();
      for (const item of parser.push(value)) {
        if (item.kind === "data") onData(JSON.parse(item.data));
      }
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", end);
    attempt.abort();
  }
}

// A function, since the compiler takes the loop's condition to hold across the await.
function aborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      window.removeEventListener("online", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    window.addEventListener("online", done);
  });
}
