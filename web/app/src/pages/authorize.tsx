import { Anchor, Paper, Stack, Text, Title } from "@mantine/core";
import { Command, Page } from "@kubewandb/ui";
import { Link } from "react-router";
import { useSession } from "../gates.tsx";
import { KeyList } from "../keys/list.tsx";
import { NewKeyForm } from "../keys/create.tsx";
import { loginCommand } from "../quickstart.ts";
import { site } from "../site.ts";

/** Where `wandb login` sends people: create a key, see it once, and revoke old ones. */
export function Authorize() {
  const { host } = useSession();
  return (
    <Page
      title="API keys"
      site={site}
      width="reading"
      description="A key lets a program act as you. Give each machine its own, so that you can revoke one without the others."
    >
      <Stack gap="xl">
        <NewKeyForm />
        <section aria-labelledby="use">
          <Title order={2} id="use" mb={4}>
            Use a key
          </Title>
          <Text size="sm" c="dimmed" mb="sm">
            Run this where you train, and paste the key when it asks. New here? <Anchor component={Link} to="/">See all the steps</Anchor>.
          </Text>
          <Command value={loginCommand(host)} what="login command" prompt />
        </section>
        <Paper component="section" withBorder radius="lg" aria-labelledby="keys">
          <Title order={2} id="keys" p="lg" pb="sm">
            Your keys
          </Title>
          <KeyList />
        </Paper>
      </Stack>
    </Page>
  );
}
