import { expect, test } from "vitest";
import { type Strength, passwordRules, passwordStrength } from "./password.ts";

const ada = { name: "Ada Lovelace", username: "ada-lovelace", email: "ada.lovelace@example.com" };
const unmet = (password: string) => passwordRules(password, ada).filter(({ met }) => !met).map(({ text }) => text);

test.each([
  ["an empty one", "", ["At least 10 characters", "Not easy to guess", "Not your username or email"]],
  ["a short one", "x7!kQ2mv", ["At least 10 characters"]],
  ["the username", "Ada-Lovelace", ["Not easy to guess", "Not your username or email"]],
  ["the address", "ada.lovelace@example.com", ["Not your username or email"]],
  ["a usual word with digits", "password1234", ["Not easy to guess"]],
  ["one character over and over", "aaaaaaaaaaaaaaaa", ["Not easy to guess"]],
  ["a sequence", "abcdefghijklm", ["Not easy to guess"]],
  ["a phrase", "marble otter quietly", []],
  ["characters beyond the basic plane count once each", "🦦🦦🦦🦦🦦", ["At least 10 characters", "Not easy to guess"]],
])("rules that %s breaks", (_, password, want) => {
  expect(unmet(password)).toEqual(want);
});

test.each<[string, Strength]>([
  ["password1234", "weak"],
  ["wandb2026!!", "weak"],
  ["Kestrel4921", "fair"],
  ["kestrel 4921", "good"],
  ["marble otter quietly", "strong"],
  ["h8$Lq0zW!r2Tn", "strong"],
])("%s is %s", (password, want) => {
  expect(passwordStrength(password, ada)).toBe(want);
});
