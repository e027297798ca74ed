import { Button } from "@mantine/core";
import { Link, useLocation } from "react-router";
import { Page } from "./page.tsx";

/** What a path without a page shows. */
export function NotFound({ site }: { site: string }) {
  const { pathname } = useLocation();
  return (
    <Page
      title="There is no such page"
      site={site}
      width="reading"
      description={
        <>
          Nothing lives at <code>{pathname}</code>. The address may be mistyped, or what it led to was removed.
        </>
      }
    >
      <Button component={Link} to="/">
        Go to the start page
      </Button>
    </Page>
  );
}
