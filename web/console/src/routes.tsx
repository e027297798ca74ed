import { Crash, Loading, NotFound } from "@kubewandb/ui";
import { Navigate, type RouteObject } from "react-router";
import { Frame } from "./frame.tsx";
import { OverviewPage } from "./overview/page.tsx";
import { site } from "./site.ts";

/** The editor is loaded when the settings are opened: it is larger than the rest of the console together. */
const settings = () => import("./settings/page.tsx");

export const routes: RouteObject[] = [
  {
    element: <Frame />,
    errorElement: <Crash />,
    hydrateFallbackElement: <Loading what={site} />,
    children: [
      { path: "/", element: <OverviewPage /> },
      { path: "/settings", lazy: async () => ({ Component: (await settings()).UserLayerPage }) },
      { path: "/settings/active", lazy: async () => ({ Component: (await settings()).ActivePage }) },
      // Where the settings stood in earlier consoles.
      { path: "/settings/advanced/spec/active", element: <Navigate to="/settings/active" replace /> },
      { path: "/settings/advanced/*", element: <Navigate to="/settings" replace /> },
      { path: "/login", element: <Navigate to="/" replace /> },
      { path: "*", element: <NotFound site={site} /> },
    ],
  },
];
