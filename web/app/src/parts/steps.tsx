import { Anchor, Stack, Text, Title } from "@mantine/core";
import { Command } from "@kubewandb/ui";
import { type ReactNode } from "react";
import { Link } from "react-router";
import { useSession } from "../gates.tsx";
import { loginCommand } from "../quickstart.ts";
import classes from "./steps.module.css";

const script = `import random

import wandb

with wandb.init(project="quickstart", config={"epochs": 20, "rate": 0.02}) as run:
    for epoch in range(run.config.epochs):
        loss = 2 ** -epoch + random.random() / (epoch + 2)
        run.log({"epoch": epoch, "loss": loss, "accuracy": 1 - loss / 2})
`;

/** From nothing to a first run. */
export function Steps() {
  const { host } = useSession();
  return (
    <ol className={classes.steps}>
      <Step number={1} title="Install the client">
        <Command value="pip install wandb" what="install command" prompt />
      </Step>
      <Step number={2} title="Sign in from your machine">
        <Text size="sm" c="dimmed">
          It asks for an API key: <Anchor component={Link} to="/authorize">create one here</Anchor>.
        </Text>
        <Command value={loginCommand(host)} what="login command" prompt />
      </Step>
      <Step number={3} title="Log a run">
        <Text size="sm" c="dimmed">
          Save this as <code>train.py</code>, then run <code>python train.py</code>. It trains nothing and logs two curves.
        </Text>
        <Command value={script} what="script" />
      </Step>
      <Step number={4} title="Check the installation">
        <Text size="sm" c="dimmed">
          Tries uploads, downloads, metrics and artifacts against this server.
        </Text>
        <Command value="wandb verify" what="verify command" prompt />
      </Step>
    </ol>
  );
}

function Step({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <li className={classes.step}>
      <span className={classes.number} aria-hidden>
        {number}
      </span>
      <Stack gap="xs" miw={0}>
        <Title order={2} className={classes.title ?? ""}>
          {title}
        </Title>
        {children}
      </Stack>
    </li>
  );
}
