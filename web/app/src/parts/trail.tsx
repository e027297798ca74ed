import { IconChevronRight } from "@tabler/icons-react";
import { Link, NavLink } from "react-router";
import { useEmbedded } from "./embedded.ts";
import classes from "./trail.module.css";

export interface Step {
  label: string;
  to: string;
}

/** Where a page is: links to what it lies in. */
export function Trail({ steps }: { steps: Step[] }) {
  const embedded = useEmbedded();
  if (embedded) return null;
  return (
    <nav aria-label="Breadcrumb">
      <ol className={classes.trail}>
        {steps.map((step, index) => (
          <li key={step.to}>
            {index > 0 && <IconChevronRight size={14} aria-hidden />}
            <Link to={step.to}>{step.label}</Link>
          </li>
        ))}
      </ol>
    </nav>
  );
}

export interface Tab {
  to: string;
  label: string;
  end?: boolean;
  /** How many things the tab holds. */
  count?: number | undefined;
}

/** Links between the pages of one thing. */
export function Tabs({ label, tabs }: { label: string; tabs: Tab[] }) {
  return (
    <nav aria-label={label} className={classes.tabs}>
      {tabs.map((tab) => (
        <NavLink key={tab.to} to={tab.to} end={tab.end ?? false} className={classes.tab ?? ""}>
          {tab.label}
          {tab.count !== undefined && <span className={classes.count}>{tab.count}</span>}
        </NavLink>
      ))}
    </nav>
  );
}
