import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { useAnnounce } from "./announcer.tsx";

interface CopyProps {
  value: string;
  /** What is copied, for screen readers: "command". */
  what: string;
}

/** An icon that copies a text. */
export function CopyIcon({ value, what }: CopyProps) {
  const { copied, copy } = useCopy(value, what);
  return (
    <Tooltip label={copied ? "Copied" : "Copy"} position="left">
      <ActionIcon variant="subtle" color={copied ? "green" : "gray"} size="lg" aria-label={`Copy ${what}`} onClick={copy}>
        {copied ? <IconCheck size={18} aria-hidden /> : <IconCopy size={18} aria-hidden />}
      </ActionIcon>
    </Tooltip>
  );
}

/** A button that copies a text. */
export function CopyButton({ value, what }: CopyProps) {
  const { copied, copy } = useCopy(value, what);
  return (
    <Button leftSection={copied ? <IconCheck size={18} aria-hidden /> : <IconCopy size={18} aria-hidden />} onClick={copy}>
      {copied ? "Copied" : `Copy ${what}`}
    </Button>
  );
}

function useCopy(value: string, what: string) {
  const announce = useAnnounce();
  const [copied, setCopied] = useState(false);
  const timer = useRef<number>(undefined);
  useEffect(
    () => () => {
      window.clearTimeout(timer.current);
    },
    [],
  );
  const copy = async () => {
    if (!(await writeClipboard(value))) {
      announce(`The ${what} could not be copied. Select it and copy it by hand.`);
      return;
    }
    announce(`Copied ${what}.`);
    setCopied(true);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      setCopied(false);
    }, 2_000);
  };
  return { copied, copy };
}

/** Copies a text; browsers offer the clipboard to pages behind TLS only, so a plain page falls back to a selection. */
async function writeClipboard(text: string): Promise<boolean> {
  // Absent without TLS, whatever the type says.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  try {
    if (clipboard) {
      await clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused, for example in a frame: the selection below may still work.
  }
  return copySelection(text);
}

function copySelection(text: string): boolean {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.setAttribute("aria-hidden", "true");
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.focus();
  area.select();
  try {
    // Deprecated, and still the only way without TLS.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}
