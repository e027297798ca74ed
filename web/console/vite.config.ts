import { defineConfig } from "vite";
import { consoleMock } from "../tools/mock/console.ts";
import { pages } from "../tools/pages.ts";

export default defineConfig(pages("console", { port: 5174, mock: consoleMock }));
