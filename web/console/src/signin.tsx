import { Anchor, Button, Divider, Paper, PasswordInput, Stack, Text } from "@mantine/core";
import { Command, ErrorNotice, Page, useAnnounce } from "@kubewandb/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useRef, useState } from "react";
import { type Session, sessionQuery, signIn } from "./api.ts";
import { site } from "./site.ts";

export function SignInPage({ session }: { session: Session }) {
  return (
    <Page
      title="Sign in"
      site={site}
      width="narrow"
      description={
        <>
          Instance <strong>{session.instance}</strong> in namespace <strong>{session.namespace}</strong>
        </>
      }
    >
      <Paper withBorder p="lg" radius="lg">
        <SignInForm session={session} />
        <Divider my="lg" />
        <Stack gap="xs">
          <Text size="sm">The password is in a Secret of the cluster. To read it:</Text>
          <Command value={passwordCommand(session)} what="command" />
        </Stack>
      </Paper>
      <Text size="sm" c="dimmed" mt="md">
        Administrators of the application need no password:{" "}
        {session.application ? <Anchor href={session.application}>sign in to W&amp;B Server</Anchor> : "sign in to W&B Server"}, then come
        back. The password is for when the application is down.
      </Text>
    </Page>
  );
}

export function SignInForm({ session }: { session: Session }) {
  const announce = useAnnounce();
  const client = useQueryClient();
  const [password, setPassword] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const enter = useMutation({
    mutationFn: signIn,
    onSuccess: async () => {
      announce("Signed in.");
      await client.invalidateQueries(sessionQuery);
    },
    onError: () => {
      setPassword("");
      input.current?.focus();
    },
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    enter.mutate(password.trim());
  };
  return (
    <form onSubmit={submit} aria-label="Sign in">
      <Stack gap="md">
        {enter.error && <ErrorNotice error={enter.error} />}
        {/* Lets password managers tell instances apart. */}
        <input type="text" name="username" autoComplete="username" value={`${session.namespace}/${session.instance}`} readOnly hidden />
        <PasswordInput
          ref={input}
          label="Password"
          name="password"
          value={password}
          autoComplete="current-password"
          required
          withAsterisk={false}
          data-autofocus
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
  );
}

/** What prints the console's password; the namespace is named only where kubectl's own default may differ. */
export function passwordCommand({ instance, namespace }: Session): string {
  const where = namespace === "" || namespace === "default" ? "" : ` -n ${namespace}`;
  return `kubectl get secret ${instance}-password${where} -o jsonpath='{.data.password}' | base64 -d`;
}
