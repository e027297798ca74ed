import { Alert, List, Text } from "@mantine/core";
import { IconStack2 } from "@tabler/icons-react";
import { type Shadowed } from "../api.ts";
import classes from "./shadowed.module.css";

/** The settings of the user layer that have no effect, since a higher layer sets them too. */
export function ShadowedList({ shadowed }: { shadowed: Shadowed[] }) {
  if (shadowed.length === 0) return null;
  const count = shadowed.length === 1 ? "One setting here has" : `${shadowed.length} settings here have`;
  return (
    <Alert color="yellow" variant="light" icon={<IconStack2 aria-hidden />} title={`${count} no effect`} role="note">
      <List size="sm" spacing={2} className={classes.list}>
        {shadowed.map(({ path, by }) => (
          <List.Item key={path}>
            <code>{path}</code>: set in {by === "resource" ? "the custom resource" : by}, which wins
          </List.Item>
        ))}
      </List>
      <Text size="sm" mt={6}>
        To change them, edit the custom resource or remove them there.
      </Text>
    </Alert>
  );
}
