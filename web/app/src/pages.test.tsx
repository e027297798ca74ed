import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { applicationMock, settledApplication } from "../../tools/mock/application.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { routes } from "./routes.tsx";

const heading = (name: string | RegExp) => screen.findByRole("heading", { level: 1, name });

test("before the first run, the start page names this server in its commands", async () => {
  const state = settledApplication();
  state.world.projects = [];
  serve(applicationMock(state));
  open(routes, "/");
  await heading("Welcome, Ada");
  await screen.findByRole("group", { name: "login command" });
  expect(screen.getByRole("group", { name: "login command" })).toHaveTextContent("wandb login --host=https://wandb.example.com");
  expect(screen.getByRole("group", { name: "install command" })).toHaveTextContent("pip install wandb");
  expect(screen.getByText("W&B Server 0.75.2")).toBeInTheDocument();
  expect(document.title).toBe("Welcome, Ada · W&B Server");
  await expectAccessible();
});

test("a key is shown this once, and then listed by its first characters", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { user } = open(routes, "/authorize");
  await screen.findByText("Laptop");
  await expectAccessible();
  await user.type(screen.getByLabelText("Description"), "Basement");
  await user.click(screen.getByRole("button", { name: "Create key" }));

  expect(await screen.findByRole("heading", { name: "Your new key" })).toHaveFocus();
  const key = screen.getByRole("group", { name: "key" }).textContent;
  expect(key).toMatch(/^[0-9a-f]{40}$/);
  await user.click(screen.getAllByRole("button", { name: /Copy key/ })[0] as HTMLElement);
  expect(await navigator.clipboard.readText()).toBe(key);
  await expectAccessible();

  await user.click(screen.getByRole("button", { name: "I have stored it" }));
  expect(screen.queryByText(key)).toBeNull();
  const row = (await screen.findByText("Basement")).closest("tr") as HTMLElement;
  expect(within(row).getByText(`${key.slice(0, 6)}…`)).toBeInTheDocument();
  expect(within(row).getByText("never")).toBeInTheDocument();
});

test("a key is revoked only after the question", async () => {
  const state = settledApplication();
  const seen = serve(applicationMock(state));
  const { user } = open(routes, "/authorize");
  await user.click(await screen.findByRole("button", { name: "Revoke key Laptop (9f31c2…)" }));
  const dialog = await screen.findByRole("dialog", { name: "Revoke this key?" });
  await expectAccessible();
  await user.click(within(dialog).getByRole("button", { name: "Keep it" }));
  await waitFor(() => {
    expect(screen.queryByRole("dialog")).toBeNull();
  });
  expect(seen).not.toContain("DELETE /api/keys/key-1");

  await user.click(screen.getByRole("button", { name: "Revoke key Laptop (9f31c2…)" }));
  await user.click(await screen.findByRole("button", { name: "Revoke key" }));
  await waitFor(() => {
    expect(screen.queryByText("Laptop")).toBeNull();
  });
  expect(state.keys.map(({ id }) => id)).toEqual(["key-2"]);
});

test("a failed revocation keeps the dialog and says why", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { user } = open(routes, "/authorize");
  await user.click(await screen.findByRole("button", { name: /Revoke key Laptop/ }));
  state.keys = [];
  await user.click(await screen.findByRole("button", { name: "Revoke key" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("There is no such key.");
});

test.each([
  ["most of the quota is free", 100, 500, /^100 GiB of 500 GiB stored \(20 %\)$/],
  ["the quota is nearly used up", 450, 500, /^450 GiB of 500 GiB stored \(90 %\)\. The quota is nearly used up;/],
  ["the quota is used up", 500, 500, /^500 GiB of 500 GiB stored \(100 %\)\. The quota is used up: no new run begins/],
  ["there is no quota", 100, null, /^100 GiB stored$/],
])("above the projects stands what is stored where %s", async (_, used, quota, words) => {
  const state = settledApplication();
  const gib = 2 ** 30;
  const measuredAt = new Date().toISOString();
  state.world.storage = { filesBytes: gib, artifactsBytes: (used - 3) * gib, historyBytes: 2 * gib, quotaBytes: quota === null ? null : quota * gib, measuredAt };
  serve(applicationMock(state));
  open(routes, "/ada/projects");
  expect(await screen.findByText(words)).toBeInTheDocument();
  expect(screen.getByRole("region", { name: "Storage" })).toHaveTextContent(`Files 1 GiB, artifacts ${used - 3} GiB, history 2 GiB; measured just now`);
  await expectAccessible();
});

test("nothing stands there that was not measured, or that is not for the reader", async () => {
  const state = settledApplication();
  delete state.world.storage;
  serve(applicationMock(state));
  open(routes, "/ada/projects");
  await screen.findByRole("link", { name: "mnist" });
  expect(screen.queryByRole("region", { name: "Storage" })).toBeNull();
});

test("settings show the profile and change the colours", async () => {
  serve(applicationMock());
  const { user } = open(routes, "/settings");
  await heading("Settings");
  expect(screen.getByText("ada@example.com")).toBeInTheDocument();
  await expectAccessible();
  await user.click(screen.getByRole("radio", { name: "Dark" }));
  expect(document.documentElement).toHaveAttribute("data-mantine-color-scheme", "dark");
  expect(window.localStorage.getItem("mantine-color-scheme-value")).toBe("dark");
});

test("an unknown path says so, and following a link moves the focus to the new page's heading", async () => {
  serve(applicationMock());
  const { user } = open(routes, "/somebody/some/thing/else");
  await heading("There is no such page");
  expect(screen.getByText("/somebody/some/thing/else")).toBeInTheDocument();
  await expectAccessible();
  await user.click(screen.getByRole("link", { name: "Go to the start page" }));
  expect(await heading("Welcome, Ada")).toHaveFocus();
});
