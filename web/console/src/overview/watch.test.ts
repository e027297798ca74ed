import { afterEach, expect, test, vi } from "vitest";
import { type Liveness, watch } from "./watch.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** A server whose n-th stream is what the n-th script makes of it. */
function streams(...scripts: ((controller: ReadableStreamDefaultController<Uint8Array>) => void)[]) {
  let opened = 0;
  vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) => {
    const script = scripts[Math.min(opened++, scripts.length - 1)];
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        signal?.addEventListener("abort", () => {
          controller.error(new DOMException("aborted", "AbortError"));
        });
        script?.(controller);
      },
    });
    return Promise.resolve(new Response(body));
  });
  return () => opened;
}

const text = (value: string) => new TextEncoder().encode(value);

function start(options: Partial<Parameters<typeof watch>[0]> = {}) {
  const control = new AbortController();
  const data: unknown[] = [];
  const liveness: Liveness[] = [];
  const onSignedOut = vi.fn();
  const done = watch({
    url: "https://wandb.example.test/console/api/overview/watch",
    signal: control.signal,
    onData: (document) => data.push(document),
    onLiveness: (state) => {
      if (liveness.at(-1) !== state) liveness.push(state);
    },
    onSignedOut,
    firstWait: 5,
    ...options,
  });
  return {
    data,
    liveness,
    onSignedOut,
    done,
    stop: async () => {
      control.abort();
      await done;
    },
  };
}

test("documents arrive in order while the stream lives", async () => {
  streams((controller) => {
    controller.enqueue(text('data: {"next":"a"}\n\ndata: {"ne'));
    controller.enqueue(text('xt":"b"}\n\n'));
  });
  const watching = start();
  await vi.waitFor(() => {
    expect(watching.data).toEqual([{ next: "a" }, { next: "b" }]);
  });
  expect(watching.liveness).toEqual(["connecting", "live"]);
  await watching.stop();
});

test("a broken stream is opened again", async () => {
  const opened = streams(
    (controller) => {
      controller.enqueue(text("data: 1\n\n"));
      controller.close();
    },
    (controller) => {
      controller.enqueue(text("data: 2\n\n"));
    },
  );
  const watching = start();
  await vi.waitFor(() => {
    expect(watching.data).toEqual([1, 2]);
  });
  expect(opened()).toBe(2);
  expect(watching.liveness).toEqual(["connecting", "live", "connecting", "live"]);
  await watching.stop();
});

test("a stream that falls silent counts as dead; comments keep it alive", async () => {
  let beat: ReturnType<typeof setInterval> | undefined;
  const opened = streams(
    (controller) => {
      controller.enqueue(text(":\n\n"));
    },
    (controller) => {
      controller.enqueue(text(":\n\n"));
      beat = setInterval(() => {
        controller.enqueue(text(":\n\n"));
      }, 20);
    },
  );
  const watching = start({ silence: 200 });
  await vi.waitFor(() => {
    expect(opened()).toBe(2);
  });
  await new Promise((done) => setTimeout(done, 500));
  expect(opened()).toBe(2);
  clearInterval(beat);
  await watching.stop();
});

test("a server that stays away makes the state stale, with longer and longer waits", async () => {
  vi.useFakeTimers();
  const fake = vi.fn(() => Promise.reject(new TypeError("refused")));
  vi.stubGlobal("fetch", fake);
  const watching = start({ firstWait: 1_000 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watching.liveness).toEqual(["connecting", "stale"]);
  expect(fake.mock.calls.length).toBeGreaterThanOrEqual(4);
  expect(fake.mock.calls.length).toBeLessThanOrEqual(9);
  vi.useRealTimers();
  await watching.stop();
});

test("a coming-back network is tried at once", async () => {
  const fake = vi.fn(() => Promise.reject(new TypeError("refused")));
  vi.stubGlobal("fetch", fake);
  const watching = start({ firstWait: 600_000 });
  await vi.waitFor(() => {
    expect(fake).toHaveBeenCalledTimes(1);
  });
  await vi.waitFor(() => {
    window.dispatchEvent(new Event("online"));
    expect(fake.mock.calls.length).toBeGreaterThan(1);
  });
  await watching.stop();
});

test("who is no longer signed in is told so, and the watch ends", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("{}", { status: 401 })));
  const watching = start();
  await watching.done;
  expect(watching.onSignedOut).toHaveBeenCalledOnce();
});
