import { Anchor, Text } from "@mantine/core";
import { Page } from "@kubewandb/ui";
import { Link } from "react-router";
import { site } from "../site.ts";

interface MissingProps {
  /** "run", "project". */
  what: string;
  name: string;
  /** Where to look instead. */
  to: string;
  label: string;
}

/** Says that something does not exist, or may not be seen, which the server tells nobody apart. */
export function Missing({ what, name, to, label }: MissingProps) {
  return (
    <Page
      title={`There is no such ${what}`}
      site={site}
      width="reading"
      description={
        <>
          No {what} is called <code>{name}</code> here, or you may not see it. It may have been renamed or deleted.
        </>
      }
    >
      <Text>
        Check the address, ask the owner for access, or go to{" "}
        <Anchor component={Link} to={to}>
          {label}
        </Anchor>
        .
      </Text>
    </Page>
  );
}
