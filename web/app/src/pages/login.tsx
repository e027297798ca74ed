import { Button, Divider, Paper, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { ApiError, ErrorNotice, Page, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useRef, useState } from "react";
import { Navigate, useLocation } from "react-router";
import { sessionQuery, signIn } from "../api.ts";
import { useSession } from "../gates.tsx";
import { nextPath } from "../next.ts";
import { site } from "../site.ts";

export function Login() {
  const { setup, host, sso } = useSession();
  const { search } = useLocation();
  const announce = useAnnounce();
  const client = useQueryClient();
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const passwordInput = useRef<HTMLInputElement>(null);

  const enter = useMutation({
    mutationFn: signIn,
    onSuccess: async () => {
      announce("Signed in.");
      await client.invalidateQueries(sessionQuery);
    },
    onError: () => {
      setPassword("");
      passwordInput.current?.focus();
    },
  });

  if (setup) return <Navigate to={`/signup${search}`} replace />;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    enter.mutate({ login: login.trim(), password });
  };
  const refusal = enter.isIdle ? signOnRefusal(search) : undefined;
  return (
    <Page title="Sign in" site={site} width="narrow" description={hostName(host)}>
      <Paper withBorder p="lg" radius="lg">
        {refusal && <ErrorNotice error={refusal} title="You are not signed in" />}
        {sso && (
          <>
            {/* A link, since the provider is another site. */}
            <Button component="a" href={`/oidc/login?next=${encodeURIComponent(nextPath(search))}`} fullWidth mt={refusal ? "md" : 0}>
              Sign in with single sign-on
            </Button>
            <Divider my="md" label="or with a password" />
          </>
        )}
        <form onSubmit={submit} aria-label="Sign in">
          <Stack gap="md">
            {enter.error && <ErrorNotice error={enter.error} />}
            <TextInput
              label="Username or email"
              name="login"
              value={login}
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              withAsterisk={false}
              data-autofocus
              onChange={(event) => {
                setLogin(event.currentTarget.value);
              }}
            />
            <PasswordInput
              ref={passwordInput}
              label="Password"
              name="password"
              value={password}
              autoComplete="current-password"
              required
              withAsterisk={false}
              visibilityToggleButtonProps={{ "aria-label": "Show or hide the password", tabIndex: 0 }}
              onChange={(event) => {
                setPassword(event.currentTarget.value);
              }}
            />
            <Button type="submit" loading={enter.isPending} fullWidth variant={sso ? "default" : "filled"}>
              Sign in
            </Button>
          </Stack>
        </form>
      </Paper>
      <Text size="sm" c="dimmed" mt="md">
        No account, or no password? Ask an administrator of this instance.
      </Text>
    </Page>
  );
}

/** What the server says when it leads back from the identity provider without a session. */
function signOnRefusal(search: string): ApiError | undefined {
  switch (new URLSearchParams(search).get("sso")) {
    case "unavailable":
      return new ApiError("The identity provider does not answer.", { hint: "Try again in a moment, or sign in with a password." });
    case "account":
      return new ApiError("No account here belongs to your identity.", { hint: "Ask an administrator of this instance for one." });
    case "refused":
      return new ApiError("The sign-on was not completed.", { hint: "Try again. It must end within ten minutes, in the same browser." });
  }
  return undefined;
}

function hostName(host: string): string {
  try {
    return new URL(host).host;
  } catch {
    return window.location.host;
  }
}
