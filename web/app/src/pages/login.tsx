import { Button, Paper, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { ErrorNotice, Page, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useRef, useState } from "react";
import { Navigate, useLocation } from "react-router";
import { sessionQuery, signIn } from "../api.ts";
import { useSession } from "../gates.tsx";
import { site } from "../site.ts";

export function Login() {
  const { setup, host } = useSession();
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
  return (
    <Page title="Sign in" site={site} width="narrow" description={hostName(host)}>
      <Paper withBorder p="lg" radius="lg">
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
            <Button type="submit" loading={enter.isPending} fullWidth>
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

function hostName(host: string): string {
  try {
    return new URL(host).host;
  } catch {
    return window.location.host;
  }
}
