import type { MockRun } from "./model.ts";

/** A number between 0 and 1 that is the same each time. */
function noise(seed: number, step: number): number {
  const value = Math.sin(seed * 127.1 + step * 311.7) * 43_758.5453;
  return value - Math.floor(value);
}

/** One line of a run's history. */
export function history(run: MockRun, step: number): Record<string, unknown> {
  const rate = 0.004 + 0.003 * noise(run.seed, 1);
  const floor = 0.05 + 0.2 * noise(run.seed, 2);
  const loss = floor + 2.2 * Math.exp(-rate * step) + 0.12 * (noise(run.seed, step + 10) - 0.5) * Math.exp(-step / 900);
  const line: Record<string, unknown> = {
    _step: step,
    _runtime: (step * run.pace) / 1000,
    _timestamp: (run.createdAt + step * run.pace) / 1000,
    "train/loss": loss,
    "train/grad_norm": 10 ** (1 - step / 700 + 0.3 * noise(run.seed, step + 20)),
    "train/lr": (0.1 * Math.min(1, step / 500)) / (1 + (run.seed % 7) * 3),
    epoch: Math.floor(step / 50),
  };
  if (step % 10 === 0) {
    line["val/loss"] = loss * 1.1 + 0.02 * noise(run.seed, step + 30);
    line["val/accuracy"] = 1 - loss / 3;
  }
  return line;
}

/** Keys of the history, in the order in which they are first logged. */
export const historyKeys = ["_step", "_runtime", "_timestamp", "train/loss", "train/grad_norm", "train/lr", "epoch", "val/loss", "val/accuracy"];

/** Lines of system metrics up to a step, one in 30 steps. */
export function systemEvents(run: MockRun, steps: number): string[] {
  return Array.from({ length: Math.ceil(steps / 30) }, (_, index) => {
    const step = index * 30;
    return JSON.stringify({
      _runtime: (step * run.pace) / 1000,
      _timestamp: (run.createdAt + step * run.pace) / 1000,
      "system.cpu": 30 + 40 * noise(run.seed, step),
      "system.memory_percent": 41 + step / 400,
      "system.proc.memory.rssMB": 900 + step / 3,
      "system.gpu.0.gpu": 70 + 28 * noise(run.seed, step + 1),
      "system.gpu.0.temp": 52 + 12 * noise(run.seed, step + 2),
      "system.gpu.0.powerWatts": 48 + 20 * noise(run.seed, step + 3),
      "system.network.sent": 1_048_576 + step * 5_000,
      "system.disk.\\.usageGB": 31.4,
    });
  });
}

const escape = String.fromCharCode(27);

/** One line of a run's console. */
export function logLine(run: MockRun, number: number): { number: number; timestamp: string; level: string | null; label: null; line: string } {
  const timestamp = new Date(run.createdAt + number * run.pace * 5).toISOString();
  const line = (text: string, level: string | null = null) => ({ number, timestamp, level, label: null, line: text });
  if (number === 0) return line("Loading mnist-v2: 60000 rows");
  if (number === 1) return line("UserWarning: the loader has 2 workers, the machine has 16 cores", "error");
  if (number === 2) return line(`${escape}[1mmodel${escape}[0m 61,706 parameters on ${escape}[36mcuda:0${escape}[0m`);
  const step = number * 5;
  const loss = history(run, step)["train/loss"] as number;
  const state = number % 10 === 0 ? `${escape}[32msaved${escape}[0m` : "";
  return line(`step ${String(step).padStart(5)}  loss ${loss.toFixed(4)}  ${number % 40 === 0 ? `${escape}[33mslow batch${escape}[0m` : state}`);
}
