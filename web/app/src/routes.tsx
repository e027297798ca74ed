import { Crash, NotFound } from "@kubewandb/ui";
import { type RouteObject } from "react-router";
import { Frame } from "./frame.tsx";
import { SignedIn, SignedOut } from "./gates.tsx";
import { Authorize } from "./pages/authorize.tsx";
import { Home } from "./pages/home.tsx";
import { Login } from "./pages/login.tsx";
import { Settings } from "./pages/settings.tsx";
import { Signup } from "./pages/signup.tsx";
import { site } from "./site.ts";

export const routes: RouteObject[] = [
  {
    element: <Frame />,
    errorElement: <Crash />,
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
        ],
      },
      { path: "*", element: <NotFound site={site} /> },
    ],
  },
];
