import { VisuallyHidden } from "@mantine/core";
import { type ReactNode, createContext, useCallback, useContext, useState } from "react";

const Context = createContext<(text: string) => void>(() => undefined);

/** Returns a function that has screen readers say a text when they next pause. */
export function useAnnounce(): (text: string) => void {
  return useContext(Context);
}

/** Holds the one polite live region of the page. */
export function AnnouncerProvider({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState({ text: "", turn: 0 });
  const announce = useCallback((text: string) => {
    setSaid((before) => ({ text, turn: before.turn + 1 }));
  }, []);
  return (
    <Context value={announce}>
      {children}
      <VisuallyHidden role="status" aria-live="polite">
        {/* A changed key makes the same text be said twice. */}
        <span key={said.turn}>{said.text}</span>
      </VisuallyHidden>
    </Context>
  );
}
