import { CopyIcon, ErrorNotice, Loading, Page } from "@kubewandb/ui";
import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode } from "react";
import { NavLink } from "react-router";
import { type Spec, specQuery } from "../api.ts";
import { site } from "../site.ts";
import { UserLayer } from "./userlayer.tsx";
import { YamlEditor } from "./yaml.tsx";
import classes from "./page.module.css";

/** The layer of the specification that is edited here. */
export function UserLayerPage() {
  return <SettingsPage>{(spec) => <UserLayer spec={spec} />}</SettingsPage>;
}

/** The specification that was applied last, from all layers. */
export function ActivePage() {
  return (
    <SettingsPage>
      {(spec) =>
        spec.active.trim() === "" ? (
          <Text c="dimmed">Nothing has been applied yet. The specification appears here with the first release.</Text>
        ) : (
          <Stack gap="sm">
            <Group justify="space-between" wrap="nowrap" align="flex-start">
              <Text c="dimmed" size="sm">
                All layers together, as applied last: operator defaults, release channel, user layer, custom resource. Secrets are masked.
              </Text>
              <CopyIcon value={spec.active} what="active specification" />
            </Group>
            <YamlEditor label="Active specification" text={spec.active} />
          </Stack>
        )
      }
    </SettingsPage>
  );
}

function SettingsPage({ children }: { children: (spec: Spec) => ReactNode }) {
  const spec = useQuery(specQuery);
  return (
    <Page title="Settings" site={site}>
      <nav aria-label="Settings" className={classes.tabs}>
        <NavLink to="/settings" end className={classes.tab ?? ""}>
          User layer
        </NavLink>
        <NavLink to="/settings/active" className={classes.tab ?? ""}>
          Active specification
        </NavLink>
      </nav>
      {spec.data ? (
        children(spec.data)
      ) : spec.error ? (
        <ErrorNotice error={spec.error} title="The settings could not be read" onRetry={() => void spec.refetch()} />
      ) : (
        <Loading what="the settings" />
      )}
    </Page>
  );
}
