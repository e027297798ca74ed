import { defineConfig } from "vite";
import { applicationMock } from "../tools/mock/application.ts";
import { pages } from "../tools/pages.ts";

export default defineConfig(pages("app", { port: 5173, mock: applicationMock }));
