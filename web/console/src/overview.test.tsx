import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { consoleMock, consoleState, publish } from "../../tools/mock/console.ts";
import { stalledOverview, upgradingOverview } from "../../tools/mock/overview.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { newConsoleClient } from "./client.ts";
import { routes } from "./routes.tsx";

const start = (path = "/") => open(routes, path, newConsoleClient());
const heading = (name: string) => screen.findByRole("heading", { level: 1, name });
const region = async (name: string) => within(await screen.findByRole("region", { name }));

test("who is not signed in sees how to get the password, and gets in with it", async () => {
  const state = { ...consoleState(), user: null };
  serve(consoleMock(state));
  const { user } = start();
  await heading("Sign in");
  expect(screen.getByRole("group", { name: "command" })).toHaveTextContent(
    "kubectl get secret wandb-password -o jsonpath='{.data.password}' | base64 -d",
  );
  expect(screen.getByText(/Administrators of the application need no password/)).toBeInTheDocument();
  expect(screen.queryByRole("navigation")).toBeNull();
  await expectAccessible();

  await user.type(screen.getByLabelText("Password"), "wrong{Enter}");
  expect(await screen.findByRole("alert")).toHaveTextContent("The password is wrong.");
  expect(screen.getByLabelText("Password")).toHaveValue("");
  await user.type(screen.getByLabelText("Password"), "correct horse{Enter}");
  await heading("Overview");
  expect(state.user).toEqual({ name: "administrator", method: "password" });
});

test("the command names the namespace where kubectl would not guess it", async () => {
  const mock = consoleMock({ ...consoleState(), user: null });
  serve({
    handle: async (request) => {
      const answer = await mock.handle(request);
      const session = (await answer?.json()) as object;
      return Response.json({ ...session, namespace: "ml-platform", instance: "prod" });
    },
  });
  start();
  expect(await screen.findByRole("group", { name: "command" })).toHaveTextContent(
    "kubectl get secret prod-password -n ml-platform -o jsonpath=",
  );
});

test("a healthy instance shows its state, release, conditions, pods and events", async () => {
  const seen = serve(consoleMock());
  start();
  expect(await screen.findByRole("heading", { name: "Ready" })).toBeInTheDocument();
  expect(screen.getByText(/Nothing to do/)).toBeInTheDocument();
  const release = await region("Release");
  expect(release.getAllByText("0.75.2")).toHaveLength(2);
  expect(release.getByText("operator-wandb 0.14.1")).toBeInTheDocument();
  expect(release.getByText("Newest")).toBeInTheDocument();
  const conditions = await region("Conditions");
  expect(conditions.getByText("11 of 11 good")).toBeInTheDocument();
  expect(conditions.getByText("Nothing blocks the operator.")).toBeInTheDocument();
  const pods = await region("Pods");
  expect(pods.getByText("3 of 3 ready")).toBeInTheDocument();
  expect(pods.getAllByText("7c1f0e5ab9d2")).toHaveLength(3);
  expect((await region("Recent events")).getByText("Upgraded from 0.75.1 to 0.75.2 in 48 s.")).toBeInTheDocument();
  expect(await screen.findByText("Live")).toBeInTheDocument();
  await expectAccessible();
  // The console has to work while the application is down.
  expect(seen.filter((request) => !/^GET \/api\/(session|overview|overview\/watch)$/.test(request))).toEqual([]);
});

test("a change arrives by itself, and a new headline is said aloud", async () => {
  const state = consoleState();
  serve(consoleMock(state));
  start();
  await screen.findByText("Live");
  act(() => {
    publish(state, upgradingOverview());
  });
  expect(await screen.findByRole("heading", { name: "Progressing" })).toBeInTheDocument();
  expect(await screen.findByText("The instance is now: Progressing, Upgrading.")).toBeInTheDocument();
  expect((await region("Release")).getByText("Newer one in the channel")).toBeInTheDocument();

  act(() => {
    publish(state, stalledOverview());
  });
  expect(await screen.findByText("The instance is now: Stalled, WorkloadsNotReady.")).toBeInTheDocument();
  const pods = await region("Pods");
  expect(pods.getByText(/ImagePullBackOff/)).toBeInTheDocument();
  const [first] = within((await region("Conditions")).getByRole("list")).getAllByRole("listitem");
  expect(within(first as HTMLElement).getByRole("img", { name: "Problem" })).toBeInTheDocument();
  await expectAccessible();
});

test("before the first installation the page says what to do", async () => {
  const state = consoleState();
  state.overview = {
    resource: { name: "wandb", namespace: "default", generation: 0, observedGeneration: 0, createdAt: null },
    conditions: [],
    release: { id: "", name: "", chart: "", chartVersion: "", revision: 0, deployedAt: null },
    channel: { name: "", release: "", checkedAt: null },
    pods: [],
    events: [],
    next: "There is no WeightsAndBiases wandb in namespace default. Create it to install W&B Server.",
  };
  serve(consoleMock(state));
  start();
  expect(await screen.findByRole("heading", { name: "Not installed" })).toBeInTheDocument();
  expect(screen.getByText(/Create it to install/)).toBeInTheDocument();
  expect(screen.getByText("No release is installed yet.")).toBeInTheDocument();
  await expectAccessible();
});

test("without a stream the page says that it is not live, keeps the last state, and connects on demand", async () => {
  const mock = consoleMock();
  let streaming = false;
  serve({
    handle: (request) =>
      request.url.endsWith("/watch") && !streaming ? Promise.reject(new TypeError("refused")) : mock.handle(request),
  });
  const { user } = start();
  expect(await screen.findByText(/Not live: the connection is lost/)).toBeInTheDocument();
  expect(screen.getByRole("heading", { name: "Ready" })).toBeInTheDocument();
  await expectAccessible();
  streaming = true;
  await user.click(screen.getByRole("button", { name: "Connect now" }));
  expect(await screen.findByText("Live")).toBeInTheDocument();
});

test("signing out closes the stream and shows the sign-in", async () => {
  const state = consoleState();
  serve(consoleMock(state));
  const { user } = start();
  await screen.findByText("Live");
  await user.click(screen.getByRole("button", { name: "Account of ada@example.com" }));
  await user.click(await screen.findByRole("menuitem", { name: "Sign out" }));
  await heading("Sign in");
  await waitFor(() => {
    expect(state.watchers.size).toBe(0);
  });
});

test("a console that does not answer says so and can be asked again", async () => {
  const mock = consoleMock();
  let down = true;
  serve({ handle: (request) => (down ? Promise.resolve(new Response("bad gateway", { status: 502 })) : mock.handle(request)) });
  const { user } = start();
  await heading("The console does not answer");
  down = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await heading("Overview");
});

test("an unknown path has a page, and the old console's addresses still lead to the settings", async () => {
  serve(consoleMock());
  const first = start("/nothing");
  await heading("There is no such page");
  await expectAccessible();
  first.unmount();
  const second = start("/settings/advanced/spec/active");
  await heading("Settings");
  expect(second.path()).toBe("/settings/active");
});
