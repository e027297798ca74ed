import "@kubewandb/ui/styles";
import { Provider } from "@kubewandb/ui";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RouterProvider, createBrowserRouter } from "react-router";
import { routes } from "./routes.tsx";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Provider>
        <RouterProvider router={createBrowserRouter(routes)} />
      </Provider>
    </StrictMode>,
  );
}
