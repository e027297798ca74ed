import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "https://wandb.example.test/" } },
    include: ["{ui,app,console,tools}/**/*.test.{ts,tsx}"],
    setupFiles: ["tools/vitest-setup.ts"],
    reporters: ["default", "./tools/counts-reporter.ts"],
    css: false,
    maxWorkers: 2,
    testTimeout: 180_000,
    restoreMocks: true,
  },
});
