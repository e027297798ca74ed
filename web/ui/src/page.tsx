import { Box, Center, Group, Loader, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { useLocation } from "react-router";
import classes from "./page.module.css";

interface PageProps {
  title: string;
  /** Name of the site, behind the title in the browser's tab. */
  site: string;
  description?: ReactNode;
  actions?: ReactNode;
  /** "full" takes the whole screen: tables beside charts. */
  width?: "narrow" | "reading" | "wide" | "full";
  /** What stands above the heading: where the page is. */
  above?: ReactNode;
  /** What the heading shows where it is more than the title. */
  heading?: ReactNode;
  children?: ReactNode;
}

/** One page: its heading, which takes the focus when the reader arrives by a link, and the title of the browser's tab. */
export function Page({ title, site, description, actions, width = "wide", above, heading: shown, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { key } = useLocation();
  useEffect(() => {
    // "default" is the first page of a visit, where the browser's own starting point is right.
    if (key !== "default" && !document.activeElement?.closest("[data-keeps-focus]")) heading.current?.focus();
  }, [key]);
  return (
    <Box className={classes.page} data-width={width}>
      <title>{`${title} · ${site}`}</title>
      {above}
      <Group justify="space-between" align="flex-start" gap="md" className={classes.head}>
        <div>
          <Title order={1} ref={heading} tabIndex={-1}>
            {shown ?? title}
          </Title>
          {description && (
            <Text c="dimmed" mt={6} component="div">
              {description}
            </Text>
          )}
        </div>
        {actions}
      </Group>
      {children}
    </Box>
  );
}

/** A wait for the first answer; says what is awaited. */
export function Loading({ what }: { what: string }) {
  return (
    <Center py={80} role="status">
      <Group gap="sm">
        <Loader size="sm" aria-hidden />
        <Text c="dimmed">Loading {what}…</Text>
      </Group>
    </Center>
  );
}
