import { Button, Text } from "@mantine/core";
import { TimeAgo } from "@kubewandb/ui";
import { useState } from "react";
import { type InstanceEvent } from "../api.ts";
import { Section } from "./section.tsx";
import { ToneIcon } from "./tone.tsx";
import classes from "./events.module.css";

/** How many events are shown before the reader asks for all. */
const few = 6;

export function EventList({ events }: { events: InstanceEvent[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? events : events.slice(0, few);
  return (
    <Section title="Recent events" id="events">
      {events.length === 0 ? (
        <Text size="sm" c="dimmed" px="lg" pb="md">
          Nothing happened lately. Kubernetes keeps events for about an hour.
        </Text>
      ) : (
        <ul className={classes.list}>
          {shown.map((event) => (
            <li key={`${event.object}/${event.reason}/${event.message}`} className={classes.row}>
              {event.type === "Warning" ? <ToneIcon tone="warn" size={16} label="Warning" /> : <span className={classes.dot} aria-hidden />}
              <div className={classes.body}>
                <div className={classes.head}>
                  <span className={classes.reason}>{event.reason}</span>
                  <span className={classes.meta}>
                    <TimeAgo time={event.time} missing="" />
                  </span>
                </div>
                <Text size="sm">{event.message}</Text>
                <Text size="xs" c="dimmed">
                  {event.object}
                </Text>
              </div>
            </li>
          ))}
        </ul>
      )}
      {events.length > few && (
        <div className={classes.more}>
          <Button
            variant="subtle"
            size="compact-sm"
            aria-expanded={all}
            onClick={() => {
              setAll(!all);
            }}
          >
            {all ? "Show fewer" : `Show all ${events.length}`}
          </Button>
        </div>
      )}
    </Section>
  );
}
