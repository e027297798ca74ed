import "@kubewandb/ui/styles";
import { Provider, basePath } from "@kubewandb/ui";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider, createBrowserRouter } from "react-router";
import { newConsoleClient } from "./client.ts";
import { routes } from "./routes.tsx";

const root = document.getElementById("root");
if (root) {
  const router = createBrowserRouter(routes, { basename: basePath() || "/" });
  createRoot(root).render(
    <StrictMode>
      <Provider client={newConsoleClient()}>
        <RouterProvider router={router} />
      </Provider>
    </StrictMode>,
  );
}
