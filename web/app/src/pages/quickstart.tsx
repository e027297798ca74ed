import { Page } from "@kubewandb/ui";
import { Steps } from "../parts/steps.tsx";
import { site } from "../site.ts";

/** The steps to a first run, also for those who have made many. */
export function Quickstart() {
  return (
    <Page title="Quickstart" site={site} width="reading" description="Four steps from here to your first tracked run.">
      <Steps />
    </Page>
  );
}
