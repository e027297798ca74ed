import { Button } from "@mantine/core";
import { useRouteError } from "react-router";
import { ErrorNotice } from "./notice.tsx";
import classes from "./page.module.css";

/** What a page that failed to render or to load shows, for example after an update replaced its scripts. */
export function Crash() {
  const error = useRouteError();
  return (
    <main className={classes.page} data-width="reading">
      <title>Page failed</title>
      <h1>This page failed</h1>
      <ErrorNotice error={error} title="It could not be shown" />
      <Button
        mt="md"
        onClick={() => {
          window.location.reload();
        }}
      >
        Reload
      </Button>
    </main>
  );
}
