import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { applicationMock, settledApplication } from "../../tools/mock/application.ts";
import type { MockServer } from "../../tools/mock/server.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { routes } from "./routes.tsx";

const heading = (name: string | RegExp) => screen.findByRole("heading", { level: 1, name });

interface Asked {
  operationName: string;
  variables: Record<string, unknown>;
}

/** Serves a mock and notes the operations that it is asked. */
function watch(mock: MockServer): Asked[] {
  const asked: Asked[] = [];
  serve({
    handle: async (request) => {
      if (new URL(request.url).pathname === "/graphql") asked.push((await request.clone().json()) as Asked);
      return mock.handle(request);
    },
  });
  return asked;
}

const firstCells = () => within(screen.getByRole("table")).getAllByRole("link").map((link) => link.textContent);

test("the start page lists recent projects of the user and of their teams", async () => {
  serve(applicationMock());
  open(routes, "/");
  await heading("Welcome, Ada");
  const table = await screen.findByRole("table", { name: "Recent projects" });
  expect(within(table).getAllByRole("link").map((link) => link.getAttribute("href"))).toEqual([
    "/analytical-engines/vision",
    "/ada/mnist",
    "/ada/speech%20recognition",
  ]);
  await expectAccessible();
});

test("the projects of an entity lead to their runs; an entity without any says how to make one", async () => {
  serve(applicationMock());
  const first = open(routes, "/ada");
  expect(await screen.findByRole("link", { name: "speech recognition" })).toHaveAttribute("href", "/ada/speech%20recognition");
  expect(first.path()).toBe("/ada/projects");
  await expectAccessible();
  first.unmount();
  open(routes, "/nobody/projects");
  expect(await screen.findByText(/nobody has no projects/)).toBeInTheDocument();
});

test("a project shows its runs, newest first, beside charts of what they logged", async () => {
  serve(applicationMock());
  open(routes, "/ada/mnist");
  await heading("mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  expect(screen.getByText("121 runs")).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "brisk-falcon-121" })).toHaveAttribute("href", "/ada/mnist/runs/rxxkjcn");
  expect(screen.getAllByText("Running").length).toBe(1);
  const chart = await screen.findByRole("figure", { name: "train/loss" });
  await within(chart).findByText("amber-otter-120");
  expect(within(chart).getByRole("img")).toHaveAccessibleName(/train\/loss\. brisk-falcon-121: \d+ points from/);
  await expectAccessible();
});

test("only some rows exist, and the next page is fetched from its cursor", async () => {
  const asked = watch(applicationMock());
  open(routes, "/ada/mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  const rows = within(screen.getByRole("table")).getAllByRole("row");
  expect(rows.length).toBeLessThan(50);
  expect(screen.getByRole("table")).toHaveAttribute("aria-rowcount", "122");
  expect(asked.filter(({ operationName }) => operationName === "Runs").map(({ variables }) => variables.cursor)).toEqual([null]);
});

test("the filter box sends the client's filter language, and the address keeps it", async () => {
  const asked = watch(applicationMock());
  const { user, path } = open(routes, "/ada/mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  await user.type(screen.getByLabelText("Filter runs"), "state = crashed{Enter}");
  await waitFor(() => {
    expect(firstCells()).toEqual(["amber-otter-120"]);
  });
  expect(path()).toBe("/ada/mnist?filter=state+%3D+crashed");
  expect(asked.at(-1)?.variables.filters ?? asked.find(({ variables }) => variables.filters !== "{}")?.variables.filters).toBe('{"state":"crashed"}');
  expect(screen.getByText("1 run")).toBeInTheDocument();

  await user.clear(screen.getByLabelText("Filter runs"));
  await screen.findByText("121 runs");
  expect(path()).toBe("/ada/mnist");
});

test("a filter with a mistake says what is wrong and asks nothing", async () => {
  const asked = watch(applicationMock());
  const { user } = open(routes, "/ada/mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  const before = asked.filter(({ operationName }) => operationName === "Runs").length;
  await user.type(screen.getByLabelText("Filter runs"), "colour = red{Enter}");
  expect(await screen.findByText(/There is no field “colour”/)).toBeInTheDocument();
  expect(screen.getByLabelText("Filter runs")).toBeInvalid();
  expect(asked.filter(({ operationName }) => operationName === "Runs").length).toBe(before);
  await expectAccessible();
});

test("a condition can be built without knowing the language", async () => {
  serve(applicationMock());
  const { user, path } = open(routes, "/ada/mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  await user.click(screen.getByRole("button", { name: "Add filter" }));
  await user.selectOptions(await screen.findByLabelText("Field"), "config.optimizer");
  await user.type(screen.getByLabelText("Value"), "sgd{Enter}");
  await screen.findByText("60 runs");
  expect(screen.getByLabelText("Filter runs")).toHaveValue("config.optimizer = sgd");
  expect(path()).toContain("filter=config.optimizer+%3D+sgd");
});

test("a filter that no run meets can be cleared", async () => {
  serve(applicationMock());
  const { user } = open(routes, "/ada/mnist?filter=state+%3D+lost");
  await user.click(await screen.findByRole("button", { name: "Clear the filter" }));
  await screen.findByRole("link", { name: "brisk-falcon-121" });
});

test("the server sorts, by any column of the summary", async () => {
  const asked = watch(applicationMock());
  const { user } = open(routes, "/ada/mnist?columns=summary.val%2Floss");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  await user.click(screen.getByRole("button", { name: "summary val/loss" }));
  await waitFor(() => {
    expect(screen.getByRole("columnheader", { name: "summary val/loss" })).toHaveAttribute("aria-sort", "ascending");
  });
  await user.click(screen.getByRole("button", { name: "summary val/loss" }));
  await waitFor(() => {
    expect(asked.filter(({ operationName }) => operationName === "Runs").map(({ variables }) => variables.order)).toEqual([
      "-created_at",
      "+summary_metrics.val/loss",
      "-summary_metrics.val/loss",
    ]);
  });
});

test("columns are chosen from what the runs have", async () => {
  serve(applicationMock());
  const { user, path } = open(routes, "/ada/mnist?columns=config.lr");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  await user.click(screen.getByRole("button", { name: "Columns" }));
  await user.type(await screen.findByLabelText("Search columns"), "seed");
  await user.click(screen.getByRole("checkbox", { name: "config.seed" }));
  expect(path()).toBe("/ada/mnist?columns=config.lr&columns=config.seed");
  await user.keyboard("{Escape}");
  const cells = await screen.findAllByText("9.007e15");
  expect(cells[0]).toHaveAttribute("title", "9007199254740993");
});

test("a run can be left out of the charts", async () => {
  serve(applicationMock());
  const { user } = open(routes, "/ada/mnist");
  const chart = await screen.findByRole("figure", { name: "train/loss" });
  await within(chart).findByText("amber-otter-120");
  await user.click(screen.getByRole("checkbox", { name: "Show amber-otter-120 in the charts" }));
  await waitFor(() => {
    expect(within(chart).queryByText("amber-otter-120")).toBeNull();
  });
  expect(within(chart).getByText("brisk-falcon-121")).toBeInTheDocument();
});

test("a project without runs says how to start one; one that does not exist says so", async () => {
  serve(applicationMock());
  const first = open(routes, "/ada/speech%20recognition");
  expect(await screen.findByText('wandb.init(entity="ada", project="speech recognition")')).toBeInTheDocument();
  await expectAccessible();
  first.unmount();
  open(routes, "/ada/nothing");
  await heading("There is no such project");
  expect(screen.getByRole("link", { name: "the projects of ada" })).toHaveAttribute("href", "/ada/projects");
  await expectAccessible();
});

test("the other names of a project's page keep what was chosen", async () => {
  serve(applicationMock());
  const { path } = open(routes, "/ada/mnist/workspace?filter=state+%3D+crashed");
  await screen.findByRole("link", { name: "amber-otter-120" });
  expect(path()).toBe("/ada/mnist?filter=state+%3D+crashed");
});

test("an error of the server is told with a way to try again", async () => {
  const state = settledApplication();
  const mock = applicationMock(state);
  let broken = true;
  serve({
    handle: (request) =>
      broken && request.url.endsWith("/graphql")
        ? Promise.resolve(new Response(JSON.stringify({ errors: [{ message: "the database does not answer" }] }), { status: 503 }))
        : mock.handle(request),
  });
  const { user } = open(routes, "/ada/mnist");
  expect(await screen.findByRole("alert")).toHaveTextContent("The runs could not be loaded");
  await expectAccessible();
  broken = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await screen.findByRole("link", { name: "brisk-falcon-121" });
});

test("a session that ended meanwhile leads to the sign-in page, and back", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { client, path } = open(routes, "/ada/mnist");
  await screen.findByRole("link", { name: "brisk-falcon-121" });
  state.signedIn = null;
  await client.invalidateQueries({ queryKey: ["runs"] });
  await heading("Sign in");
  expect(path()).toBe("/login?next=%2Fada%2Fmnist");
});
