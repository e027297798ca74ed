import { Alert, Stack } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useState } from "react";
import classes from "./banners.module.css";

/** A notice that the operators of an instance show to everybody, as the chart's value `banners` defines it. */
export interface Banner {
  type?: "info" | "warning" | "error";
  heading?: string;
  message: string;
  dismissable?: boolean;
}

/** Notices by name; a closed one stays closed in this browser until its text changes. */
export type Banners = Record<string, Banner>;

export function BannerList({ banners }: { banners: Banners | undefined }) {
  const [closed, setClosed] = useState(readClosed);
  const shown = Object.entries(banners ?? {}).filter(([name, banner]) => !closed.includes(fingerprint(name, banner)));
  if (shown.length === 0) return null;
  const close = (name: string, banner: Banner) => {
    const next = [...closed, fingerprint(name, banner)];
    setClosed(next);
    writeClosed(next);
  };
  return (
    <Stack gap="xs" className={classes.list} role="region" aria-label="Notices">
      {shown.map(([name, banner]) => (
        <Alert
          key={name}
          variant="light"
          color={banner.type === "error" ? "red" : banner.type === "warning" ? "yellow" : "blue"}
          icon={banner.type === "error" || banner.type === "warning" ? <IconAlertTriangle aria-hidden /> : <IconInfoCircle aria-hidden />}
          title={banner.heading}
          role="note"
          withCloseButton={banner.dismissable ?? false}
          closeButtonLabel={`Close notice${banner.heading ? ` “${banner.heading}”` : ""}`}
          onClose={() => {
            close(name, banner);
          }}
        >
          {banner.message}
        </Alert>
      ))}
    </Stack>
  );
}

const storageKey = "closed-banners";

function fingerprint(name: string, banner: Banner): string {
  return `${name}:${banner.heading ?? ""}:${banner.message}`;
}

function readClosed(): string[] {
  try {
    const stored: unknown = JSON.parse(window.localStorage.getItem(storageKey) ?? "[]");
    return Array.isArray(stored) ? stored.filter((entry): entry is string => typeof entry === "string") : [];
  } catch {
    return [];
  }
}

function writeClosed(closed: string[]) {
  try {
    window.localStorage.setItem(storageKey, JSON.stringify(closed.slice(-50)));
  } catch {
    // Storage is switched off: the notice comes back with the next visit.
  }
}
