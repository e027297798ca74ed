import { expect, test } from "vitest";
import { readyOverview, stalledOverview, upgradingOverview } from "../../../tools/mock/overview.ts";
import { type Condition, type Overview } from "../api.ts";
import { describe, headline, standing } from "./words.ts";

const condition = (type: string, status: string, more: Partial<Condition> = {}): Condition => ({
  type,
  status,
  reason: "Because",
  message: "",
  lastTransitionTime: null,
  positive: !["Reconciling", "Stalled", "Drifted"].includes(type),
  ...more,
});
const view = (change: Partial<Overview>): Overview => ({ ...readyOverview(), ...change });

test.each<[string, Overview, Partial<ReturnType<typeof headline>>]>([
  ["a healthy instance", readyOverview(), { state: "Ready", tone: "good", message: "Release 0.75.2 runs and is healthy." }],
  ["an upgrade", upgradingOverview(), { state: "Progressing", tone: "busy", reason: "Upgrading" }],
  ["an operator that gave up", stalledOverview(), { state: "Stalled", tone: "bad", reason: "WorkloadsNotReady" }],
  [
    "a stalled instance that still serves",
    view({ conditions: [condition("Ready", "True"), condition("Stalled", "True", { message: "Licence expired." })] }),
    { state: "Stalled", message: "Licence expired." },
  ],
  [
    "a change that the operator has not seen",
    view({ resource: { ...readyOverview().resource, generation: 4 } }),
    { state: "Progressing", reason: "Changed" },
  ],
  [
    "something missing, with nobody at work",
    view({ conditions: [condition("Ready", "False", { reason: "Suspended" }), condition("Reconciling", "False")] }),
    { state: "Not ready", tone: "warn", reason: "Suspended" },
  ],
  ["a resource without status", view({ conditions: [] }), { state: "Progressing" }],
  [
    "no resource at all",
    view({ conditions: [], resource: { ...readyOverview().resource, createdAt: null }, next: "Create it." }),
    { state: "Not installed", message: "Create it." },
  ],
])("the headline of %s", (_, overview, want) => {
  expect(headline(overview)).toMatchObject(want);
});

test.each<[string, Condition, boolean, Partial<ReturnType<typeof describe>>]>([
  ["a positive condition that is true is good", condition("Released", "True"), false, { tone: "good" }],
  ["a negative condition that is false is good", condition("Drifted", "False"), false, { tone: "good", title: "Changes by others" }],
  ["a negative condition that is true is not", condition("Stalled", "True"), false, { tone: "bad" }],
  ["work in progress is no problem", condition("Reconciling", "True"), false, { tone: "busy" }],
  ["unknown is neither", condition("Verified", "Unknown"), false, { tone: "unknown", text: "Not known yet." }],
  ["readiness may still come", condition("Ready", "False"), false, { tone: "busy" }],
  ["unless the operator gave up", condition("Ready", "False"), true, { tone: "bad" }],
  ["the operator's own words win", condition("Released", "False", { message: "No such chart." }), false, { text: "No such chart." }],
  ["a type of a later operator reads as words", condition("BackupTaken", "False"), false, { title: "Backup Taken", tone: "bad" }],
])("%s", (_, given, stalled, want) => {
  expect(describe(given, stalled)).toMatchObject(want);
});

test.each([
  ["0.75.2", "current"],
  [readyOverview().release.id, "current"],
  ["0.76.0", "behind"],
  ["", "unknown"],
])("with %s newest in the channel the release is %s", (newest, want) => {
  expect(standing(view({ channel: { name: "stable", release: newest, checkedAt: null } }))).toBe(want);
});
