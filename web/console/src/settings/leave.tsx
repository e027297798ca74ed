import { Button, Group, Stack, Text } from "@mantine/core";
import { Dialog } from "@kubewandb/ui";
import { useEffect } from "react";
import { useBlocker } from "react-router";

/** Asks before a page with unsaved changes is left. */
export function LeaveGuard({ active }: { active: boolean }) {
  const blocker = useBlocker(({ currentLocation, nextLocation }) => active && currentLocation.pathname !== nextLocation.pathname);
  useEffect(() => {
    if (!active) return;
    const ask = (event: BeforeUnloadEvent) => {
      event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
    };
  }, [active]);
  const stay = () => {
    blocker.reset?.();
  };
  return (
    <Dialog opened={blocker.state === "blocked"} onClose={stay} title="Leave without saving?">
      <Stack gap="md">
        <Text size="sm">Your changes to the user layer are not saved.</Text>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={stay} data-autofocus>
            Stay
          </Button>
          <Button color="red" onClick={() => blocker.proceed?.()}>
            Leave and lose them
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
