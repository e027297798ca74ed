import { expect, test } from "vitest";
import { isOwnPath, nextPath, signInPath } from "./next.ts";

test.each([
  ["", "/"],
  ["?next=/authorize%3Fref%3Dmodels", "/authorize?ref=models"],
  ["?next=/console/settings", "/console/settings"],
  ["?next=https://evil.example", "/"],
  ["?next=//evil.example/x", "/"],
  ["?next=/%5Cevil.example", "/"],
  ["?next=/%09/evil.example", "/"],
  ["?next=/.//evil.example", "/"],
  ["?next=javascript:alert(1)", "/"],
  ["?next=/login%3Fnext%3D/login", "/"],
])("after signing in, %s leads to %s", (search, want) => {
  expect(nextPath(search)).toBe(want);
});

test("the way back survives the sign-in page", () => {
  const path = signInPath(false, "/authorize?ref=models&signup=true");
  expect(path.startsWith("/login?")).toBe(true);
  expect(nextPath(new URL(path, "https://x.test").search)).toBe("/authorize?ref=models&signup=true");
  expect(signInPath(true, "/")).toBe("/signup");
});

test("the console is another site", () => {
  expect(["/", "/consoles", "/settings"].every(isOwnPath)).toBe(true);
  expect(["/console", "/console/settings", "/console?x"].some(isOwnPath)).toBe(false);
});
