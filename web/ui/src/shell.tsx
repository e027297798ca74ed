import { Group } from "@mantine/core";
import { type ReactNode } from "react";
import { Link, NavLink } from "react-router";
import { Logo } from "./logo.tsx";
import classes from "./shell.module.css";

export interface NavigationEntry {
  to: string;
  label: string;
  /** Whether only the exact path counts as current. */
  end?: boolean;
}

interface ShellProps {
  /** Name of the site, beside the mark. */
  name: string;
  navigation?: NavigationEntry[];
  /** What stands at the right end of the bar. */
  controls?: ReactNode;
  banners?: ReactNode;
  footer?: ReactNode;
  children: ReactNode;
}

/** The frame of each page: a link past the bar, the bar, banners, the content and the foot. */
export function Shell({ name, navigation = [], controls, banners, footer, children }: ShellProps) {
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <header className={classes.bar}>
        <div className={classes.inner}>
          <Link to="/" className={classes.home} aria-label={`${name}: home`}>
            <Logo />
            <span className={classes.name}>{name}</span>
          </Link>
          {navigation.length > 0 && (
            <nav aria-label="Main" className={classes.navigation}>
              {navigation.map((entry) => (
                <NavLink key={entry.to} to={entry.to} end={entry.end ?? false} className={classes.link ?? ""}>
                  {entry.label}
                </NavLink>
              ))}
            </nav>
          )}
          <Group gap="xs" wrap="nowrap" className={classes.controls}>
            {controls}
          </Group>
        </div>
      </header>
      {banners}
      <main id="main" tabIndex={-1} className={classes.main}>
        {children}
      </main>
      {footer && <footer className={classes.footer}>{footer}</footer>}
    </div>
  );
}
