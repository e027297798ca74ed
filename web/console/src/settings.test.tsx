import { EditorView } from "@codemirror/view";
import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { type ConsoleState, consoleMock, consoleState } from "../../tools/mock/console.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { newConsoleClient } from "./client.ts";
import { routes } from "./routes.tsx";

async function start(state: ConsoleState = consoleState(), path = "/settings") {
  const seen = serve(consoleMock(state));
  const page = open(routes, path, newConsoleClient());
  const content = await screen.findByRole("textbox", { name: path === "/settings" ? "User layer" : "Active specification" });
  const view = EditorView.findFromDOM(content);
  if (!view) throw new Error("no editor is shown");
  return {
    ...page,
    seen,
    view,
    text: () => view.state.doc.toString(),
    append: (insert: string) => {
      act(() => {
        view.dispatch({ changes: { from: view.state.doc.length, insert } });
      });
    },
  };
}

test("an edit is saved with the keyboard, under the version it was made on", async () => {
  const state = consoleState();
  const { user, append, text, seen } = await start(state);
  expect(text()).toBe(state.userLayer);
  expect(screen.getByRole("button", { name: "Save" })).toBeDisabled();
  await expectAccessible();

  append("  weave: {}\n");
  expect(screen.getByText("Unsaved changes")).toBeInTheDocument();
  await user.keyboard("{Control>}s{/Control}");
  expect(await screen.findByText(/The operator applies it now/)).toBeInTheDocument();
  expect(state.userLayer).toMatch(/weave: \{\}\n$/);
  expect(state.version).toBe(41874);
  expect(screen.queryByText("Unsaved changes")).toBeNull();
  await expectAccessible();

  // The next save goes out under the version that this one returned.
  append("  more: {}\n");
  await user.keyboard("{Meta>}s{/Meta}");
  await waitFor(() => {
    expect(state.version).toBe(41875);
  });
  expect(seen.filter((request) => request.startsWith("PUT"))).toEqual(["PUT /api/spec/user", "PUT /api/spec/user"]);
});

test("settings that a higher layer overrides are listed", async () => {
  await start();
  const note = within(screen.getByRole("note"));
  expect(note.getByText("One setting here has no effect")).toBeInTheDocument();
  expect(note.getByRole("listitem")).toHaveTextContent("values.app.replicas: set in the custom resource, which wins");
});

/** A draft, while somebody else saved another one. */
async function startConflict() {
  const state = consoleState();
  const page = await start(state);
  page.append("  mine: {}\n");
  state.userLayer += "  theirs: {}\n";
  state.version++;
  await page.user.click(screen.getByRole("button", { name: "Save" }));
  const dialog = await screen.findByRole("dialog", { name: "Somebody else changed the user layer" });
  return { ...page, state, dialog: within(dialog) };
}

test("a conflict shows what the others changed, and nothing is saved", async () => {
  const { state, dialog } = await startConflict();
  expect(dialog.getByText("theirs: {}", { exact: false })).toHaveTextContent("added:");
  expect(state.userLayer).not.toContain("mine");
  await expectAccessible();
});

test("in a conflict the reader can load the others' text", async () => {
  const { user, dialog, text, state } = await startConflict();
  await user.click(dialog.getByRole("button", { name: "Discard mine and load theirs" }));
  await waitFor(() => {
    expect(text()).toBe(state.userLayer);
  });
  expect(screen.getByRole("button", { name: "Save", hidden: true })).toBeDisabled();
});

test("in a conflict the reader can keep the own text, and save it afterwards", async () => {
  const { user, dialog, text, state } = await startConflict();
  await user.click(dialog.getByRole("button", { name: "Keep mine" }));
  expect(text()).toContain("mine");
  await waitFor(() => {
    expect(screen.queryByRole("dialog")).toBeNull();
  });
  await user.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => {
    expect(state.userLayer).toContain("mine");
  });
  expect(state.userLayer).not.toContain("theirs");
});

test("a mistake is named with its line and path, and marked there", async () => {
  const state = consoleState();
  const { user, append, view } = await start(state);
  append("\tbroken: true\n");
  await user.keyboard("{Control>}s{/Control}");
  const alert = await screen.findByRole("alert");
  expect(alert).toHaveTextContent("Not saved: line 7, values.app");
  expect(alert).toHaveTextContent("Indent with spaces.");
  const marked = view.dom.querySelector(".cm-lintRange-error");
  expect(marked).toHaveTextContent("broken: true");
  expect(view.state.doc.lineAt(view.state.selection.main.head).number).toBe(7);
  expect(state.userLayer).not.toContain("broken");
  await expectAccessible();

  act(() => {
    view.dispatch({ changes: { from: view.state.doc.line(7).from, to: view.state.doc.line(7).from + 1, insert: "    " } });
  });
  expect(screen.queryByRole("alert")).toBeNull();
  expect(view.dom.querySelector(".cm-lintRange-error")).toBeNull();
});

test("leaving with unsaved changes asks first", async () => {
  const { user, append, path, text } = await start();
  append("  draft: {}\n");
  await user.click(screen.getByRole("link", { name: "Overview" }));
  const dialog = within(await screen.findByRole("dialog", { name: "Leave without saving?" }));
  await expectAccessible();
  await user.click(dialog.getByRole("button", { name: "Stay" }));
  expect(path()).toBe("/settings");
  expect(text()).toContain("draft");
  await waitFor(() => {
    expect(screen.queryByRole("dialog")).toBeNull();
  });
  await user.click(screen.getByRole("link", { name: "Overview" }));
  await user.click(await screen.findByRole("button", { name: "Leave and lose them" }));
  expect(await screen.findByRole("heading", { level: 1, name: "Overview" })).toBeInTheDocument();
});

test("when the session ends, the draft survives the new sign-in", async () => {
  const state = consoleState();
  const { user, append, text } = await start(state);
  append("  draft: {}\n");
  state.user = null;
  await user.click(screen.getByRole("button", { name: "Save" }));
  const dialog = within(await screen.findByRole("dialog", { name: "Your session has ended" }));
  await expectAccessible();
  await user.type(dialog.getByLabelText("Password"), "correct horse{Enter}");
  await waitFor(() => {
    expect(screen.queryByRole("dialog")).toBeNull();
  });
  expect(text()).toContain("draft");
  await user.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => {
    expect(state.userLayer).toContain("draft");
  });
});

test("an untouched text follows what others save", async () => {
  const state = consoleState();
  const { client, text } = await start(state);
  state.userLayer = "values: {}\n";
  state.version++;
  await act(() => client.invalidateQueries({ queryKey: ["spec"] }));
  await waitFor(() => {
    expect(text()).toBe("values: {}\n");
  });
});

test("the active specification is read-only", async () => {
  const { text, view } = await start(consoleState(), "/settings/active");
  expect(text()).toContain('password: "•••"');
  expect(view.state.readOnly).toBe(true);
  await expectAccessible();
});
