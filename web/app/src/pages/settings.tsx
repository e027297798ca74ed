import { Anchor, Badge, Paper, Stack, Text, Title } from "@mantine/core";
import { Page, SchemeControl } from "@kubewandb/ui";
import { Link } from "react-router";
import { useSession, useUser } from "../gates.tsx";
import { Details } from "../parts/details.tsx";
import { site } from "../site.ts";

export function Settings() {
  const user = useUser();
  const { host, version } = useSession();
  return (
    <Page title="Settings" site={site} width="reading">
      <Stack gap="lg">
        <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="profile">
          <Title order={2} id="profile" mb="md">
            Profile
          </Title>
          <Details
            rows={[
              ["Name", user.name],
              ["Username", user.username],
              ["Email", user.email],
              ["Role", user.admin ? <Badge variant="light">Administrator</Badge> : "Member"],
            ]}
          />
          <Text size="sm" c="dimmed" mt="md">
            Programs sign in with a key, never with your password: <Anchor component={Link} to="/authorize">API keys</Anchor>.
          </Text>
        </Paper>
        <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="appearance">
          <Title order={2} id="appearance">
            Appearance
          </Title>
          <Text size="sm" c="dimmed" mt={4} mb="md">
            Kept in this browser. “System” follows your device.
          </Text>
          <SchemeControl />
        </Paper>
        <Paper component="section" withBorder p="lg" radius="lg" aria-labelledby="instance">
          <Title order={2} id="instance" mb="md">
            This instance
          </Title>
          <Details
            rows={[
              ["Address", host || window.location.origin],
              ["Version", version],
            ]}
          />
        </Paper>
      </Stack>
    </Page>
  );
}
