import { useSyncExternalStore } from "react";
import { ago, dateTime, instant } from "./format.ts";

/** A point in time as "3 minutes ago", with the exact time on hover; a dash where there is none. */
export function TimeAgo({ time, missing = "–" }: { time: string | null | undefined; missing?: string }) {
  const now = useNow();
  const value = instant(time);
  if (value === undefined) return <>{missing}</>;
  return (
    <time dateTime={new Date(value).toISOString()} title={dateTime(value)}>
      {ago(value, now)}
    </time>
  );
}

/** The time now; changes every 15 seconds, at once for all who ask. */
export function useNow(): number {
  return useSyncExternalStore(clock.subscribe, clock.now);
}

const clock = newClock(15_000);

function newClock(interval: number) {
  let current = Date.now();
  let timer: number | undefined;
  const listeners = new Set<() => void>();
  const tick = () => {
    current = Date.now();
    listeners.forEach((listener) => {
      listener();
    });
  };
  return {
    now: () => current,
    subscribe: (listener: () => void) => {
      listeners.add(listener);
      if (timer === undefined) {
        current = Date.now();
        timer = window.setInterval(tick, interval);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          window.clearInterval(timer);
          timer = undefined;
        }
      };
    },
  };
}
