import { Skeleton } from "@mantine/core";
import { ErrorNotice } from "@kubewandb/ui";
import { type ReactNode, type RefObject } from "react";
import "./curves.css";
import classes from "./chart.module.css";

interface CardProps {
  title: string;
  /** What is waited for to be drawn. */
  element?: RefObject<HTMLElement | null>;
  loading: boolean;
  error?: Error | null;
  onRetry?: () => void;
  /** Nothing is there to draw. */
  empty: boolean;
  height?: number;
  children: ReactNode;
}

/** One chart with its title; a placeholder of the same height while its points are on their way. */
export function ChartCard({ title, element, loading, error, onRetry, empty, height = 190, children }: CardProps) {
  const content = () => {
    if (error) return <ErrorNotice error={error} title="These points could not be loaded" {...(onRetry ? { onRetry } : {})} />;
    if (loading) return <Skeleton height={height + 20} aria-label={`Loading ${title}`} role="img" />;
    if (empty) return <div className={classes.empty} style={{ height: height + 20 }}>No numbers logged yet</div>;
    return children;
  };
  return (
    <figure ref={element} className={classes.card} aria-label={title}>
      <figcaption className={classes.title} title={title}>
        {title}
      </figcaption>
      {content()}
    </figure>
  );
}

/** Lays charts out in as many columns as fit; dense ones are narrower, for beside a table. */
export function ChartGrid({ dense = false, children }: { dense?: boolean; children: ReactNode }) {
  return (
    <div className={classes.grid} data-dense={dense || undefined}>
      {children}
    </div>
  );
}
