import { Crash, Loading, NotFound } from "@kubewandb/ui";
import { Navigate, type RouteObject, useLocation, useParams } from "react-router";
import { Frame } from "./frame.tsx";
import { SignedIn, SignedOut } from "./gates.tsx";
import { Authorize } from "./pages/authorize.tsx";
import { Home } from "./pages/home.tsx";
import { Login } from "./pages/login.tsx";
import { Projects } from "./pages/projects.tsx";
import { Quickstart } from "./pages/quickstart.tsx";
import { Settings } from "./pages/settings.tsx";
import { Signup } from "./pages/signup.tsx";
import { paths } from "./paths.ts";
import { site } from "./site.ts";

/** Pages of a project. Their scripts are loaded when the first of them is opened. */
const project: RouteObject[] = [
  { index: true, lazy: async () => ({ Component: (await import("./runs/page.tsx")).Runs }) },
  { path: "workspace", element: <ToProject /> },
  { path: "table", element: <ToProject /> },
  { path: "runs", element: <ToProject /> },
  {
    path: "runs/:run",
    lazy: async () => ({ Component: (await import("./run/page.tsx")).Run }),
    children: [
      { index: true, lazy: async () => ({ Component: (await import("./run/charts.tsx")).Charts }) },
      { path: "workspace", element: <Navigate to=".." relative="path" replace /> },
      { path: "system", lazy: async () => ({ Component: (await import("./run/system.tsx")).System }) },
      { path: "overview", lazy: async () => ({ Component: (await import("./run/overview.tsx")).Overview }) },
      { path: "logs", lazy: async () => ({ Component: (await import("./run/console.tsx")).Console }) },
      { path: "files/*", lazy: async () => ({ Component: (await import("./run/files.tsx")).Files }) },
      { path: "artifacts", lazy: async () => ({ Component: (await import("./run/artifacts.tsx")).Artifacts }) },
    ],
  },
  { path: "settings", lazy: async () => ({ Component: (await import("./pages/project.tsx")).ProjectSettings }) },
  { path: "sweeps", lazy: async () => ({ Component: (await import("./sweep/list.tsx")).Sweeps }) },
  { path: "sweeps/:sweep", lazy: async () => ({ Component: (await import("./sweep/page.tsx")).SweepPage }) },
  { path: "artifacts", lazy: async () => ({ Component: (await import("./artifact/list.tsx")).Artifacts }) },
  { path: "artifacts/:type", lazy: async () => ({ Component: (await import("./artifact/list.tsx")).Artifacts }) },
  { path: "artifacts/:type/:collection", lazy: async () => ({ Component: (await import("./artifact/page.tsx")).ArtifactVersion }) },
  { path: "artifacts/:type/:collection/:version", lazy: async () => ({ Component: (await import("./artifact/page.tsx")).ArtifactVersion }) },
];

export const routes: RouteObject[] = [
  {
    element: <Frame />,
    errorElement: <Crash />,
    hydrateFallbackElement: <Loading what={site} />,
    children: [
      {
        element: <SignedOut />,
        children: [
          { path: "/login", element: <Login /> },
          { path: "/signup", element: <Signup /> },
        ],
      },
      {
        element: <SignedIn />,
        children: [
          { path: "/", element: <Home /> },
          { path: "/authorize", element: <Authorize /> },
          { path: "/settings", element: <Settings /> },
          { path: "/profile", element: <Navigate to="/settings" replace /> },
          { path: "/quickstart", element: <Quickstart /> },
          { path: "/:entity", element: <ToProjects /> },
          { path: "/:entity/projects", element: <Projects /> },
          { path: "/:entity/:project", children: project },
        ],
      },
      { path: "*", element: <NotFound site={site} /> },
    ],
  },
];

/** Other names of a project's page, which the client and older links use. */
function ToProject() {
  const { entity = "", project = "" } = useParams();
  const { search } = useLocation();
  return <Navigate to={paths.project(entity, project) + search} replace />;
}

function ToProjects() {
  const { entity = "" } = useParams();
  return <Navigate to={paths.projects(entity)} replace />;
}
