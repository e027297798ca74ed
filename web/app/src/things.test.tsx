import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { applicationMock, settledApplication } from "../../tools/mock/application.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { readPlan } from "./sweep/config.ts";
import { axisOf } from "./sweep/parallel.ts";
import { listFolder } from "./parts/filetree.ts";
import { previewKind } from "./parts/preview.tsx";
import { pieces } from "./run/ansi.ts";
import { systemMetric } from "./run/systemmetric.ts";
import { routes } from "./routes.tsx";

const heading = (name: string | RegExp) => screen.findByRole("heading", { level: 1, name });

test("artifacts are listed by type", async () => {
  serve(applicationMock());
  const { path } = open(routes, "/ada/mnist/artifacts");
  await heading("Artifacts");
  expect(await screen.findByRole("link", { name: "classifier" })).toHaveAttribute("href", "/ada/mnist/artifacts/model/classifier");
  expect(path()).toBe("/ada/mnist/artifacts/model");
  await expectAccessible();
});

test("a version shows what it holds, who made it and who used it", async () => {
  serve(applicationMock());
  const { user, path } = open(routes, "/ada/mnist/artifacts/model/classifier/best");
  await heading("classifier:v4");
  const versions = screen.getByRole("navigation", { name: "Versions" });
  await within(versions).findByText("v2");
  expect(within(versions).getByRole("link", { current: "page" })).toHaveTextContent("v4");
  const used = await screen.findByRole("list", { name: "Used by" });
  expect(within(used).getAllByRole("link").length).toBe(4);
  expect(screen.getByText("61706")).toBeInTheDocument();
  expect(await screen.findByRole("link", { name: "Download README.md" })).toHaveAttribute("href", "/storage/artifacts/QXJ0aWZhY3Q6NA%3D%3D/README.md".replace("NA%3D%3D", "4"));
  expect(screen.getByRole("group", { name: "lines of Python" })).toHaveTextContent('wandb.Api().artifact("ada/mnist/classifier:v4")');
  await expectAccessible();

  await user.click(screen.getByRole("link", { name: "README.md" }));
  expect(await screen.findByText("# Classifier")).toBeInTheDocument();
  expect(path()).toBe("/ada/mnist/artifacts/model/classifier/best?path=README.md");
});

test("a version that is not there, and a project without artifacts, say so", async () => {
  serve(applicationMock());
  const first = open(routes, "/ada/mnist/artifacts/model/classifier/v99");
  await heading("There is no such artifact");
  await expectAccessible();
  first.unmount();
  open(routes, "/ada/speech%20recognition/artifacts");
  expect(await screen.findByText(/has no artifacts yet/)).toBeInTheDocument();
});

test("a sweep shows its plan, its best run and the picture of its runs", async () => {
  serve(applicationMock());
  const { user } = open(routes, "/ada/mnist/sweeps");
  await user.click(await screen.findByRole("link", { name: "learning rate and width" }));
  await heading(/learning rate and width/);
  expect(await screen.findByRole("img", { name: /Parallel coordinates of 20 runs; the best is hollow-comet-97/ })).toBeInTheDocument();
  expect(screen.getByRole("columnheader", { name: "summary val/loss" })).toHaveAttribute("aria-sort", "ascending");
  expect(screen.getByText("wandb agent ada/mnist/k3m9x2pa")).toBeInTheDocument();
  await expectAccessible();
});

test("a sweep is paused, resumed, and stopped after a question", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { user } = open(routes, "/ada/mnist/sweeps/k3m9x2pa");
  const sweep = state.world.projects[0]?.sweeps[0];
  await user.click(await screen.findByRole("button", { name: "Pause" }));
  await user.click(await screen.findByRole("button", { name: "Resume" }));
  await waitFor(() => {
    expect(sweep?.state).toBe("RUNNING");
  });
  await user.click(await screen.findByRole("button", { name: "Stop" }));
  const dialog = await screen.findByRole("dialog", { name: "Stop this sweep?" });
  await expectAccessible();
  await user.click(within(dialog).getByRole("button", { name: "Stop after these runs" }));
  await waitFor(() => {
    expect(sweep?.state).toBe("FINISHED");
  });
  await waitFor(() => {
    expect(screen.queryByRole("button", { name: "Pause" })).toBeNull();
  });
});

test("a project is deleted by whoever types its name", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { user, path } = open(routes, "/ada/mnist");
  await user.click(await screen.findByRole("link", { name: "Settings" }));
  await heading("Project settings");
  expect(path()).toBe("/ada/mnist/settings");
  expect(await screen.findByText("Nobody else sees it")).toBeInTheDocument();
  await expectAccessible();
  await user.click(screen.getByRole("button", { name: "Delete project…" }));
  const dialog = await screen.findByRole("dialog", { name: "Delete this project?" });
  const remove = within(dialog).getByRole("button", { name: "Delete project" });
  const field = within(dialog).getByLabelText("Name of the project");
  expect(field).toHaveFocus();
  await user.type(field, "MNIST{Enter}");
  expect(remove).toBeDisabled();
  expect(state.world.projects).toHaveLength(3);
  await expectAccessible();
  await user.clear(field);
  await user.type(field, "mnist");
  await user.click(remove);
  await heading("Projects of ada");
  expect(state.world.projects.map(({ name }) => name)).not.toContain("mnist");
  expect(screen.queryByRole("link", { name: "mnist" })).toBeNull();
  expect(await screen.findByRole("link", { name: "speech recognition" })).toBeInTheDocument();
});

test("a project that somebody else administers says who may delete it; one that is not there says so", async () => {
  serve(applicationMock());
  const first = open(routes, "/analytical-engines/vision/settings");
  expect(await screen.findByText(/Only administrators of analytical-engines/)).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: /Delete/ })).toBeNull();
  await expectAccessible();
  first.unmount();
  open(routes, "/ada/nothing/settings");
  await heading("There is no such project");
});

test("/profile leads to the settings", async () => {
  serve(applicationMock());
  const { path } = open(routes, "/profile");
  await heading("Settings");
  expect(path()).toBe("/settings");
});

test("a sweep's configuration is read, nested parameters too; nonsense has no plan", () => {
  const yaml = "method: bayes\nmetric: {name: val/loss, goal: maximize}\nparameters:\n  lr: {min: 0, max: 1}\n  opt:\n    parameters:\n      beta:\n        value: 1\n";
  expect(readPlan(yaml)).toEqual({ metric: "val/loss", minimize: false, parameters: ["lr", "opt.beta"] });
  expect(readPlan("a: [")).toEqual({ metric: undefined, minimize: true, parameters: [] });
  expect(readPlan("- 1\n- 2")).toEqual({ metric: undefined, minimize: true, parameters: [] });
});

test("an axis of numbers over powers of ten is logarithmic; one of words lays them side by side", () => {
  const number = (text: string) => ({ kind: "number", text }) as const;
  const axis = axisOf("k", "k", [number("0.001"), number("0.1"), undefined], String);
  expect(axis.place(number("0.01"))).toBeCloseTo(0.5, 9);
  expect(axis.place(undefined)).toBeUndefined();
  const word = (value: string) => ({ kind: "string", value }) as const;
  const words = axisOf("k", "k", [word("sgd"), word("adam"), word("sgd")], String);
  expect([words.place(word("adam")), words.place(word("sgd"))]).toEqual([0, 1]);
  expect(words.ticks.map(({ text }) => text)).toEqual(["adam", "sgd"]);
});

test("a folder lists folders first, with the sizes of all that they hold", () => {
  const files = ["b.txt", "a/2.bin", "a/c/3.bin", "a10.txt", "a9.txt"].map((name) => ({ name, sizeBytes: "10" }));
  expect(listFolder(files, "").map(({ name, size, files }) => [name, size, files])).toEqual([
    ["a", 20, 2],
    ["a9.txt", 10, 1],
    ["a10.txt", 10, 1],
    ["b.txt", 10, 1],
  ]);
  expect(listFolder(files, "a").map(({ path }) => path)).toEqual(["a/c", "a/2.bin"]);
});

test.each([
  ["a.svg", "image/svg+xml", "image"],
  ["page.HTML", "text/html", "html"],
  ["page", "text/html", "none"],
  ["a.table.json", "application/json", "text"],
  ["model.ckpt", "application/octet-stream", "none"],
  ["LICENSE", "text/plain", "text"],
  ["sound.wav", null, "audio"],
] as const)("%s of type %s is shown as %s", (name, type, kind) => {
  expect(previewKind(name, type)).toBe(kind);
});

test("colours of a terminal become names and mixed colours; moves of the cursor vanish", () => {
  const escape = String.fromCharCode(27);
  expect(pieces("plain <b>")).toEqual([{ text: "plain <b>", classes: "", style: undefined }]);
  const parts = pieces(`a${escape}[1;31mred${escape}[0m${escape}[38;5;208mown${escape}[0m${escape}[2Kz`);
  expect(parts.map(({ text, classes }) => [text, classes])).toEqual([
    ["a", ""],
    ["red", "fg-red bold"],
    ["own", ""],
    ["z", ""],
  ]);
  expect(parts[2]?.style?.color).toContain("rgb(255,135,0)");
});

test.each([
  ["system.gpu.1.memoryAllocated", "GPU 1 memory allocated", " %"],
  ["system.proc.memory.rssMB", "Process memory", " B"],
  ["system.disk.\\.usageGB", "Used on /", " B"],
  ["system.tpu.duty", "tpu.duty", ""],
])("%s is %s", (key, title, unit) => {
  expect(systemMetric(key)).toMatchObject({ title, unit });
});
