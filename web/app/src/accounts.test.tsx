import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { applicationMock, freshApplication, settledApplication } from "../../tools/mock/application.ts";
import { expectAccessible, open, serve } from "../../tools/testing.tsx";
import { routes } from "./routes.tsx";

const heading = (name: string | RegExp) => screen.findByRole("heading", { level: 1, name });
const signedOut = () => ({ ...settledApplication(), signedIn: null });

test("the first visitor creates the administrator and is signed in", async () => {
  const state = freshApplication();
  serve(applicationMock(state));
  const { user, path } = open(routes, "/");
  await heading("Set up this instance");
  await expectAccessible();

  await user.type(screen.getByLabelText("Name"), "Ada Lövelace");
  expect(screen.getByLabelText("Username")).toHaveValue("ada-lovelace");
  await user.type(screen.getByLabelText("Email"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "marble otter quietly");
  expect(screen.getByText("Strong")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Create administrator" }));

  await heading("Welcome, Ada");
  expect(path()).toBe("/");
  expect(state.accounts).toEqual([
    { name: "Ada Lövelace", username: "ada-lovelace", email: "ada@example.com", admin: true, password: "marble otter quietly" },
  ]);
});

test("a form with mistakes names each, goes to the first, and sends nothing", async () => {
  const seen = serve(applicationMock(freshApplication()));
  const { user } = open(routes, "/signup");
  await heading("Set up this instance");
  await user.type(screen.getByLabelText("Name"), "Ada");
  await user.type(screen.getByLabelText("Email"), "nowhere");
  await user.type(screen.getByLabelText("Password"), "short");
  await user.click(screen.getByRole("button", { name: "Create administrator" }));

  expect(screen.getByLabelText("Email")).toHaveFocus();
  expect(screen.getByLabelText("Email")).toHaveAccessibleDescription("Enter an address such as name@example.com.");
  expect(screen.getByText("This password does not meet the rules below.")).toBeInTheDocument();
  expect(seen).not.toContain("POST /api/setup");
  await expectAccessible();
});

test("a mistake that only the server knows stands at its field", async () => {
  serve(applicationMock(freshApplication()));
  const { user } = open(routes, "/signup");
  await heading("Set up this instance");
  await user.type(screen.getByLabelText("Name"), "Ada");
  await user.clear(screen.getByLabelText("Username"));
  await user.type(screen.getByLabelText("Username"), "root");
  await user.type(screen.getByLabelText("Email"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "marble otter quietly");
  await user.click(screen.getByRole("button", { name: "Create administrator" }));
  expect(await screen.findByText("This username is reserved. Choose another one.")).toBeInTheDocument();
  expect(screen.getByLabelText("Username")).toHaveFocus();
  expect(screen.getByLabelText("Username")).toBeInvalid();
});

test("when somebody else was first, the visitor is led to sign in", async () => {
  const state = freshApplication();
  serve(applicationMock(state));
  const { user } = open(routes, "/signup");
  await heading("Set up this instance");
  state.accounts = settledApplication().accounts;
  await user.type(screen.getByLabelText("Name"), "Grace");
  await user.type(screen.getByLabelText("Email"), "grace@example.com");
  await user.type(screen.getByLabelText("Password"), "marble otter quietly");
  await user.click(screen.getByRole("button", { name: "Create administrator" }));
  await heading("This instance is already set up");
  await expectAccessible();
});

test("signing in leads back to where wandb login had sent the user", async () => {
  serve(applicationMock(signedOut()));
  const { user, path } = open(routes, "/authorize?ref=models&signup=true");
  await heading("Sign in");
  expect(path()).toBe("/login?next=%2Fauthorize%3Fref%3Dmodels%26signup%3Dtrue");
  await expectAccessible();
  await user.type(screen.getByLabelText("Username or email"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "difference engine");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await heading("API keys");
  expect(path()).toBe("/authorize?ref=models&signup=true");
});

test("a wrong password says so, empties the field and returns to it; too many say how long to wait", async () => {
  const state = signedOut();
  serve(applicationMock(state));
  const { user } = open(routes, "/login");
  await heading("Sign in");
  await user.type(screen.getByLabelText("Username or email"), "ada");
  await user.type(screen.getByLabelText("Password"), "wrong{Enter}");
  expect(await screen.findByRole("alert")).toHaveTextContent("Username, email or password is wrong.");
  expect(screen.getByLabelText("Password")).toHaveValue("");
  expect(screen.getByLabelText("Password")).toHaveFocus();
  await expectAccessible();

  state.failures = 5;
  await user.type(screen.getByLabelText("Password"), "wrong{Enter}");
  await waitFor(() => {
    expect(screen.getByRole("alert")).toHaveTextContent("Wait 30 seconds and try again.");
  });
});

test("the menu offers the System Console to administrators only", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const first = open(routes, "/");
  await first.user.click(await screen.findByRole("button", { name: "Account of Ada Lovelace" }));
  expect(await screen.findByRole("menuitem", { name: "System console" })).toHaveAttribute("href", "/console/");
  first.unmount();

  state.accounts = state.accounts.map((account) => ({ ...account, admin: false }));
  const second = open(routes, "/");
  await second.user.click(await screen.findByRole("button", { name: "Account of Ada Lovelace" }));
  const items = await screen.findAllByRole("menuitem");
  expect(items.map((item) => item.textContent)).toEqual(["API keys", "Settings", "Sign out"]);
  expect(screen.queryByText(/You administer/)).toBeNull();
});

test("signing out ends on the sign-in page and forgets what was shown", async () => {
  const state = settledApplication();
  serve(applicationMock(state));
  const { user, path, client } = open(routes, "/authorize");
  await screen.findByText("Laptop");
  await user.click(screen.getByRole("button", { name: "Account of Ada Lovelace" }));
  await user.click(await screen.findByRole("menuitem", { name: "Sign out" }));
  await heading("Sign in");
  expect(path()).toBe("/login");
  expect(state.signedIn).toBeNull();
  expect(client.getQueryData(["keys"])).toBeUndefined();
});

test("a server that does not answer offers to try again", async () => {
  const state = settledApplication();
  const mock = applicationMock(state);
  let down = true;
  serve({ handle: (request) => (down ? Promise.reject(new TypeError("refused")) : mock.handle(request)) });
  const { user } = open(routes, "/");
  await heading("The server does not answer");
  await expectAccessible();
  down = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await heading("Welcome, Ada");
});

test("single sign-on is offered where the server has it, and leads back", async () => {
  serve(applicationMock({ ...signedOut(), sso: true }));
  open(routes, "/authorize?ref=models");
  await heading("Sign in");
  expect(screen.getByRole("link", { name: "Sign in with single sign-on" })).toHaveAttribute(
    "href",
    "/oidc/login?next=%2Fauthorize%3Fref%3Dmodels",
  );
  expect(screen.getByRole("button", { name: "Sign in" })).toBeInTheDocument();
  await expectAccessible();
});

test("without single sign-on there is no such link", async () => {
  serve(applicationMock(signedOut()));
  open(routes, "/login");
  await heading("Sign in");
  expect(screen.queryByRole("link", { name: "Sign in with single sign-on" })).not.toBeInTheDocument();
});

test.each([
  ["unavailable", "The identity provider does not answer."],
  ["account", "No account here belongs to your identity."],
  ["refused", "The sign-on was not completed."],
])("a sign-on that ended as %s says so, and a password still works", async (code, text) => {
  serve(applicationMock({ ...signedOut(), sso: true }));
  const { user, path } = open(routes, `/login?sso=${code}`);
  expect(await screen.findByRole("alert")).toHaveTextContent(text);
  await user.type(screen.getByLabelText("Username or email"), "ada");
  await user.type(screen.getByLabelText("Password"), "difference engine{Enter}");
  await heading(/Ada/);
  expect(path()).toBe("/");
});

test("who was invited chooses a name and a password, and is signed in", async () => {
  const state = { ...signedOut(), invitation: "secret-token" };
  serve(applicationMock(state));
  const { user } = open(routes, "/signup#invitation=secret-token");
  await heading("Accept your invitation");
  expect(screen.queryByLabelText("Email")).not.toBeInTheDocument();
  await expectAccessible();
  await user.type(screen.getByLabelText("Name"), "Grace Hopper");
  await user.type(screen.getByLabelText("Password"), "marble otter quietly");
  await user.click(screen.getByRole("button", { name: "Create account" }));
  await heading(/Grace/);
  expect(state.accounts.at(-1)).toMatchObject({ username: "grace-hopper", admin: false });
});

test("an invitation that was taken back says so", async () => {
  serve(applicationMock(signedOut()));
  const { user } = open(routes, "/signup#invitation=old");
  await heading("Accept your invitation");
  await user.type(screen.getByLabelText("Name"), "Grace Hopper");
  await user.type(screen.getByLabelText("Password"), "marble otter quietly");
  await user.click(screen.getByRole("button", { name: "Create account" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("Ask for a new one.");
});
