import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { type ApplicationState, applicationMock, settledApplication } from "../../tools/mock/application.ts";
import { exampleWorld } from "../../tools/mock/world.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { runKey } from "./data/run.ts";
import { routes } from "./routes.tsx";

const heading = (name: string | RegExp) => screen.findByRole("heading", { level: 1, name });
const run = "/ada/mnist/runs/rxxkjcn";
const name = { entity: "ada", project: "mnist", run: "rxxkjcn" };

/** An application whose clock only the test moves, and the operations that it was asked. */
function training(): { state: ApplicationState; asked: { operationName: string; variables: { specs?: string[] } }[]; pass: (seconds: number) => void } {
  const start = Date.now();
  let now = start;
  const state = { ...settledApplication(), world: exampleWorld(start, () => now) };
  const mock = applicationMock(state);
  const asked: { operationName: string; variables: { specs?: string[] } }[] = [];
  serve({
    handle: async (request) => {
      if (request.url.endsWith("/graphql")) asked.push((await request.clone().json()) as (typeof asked)[number]);
      return mock.handle(request);
    },
  });
  return {
    state,
    asked,
    pass: (seconds) => {
      now += seconds * 1000;
    },
  };
}

const pointsOf = (figure: HTMLElement) => (JSON.parse(within(figure).getByRole("img").dataset.drawn ?? "[[]]") as number[][])[0]?.length ?? 0;

test("a run shows a chart per metric in sections, and asks for all that are in view at once", async () => {
  const { asked } = training();
  open(routes, run);
  await heading(/brisk-falcon-121/);
  const section = await screen.findByRole("region", { name: "train" });
  expect(within(section).getAllByRole("figure").map((figure) => figure.getAttribute("aria-label"))).toEqual(["train/grad_norm", "train/loss", "train/lr"]);
  await waitFor(() => {
    expect(screen.queryByRole("img", { name: /^Loading/ })).toBeNull();
  });
  const samples = asked.filter(({ operationName }) => operationName === "RunSampledHistory");
  expect(samples.map(({ variables }) => variables.specs?.length)).toEqual([6]);
  expect(samples[0]?.variables.specs?.[0]).toBe('{"keys":["_step","epoch"],"samples":500}');
  expect(document.title).toBe("brisk-falcon-121 · W&B Server");
  await expectAccessible();
});

test("while it trains, a run asks for its points again only when it has logged", async () => {
  const { asked, pass, state } = training();
  const { client } = open(routes, run);
  const figure = await screen.findByRole("figure", { name: "train/loss" });
  await within(figure).findByRole("img", { name: /points/ });
  const before = pointsOf(figure);
  const requests = () => asked.filter(({ operationName }) => operationName === "RunSampledHistory").length;
  const look = () => act(() => client.refetchQueries({ queryKey: [...runKey(name), "pulse"] }));
  await look();
  expect(requests()).toBe(1);

  pass(60);
  await look();
  await waitFor(() => {
    expect(pointsOf(figure)).toBeGreaterThan(before);
  });
  expect(requests()).toBe(2);

  const trained = state.world.projects[0]?.runs[0];
  if (trained) Object.assign(trained, { state: "finished", steps: 1_400 });
  await look();
  await screen.findByText("Finished");
  await waitFor(() => {
    expect(requests()).toBe(3);
  });
});

test("charts can be searched, smoothed, and drawn over time", async () => {
  const { asked } = training();
  const { user } = open(routes, run);
  await screen.findByRole("figure", { name: "train/loss" });
  await user.type(screen.getByLabelText("Search metrics"), "val");
  await waitFor(() => {
    expect(screen.getAllByRole("figure").map((figure) => figure.getAttribute("aria-label"))).toEqual(["val/accuracy", "val/loss"]);
  });
  await user.selectOptions(screen.getByLabelText("X axis"), "_runtime");
  await waitFor(() => {
    expect(asked.at(-1)?.variables.specs).toEqual(['{"keys":["_runtime","val/accuracy"],"samples":500}', '{"keys":["_runtime","val/loss"],"samples":500}']);
  });
  await user.clear(screen.getByLabelText("Search metrics"));
  await user.type(screen.getByLabelText("Search metrics"), "nothing");
  expect(await screen.findByText("No metric is called like this.")).toBeInTheDocument();
});

test("summary and config show numbers exactly as they were sent, and can be searched", async () => {
  training();
  const { user } = open(routes, `${run}/overview`);
  const config = await screen.findByRole("region", { name: "Config" });
  expect(within(config).getByText("9007199254740993")).toBeInTheDocument();
  expect(within(config).queryByText("_wandb")).toBeNull();
  expect(within(await screen.findByRole("region", { name: "Summary" })).getByText("18014398509481985")).toBeInTheDocument();
  expect(await screen.findByText("1 × NVIDIA L4")).toBeInTheDocument();
  await expectAccessible();

  await user.type(within(config).getByLabelText("Search config"), "gelu");
  await waitFor(() => {
    expect(within(config).getAllByRole("listitem").map((line) => line.textContent)).toEqual(["model3 keys", "activationgelu"]);
  });
  await user.clear(within(config).getByLabelText("Search config"));
  const fold = await within(config).findByRole("button", { name: /model/ });
  expect(fold).toHaveAttribute("aria-expanded", "false");
  await user.click(fold);
  expect(within(config).getByText("layers")).toBeInTheDocument();
});

test("the console shows its end with colours and marks what went to stderr", async () => {
  const { state } = training();
  const trained = state.world.projects[0]?.runs[0];
  if (trained) Object.assign(trained, { state: "finished", steps: 60 });
  open(routes, `${run}/logs`);
  const console = await screen.findByRole("region", { name: "Console" });
  expect(await within(console).findByText("stderr")).toBeInTheDocument();
  expect(within(console).getByText("model")).toHaveAttribute("data-ansi", "bold");
  expect(within(console).getByText("cuda:0")).toHaveAttribute("data-ansi", "fg-cyan");
  expect(screen.getByText("12 lines")).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Show from the beginning" })).toBeNull();
  await expectAccessible();
});

test("files lie in folders; a text is shown, HTML only in a sandbox", async () => {
  training();
  const { user, path } = open(routes, `${run}/files`);
  await user.click(await screen.findByRole("link", { name: "code" }));
  await user.click(await screen.findByRole("link", { name: "train.py" }));
  expect(path()).toBe(`${run}/files/code/train.py`);
  expect(await screen.findByText(/import wandb/)).toBeInTheDocument();
  await expectAccessible();

  await user.click(within(screen.getByRole("navigation", { name: "Folders" })).getByRole("link", { name: "Files" }));
  await user.click(await screen.findByRole("link", { name: "media" }));
  await user.click(await screen.findByRole("link", { name: "html" }));
  await user.click(await screen.findByRole("link", { name: "report 100%_3.html" }));
  const frame = await screen.findByTitle("report 100%_3.html");
  expect(frame).toHaveAttribute("sandbox", "");
  expect(frame).toHaveAttribute("src", "/storage/runs/rxxkjcn/media/html/report%20100%25_3.html");
  expect(path()).toBe(`${run}/files/media/html/report%20100%25_3.html`);
});

test("a file that is not there says so", async () => {
  training();
  open(routes, `${run}/files/media/nothing.txt`);
  expect(await screen.findByText(/The run has no file/)).toBeInTheDocument();
});

test("artifacts of a run, and system metrics with units", async () => {
  training();
  const first = open(routes, `${run}/artifacts`);
  expect(await screen.findByRole("link", { name: "mnist-v2:v0" })).toHaveAttribute("href", "/ada/mnist/artifacts/dataset/mnist-v2/v0");
  expect(screen.getByText("This run has logged no artifact.")).toBeInTheDocument();
  await expectAccessible();
  first.unmount();
  open(routes, `${run}/system`);
  const temperature = await screen.findByRole("figure", { name: "GPU 0 temperature" });
  expect(within(temperature).getByRole("img")).toHaveAccessibleName(/last [\d.]+ °C/);
  expect(screen.getByRole("figure", { name: "Used on /" })).toBeInTheDocument();
  await expectAccessible();
});

test("name, tags and notes are changed in one dialog", async () => {
  const { state } = training();
  const { user } = open(routes, run);
  await user.click(await screen.findByRole("button", { name: "Edit" }));
  const dialog = await screen.findByRole("dialog", { name: "Edit this run" });
  await expectAccessible();
  await user.clear(within(dialog).getByLabelText("Name"));
  await user.type(within(dialog).getByLabelText("Name"), "warm run");
  await user.type(within(dialog).getByRole("combobox", { name: "Tags" }), "paper{Enter}");
  await user.clear(within(dialog).getByLabelText("Notes"));
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  await heading(/warm run/);
  expect(state.world.projects[0]?.runs[0]).toMatchObject({ displayName: "warm run", tags: ["baseline", "paper"], notes: "" });
});

test("a run is stopped, and deleted, only after the question", async () => {
  const { state } = training();
  const { user, path } = open(routes, run);
  await user.click(await screen.findByRole("button", { name: "Stop" }));
  const stop = await screen.findByRole("dialog", { name: "Stop this run?" });
  expect(state.world.projects[0]?.runs[0]?.state).toBe("running");
  await user.click(within(stop).getByRole("button", { name: "Stop run" }));
  await screen.findByText("Killed");

  await user.click(screen.getByRole("button", { name: "More actions" }));
  await user.click(await screen.findByRole("menuitem", { name: "Delete run…" }));
  const remove = await screen.findByRole("dialog", { name: "Delete this run?" });
  await expectAccessible();
  await user.click(within(remove).getByRole("button", { name: "Delete run" }));
  await heading("mnist");
  expect(path()).toBe("/ada/mnist");
  expect(state.world.projects[0]?.runs.length).toBe(120);
});

test("in a notebook's frame stands the run alone, without anything that changes it", async () => {
  training();
  const { unmount } = open(routes, `${run}?jupyter=true`);
  await heading(/brisk-falcon-121/);
  await screen.findByRole("figure", { name: "train/loss" });
  expect(screen.queryByRole("banner")).toBeNull();
  for (const button of ["Stop", "More actions", "Edit"]) expect(screen.queryByRole("button", { name: button })).toBeNull();
  await expectAccessible();
  unmount();
  serve(applicationMock({ ...settledApplication(), signedIn: null }));
  open(routes, `${run}?jupyter=true`);
  await heading("Sign in to see this run");
  expect(screen.queryByLabelText("Password")).toBeNull();
});

test("a run that is not there says so", async () => {
  training();
  open(routes, "/ada/mnist/runs/nothing");
  await heading("There is no such run");
  expect(screen.getByRole("link", { name: "the runs of mnist" })).toHaveAttribute("href", "/ada/mnist");
  await expectAccessible();
});

test("somebody who may only look is offered no change", async () => {
  const { state } = training();
  for (const project of state.world.projects) project.readOnly = true;
  open(routes, run);
  await heading(/brisk-falcon-121/);
  for (const button of ["Stop", "More actions", "Edit"]) expect(screen.queryByRole("button", { name: button })).toBeNull();
});
