import type { Page } from "playwright-core";
import { applicationMock, freshApplication, settledApplication } from "./mock/application.ts";
import { consoleMock, consoleState } from "./mock/console.ts";
import { stalledOverview, upgradingOverview } from "./mock/overview.ts";
import type { MockServer } from "./mock/server.ts";

/** A page in a state that is worth a look. */
export interface Scenario {
  name: string;
  site: "app" | "console";
  path: string;
  mock: () => MockServer;
  /** Brings the page into its state, and waits until it is there. */
  act: (page: Page) => Promise<void>;
  /** Only the window is pictured, not the whole page. */
  dialog?: boolean;
}

const heading = (name: string | RegExp) => (page: Page) => page.getByRole("heading", { level: 1, name }).waitFor();

/** The run that is training, and a wait until that many of its charts are drawn. */
const run = `/ada/mnist/runs/r${(121 * 7919).toString(36).padStart(6, "x")}`;
const drawn = (charts: number) => async (page: Page) => {
  // Charts are drawn when they come near the screen.
  for (let index = 0; index < charts; index++) {
    await page.locator("figure").nth(index).scrollIntoViewIfNeeded();
    await page.locator(".u-over").nth(index).waitFor();
  }
  await page.waitForTimeout(300);
  await page.evaluate(() => {
    window.scrollTo(0, 0);
  });
};

const signedOut = () => applicationMock({ ...settledApplication(), signedIn: null });
/** Ada stores so many GiB, and may store others. */
const storing = (used: number, quota: number | null = 500) => () => {
  const state = settledApplication();
  const gib = 2 ** 30;
  state.world.storage = {
    filesBytes: 40 * gib,
    artifactsBytes: (used - 41) * gib,
    historyBytes: gib,
    quotaBytes: quota === null ? null : quota * gib,
    measuredAt: new Date().toISOString(),
  };
  return applicationMock(state);
};
const consoleIn = (change: Partial<ReturnType<typeof consoleState>>) => () => consoleMock({ ...consoleState(), ...change });

export const scenarios: Scenario[] = [
  {
    name: "app-signup",
    site: "app",
    path: "/",
    mock: () => applicationMock(freshApplication()),
    act: heading("Set up this instance"),
  },
  {
    name: "app-signup-errors",
    site: "app",
    path: "/signup",
    mock: () => applicationMock(freshApplication()),
    act: async (page) => {
      await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
      await page.getByLabel("Email").fill("ada");
      await page.getByLabel("Password", { exact: true }).fill("engine 1843");
      await page.getByRole("button", { name: "Create administrator" }).click();
      await page.getByText("Enter an address such as").waitFor();
    },
  },
  { name: "app-login", site: "app", path: "/login", mock: signedOut, act: heading("Sign in") },
  {
    name: "app-login-wrong",
    site: "app",
    path: "/login",
    mock: signedOut,
    act: async (page) => {
      await page.getByLabel("Username or email").fill("ada");
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  { name: "app-signup-closed", site: "app", path: "/signup", mock: signedOut, act: heading("This instance is already set up") },
  { name: "app-home", site: "app", path: "/", mock: applicationMock, act: (page) => page.getByRole("link", { name: "mnist" }).waitFor() },
  { name: "app-quickstart", site: "app", path: "/quickstart", mock: applicationMock, act: heading("Quickstart") },
  { name: "app-projects", site: "app", path: "/ada/projects", mock: applicationMock, act: (page) => page.getByRole("link", { name: "mnist" }).waitFor() },
  { name: "app-projects-quota-near", site: "app", path: "/ada/projects", mock: storing(480), act: (page) => page.getByText("nearly used up").waitFor() },
  { name: "app-projects-quota-full", site: "app", path: "/ada/projects", mock: storing(512), act: (page) => page.getByText("no new run begins").waitFor() },
  { name: "app-projects-quota-none", site: "app", path: "/ada/projects", mock: storing(480, null), act: (page) => page.getByText("480 GiB stored").waitFor() },
  { name: "app-runs", site: "app", path: "/ada/mnist/workspace", mock: applicationMock, act: drawn(2), dialog: true },
  {
    name: "app-runs-filter",
    site: "app",
    path: "/ada/mnist?filter=state+%3D+finished&columns=config.lr&columns=summary.val%2Floss&sort=summary.val%2Floss",
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await drawn(1)(page);
      await page.getByRole("button", { name: "Add filter" }).click();
      await page.getByLabel("Value").waitFor();
    },
  },
  {
    name: "app-runs-none",
    site: "app",
    path: "/ada/mnist",
    mock: applicationMock,
    act: async (page) => {
      await page.getByLabel("Filter runs").fill("state = lost and");
      await page.keyboard.press("Enter");
      await page.getByText("The filter ends too early.").waitFor();
    },
    dialog: true,
  },
  { name: "app-run", site: "app", path: run, mock: applicationMock, act: drawn(6) },
  {
    name: "app-run-smooth",
    site: "app",
    path: run,
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await page.getByLabel("Smoothing").fill("0.9");
      await page.getByLabel("Log scale").focus();
      await page.keyboard.press("Space");
      await page.getByLabel("X axis").selectOption("_runtime");
      await drawn(6)(page);
    },
  },
  { name: "app-run-system", site: "app", path: `${run}/system`, mock: applicationMock, act: drawn(6) },
  { name: "app-run-overview", site: "app", path: `${run}/overview`, mock: applicationMock, act: (page) => page.getByText("9007199254740993").waitFor() },
  { name: "app-run-console", site: "app", path: `${run}/logs`, mock: applicationMock, act: (page) => page.getByText(/^step/).first().waitFor(), dialog: true },
  { name: "app-run-files", site: "app", path: `${run}/files`, mock: applicationMock, act: (page) => page.getByRole("link", { name: "media" }).waitFor() },
  { name: "app-run-file-text", site: "app", path: `${run}/files/code/train.py`, mock: applicationMock, act: (page) => page.getByText("import wandb").waitFor() },
  { name: "app-run-file-html", site: "app", path: `${run}/files/media/html/report%20100%25_3.html`, mock: applicationMock, act: (page) => page.frameLocator("iframe").getByText("Report").waitFor() },
  { name: "app-run-file-image", site: "app", path: `${run}/files/media/images/predictions_0_ea7.png`, mock: applicationMock, act: (page) => page.locator("img").waitFor() },
  { name: "app-run-artifacts", site: "app", path: `${run}/artifacts`, mock: applicationMock, act: (page) => page.getByText("mnist-v2:v0").waitFor() },
  { name: "app-run-jupyter", site: "app", path: `${run}?jupyter=true`, mock: applicationMock, act: drawn(6), dialog: true },
  {
    name: "app-run-edit",
    site: "app",
    path: run,
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await page.getByRole("button", { name: "Edit" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  {
    name: "app-run-delete",
    site: "app",
    path: run,
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await page.getByRole("button", { name: "More actions" }).click();
      await page.getByRole("menuitem", { name: "Delete run" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "app-run-missing", site: "app", path: "/ada/mnist/runs/nothing", mock: applicationMock, act: heading("There is no such run") },
  { name: "app-artifacts", site: "app", path: "/ada/mnist/artifacts", mock: applicationMock, act: (page) => page.getByRole("link", { name: "classifier" }).or(page.getByRole("link", { name: "mnist-v2" })).first().waitFor() },
  { name: "app-artifact", site: "app", path: "/ada/mnist/artifacts/model/classifier/v4", mock: applicationMock, act: (page) => page.getByText("README.md").waitFor() },
  {
    name: "app-project-delete",
    site: "app",
    path: "/ada/mnist/settings",
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await page.getByRole("button", { name: "Delete project…" }).click();
      await page.getByLabel("Name of the project").fill("mnis");
    },
  },
  { name: "app-project-settings", site: "app", path: "/ada/mnist/settings", mock: applicationMock, act: heading("Project settings") },
  { name: "app-sweeps", site: "app", path: "/ada/mnist/sweeps", mock: applicationMock, act: (page) => page.getByRole("link", { name: "learning rate" }).waitFor() },
  { name: "app-sweep", site: "app", path: "/ada/mnist/sweeps/k3m9x2pa", mock: applicationMock, act: (page) => page.locator("polyline").first().waitFor() },
  {
    name: "app-menu",
    site: "app",
    path: "/",
    mock: () =>
      applicationMock({
        ...settledApplication(),
        banners: {
          maintenance: { type: "warning", heading: "Maintenance on Sunday", message: "Runs may pause between 08:00 and 08:30 UTC.", dismissable: true },
        },
      }),
    dialog: true,
    act: async (page) => {
      await page.getByRole("button", { name: /Account of/ }).click();
      await page.getByRole("menuitem", { name: "Sign out" }).waitFor();
    },
  },
  { name: "app-authorize", site: "app", path: "/authorize?ref=models&signup=true", mock: applicationMock, act: (page) => page.getByText("Laptop").waitFor() },
  {
    name: "app-authorize-created",
    site: "app",
    path: "/authorize",
    mock: applicationMock,
    act: async (page) => {
      await page.getByLabel("Description").fill("Cluster in the basement");
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByRole("heading", { name: "Your new key" }).waitFor();
      await page.getByText("Cluster in the basement").waitFor();
    },
  },
  {
    name: "app-authorize-revoke",
    site: "app",
    path: "/authorize",
    mock: applicationMock,
    dialog: true,
    act: async (page) => {
      await page.getByRole("button", { name: /Revoke key Laptop/ }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "app-settings", site: "app", path: "/settings", mock: applicationMock, act: heading("Settings") },
  { name: "app-notfound", site: "app", path: "/nobody/nothing/else/at/all", mock: applicationMock, act: heading("There is no such page") },
  { name: "console-signin", site: "console", path: "/", mock: consoleIn({ user: null }), act: heading("Sign in") },
  {
    name: "console-signin-wrong",
    site: "console",
    path: "/",
    mock: consoleIn({ user: null }),
    act: async (page) => {
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  { name: "console-ready", site: "console", path: "/", mock: consoleIn({}), act: (page) => page.getByText("Live", { exact: true }).waitFor() },
  { name: "console-upgrading", site: "console", path: "/", mock: consoleIn({ overview: upgradingOverview() }), act: (page) => page.getByText("Live", { exact: true }).waitFor() },
  { name: "console-stalled", site: "console", path: "/", mock: consoleIn({ overview: stalledOverview() }), act: (page) => page.getByText("Live", { exact: true }).waitFor() },
  {
    name: "console-settings",
    site: "console",
    path: "/settings",
    mock: consoleIn({}),
    act: async (page) => {
      await page.locator(".cm-line").first().waitFor();
      await page.getByText("One setting here has no effect").waitFor();
    },
  },
  {
    name: "console-settings-empty",
    site: "console",
    path: "/settings",
    mock: consoleIn({ userLayer: "", shadowed: [] }),
    act: (page) => page.getByText("# For example").waitFor(),
  },
  {
    name: "console-settings-mistake",
    site: "console",
    path: "/settings",
    mock: consoleIn({ userLayer: "values:\n  app:\n\treplicas: 2\n  console: {}\n" }),
    act: async (page) => {
      await page.locator(".cm-content").click();
      await page.keyboard.press("End");
      await page.keyboard.type(" ");
      await page.keyboard.press("Control+s");
      await page.getByRole("alert").waitFor();
    },
  },
  {
    name: "console-settings-conflict",
    site: "console",
    path: "/settings",
    dialog: true,
    mock: () => {
      const state = consoleState();
      const mock = consoleMock(state);
      return {
        handle: (request) => {
          if (request.method === "PUT" && state.version === 41873) {
            state.version++;
            state.userLayer = state.userLayer.replace("replicas: 2", "replicas: 3") + "  console:\n    replicas: 1\n";
          }
          return mock.handle(request);
        },
      };
    },
    act: async (page) => {
      await page.locator(".cm-content").click();
      await page.keyboard.press("Control+End");
      await page.keyboard.type("  weave: {}");
      await page.keyboard.press("Control+s");
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "console-active", site: "console", path: "/settings/active", mock: consoleIn({}), act: (page) => page.locator(".cm-line").first().waitFor() },
  { name: "console-notfound", site: "console", path: "/nothing", mock: consoleIn({}), act: heading("There is no such page") },
];
