import { Button, Paper, Stack, TextInput } from "@mantine/core";
import { ApiError, ErrorNotice, Page, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useRef, useState } from "react";
import { Link, useLocation } from "react-router";
import { type NewAdministrator, acceptInvitation, createAdministrator, sessionQuery } from "../api.ts";
import { useSession } from "../gates.tsx";
import { NewPassword } from "../newpassword.tsx";
import { passwordRules } from "../password.ts";
import { site } from "../site.ts";

/** Creates the first administrator, or the account of who was invited; other visitors are told whom to ask. */
export function Signup() {
  const { setup } = useSession();
  // Behind "#", so that the token is in no server's log.
  const token = new URLSearchParams(useLocation().hash.slice(1)).get("invitation");
  if (setup) return <Setup />;
  return token ? <Setup token={token} /> : <Closed />;
}

function Closed() {
  const { search } = useLocation();
  return (
    <Page
      title="This instance is already set up"
      site={site}
      width="narrow"
      description="Accounts are created by an administrator of this instance. Ask one of them for yours, or sign in if you have one."
    >
      <Button component={Link} to={`/login${search}`}>
        Sign in
      </Button>
    </Page>
  );
}

type Field = keyof NewAdministrator;
const fields: Field[] = ["name", "username", "email", "password"];
type Problems = Partial<Record<Field, string | undefined>>;

/** The form of a new account: with a token, of who was invited, whose address the server knows. */
function Setup({ token }: { token?: string }) {
  const announce = useAnnounce();
  const client = useQueryClient();
  const [values, setValues] = useState<NewAdministrator>({ name: "", username: "", email: "", password: "" });
  const [ownUsername, setOwnUsername] = useState(false);
  const [problems, setProblems] = useState<Problems>({});
  const form = useRef<HTMLFormElement>(null);

  const show = (found: Problems) => {
    setProblems(found);
    const first = fields.find((field) => found[field]);
    if (first) form.current?.querySelector<HTMLInputElement>(`[name="${first}"]`)?.focus();
  };

  const create = useMutation({
    mutationFn: (account: NewAdministrator) =>
      token
        ? acceptInvitation({ token, name: account.name, username: account.username, password: account.password })
        : createAdministrator(account),
    onSuccess: async () => {
      announce("Account created. You are signed in.");
      await client.invalidateQueries(sessionQuery);
    },
    onError: async (error) => {
      if (!(error instanceof ApiError)) return;
      const field = fields.find((name) => name === error.field);
      if (field) show({ [field]: [error.message, error.hint].join(" ").trim() });
      if (error.status === 409 && !field) await client.invalidateQueries(sessionQuery);
    },
  });

  const change = (field: Field, value: string) => {
    setValues((before) => {
      const after = { ...before, [field]: value };
      if (field === "name" && !ownUsername) after.username = suggestUsername(value);
      return after;
    });
    if (field === "username") setOwnUsername(value !== "");
    setProblems((before) => ({ ...before, [field]: undefined }));
  };

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const trimmed = { ...values, name: values.name.trim(), username: values.username.trim(), email: values.email.trim() };
    const found = check(trimmed);
    if (token) delete found.email;
    show(found);
    if (Object.keys(found).length === 0) create.mutate(trimmed);
  };

  const input = (field: Field) => ({
    name: field,
    value: values[field],
    error: problems[field],
    required: true,
    withAsterisk: false,
    onChange: (event: { currentTarget: { value: string } }) => {
      change(field, event.currentTarget.value);
    },
  });
  const general = create.error && !(create.error instanceof ApiError && create.error.field) ? create.error : undefined;

  return (
    <Page
      title={token ? "Accept your invitation" : "Set up this instance"}
      site={site}
      width="narrow"
      description={
        token
          ? "Choose how you are called here. The account gets the email address that was invited."
          : "You are the first visitor. Create the administrator, who can also open the System Console."
      }
    >
      <Paper withBorder p="lg" radius="lg">
        <form ref={form} onSubmit={submit} noValidate aria-label={token ? "Create your account" : "Create the administrator"}>
          <Stack gap="md">
            {general && <ErrorNotice error={general} title="The account was not created" />}
            <TextInput label="Name" autoComplete="name" {...input("name")} />
            <TextInput
              label="Username"
              description="Part of the address of your projects"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              {...input("username")}
            />
            {!token && <TextInput label="Email" type="email" autoComplete="email" {...input("email")} />}
            <NewPassword owner={values} {...input("password")} />
            <Button type="submit" loading={create.isPending} fullWidth>
              {token ? "Create account" : "Create administrator"}
            </Button>
          </Stack>
        </form>
      </Paper>
    </Page>
  );
}

/** What can be seen to be wrong without asking the server, which checks again. */
function check(values: NewAdministrator): Problems {
  const found: Problems = {};
  if (values.name === "") found.name = "Enter your name.";
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(values.username)) {
    found.username =
      values.username === ""
        ? "Choose a username."
        : "Use letters, digits, hyphens and underscores, and begin with a letter or digit.";
  }
  if (!/^[^\s@]+@[^\s@]+$/.test(values.email)) {
    found.email = values.email === "" ? "Enter your email address." : "Enter an address such as name@example.com.";
  }
  if (passwordRules(values.password, values).some((rule) => !rule.met)) {
    found.password = values.password === "" ? "Choose a password." : "This password does not meet the rules below.";
  }
  return found;
}

/** "Ada Lovelace" → "ada-lovelace". */
function suggestUsername(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}
