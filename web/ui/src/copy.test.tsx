import { screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { open } from "../../tools/testing.tsx";
import { Command } from "./command.tsx";

const page = [{ path: "/", element: <Command value="pip install wandb" what="install command" prompt /> }];

test("a command is copied without its prompt, and that is said aloud", async () => {
  const { user } = open(page, "/");
  await user.click(screen.getByRole("button", { name: "Copy install command" }));
  expect(await navigator.clipboard.readText()).toBe("pip install wandb");
  expect(await screen.findByText("Copied install command.")).toBeInTheDocument();
});

test("without TLS the text is copied by selection", async () => {
  const { user } = open(page, "/");
  vi.spyOn(navigator, "clipboard", "get").mockReturnValue(undefined as unknown as Clipboard);
  let selected = "";
  Object.defineProperty(document, "execCommand", {
    configurable: true,
    value: () => {
      selected = (document.activeElement as HTMLTextAreaElement).value;
      return true;
    },
  });
  await user.click(screen.getByRole("button", { name: "Copy install command" }));
  expect(selected).toBe("pip install wandb");
  expect(await screen.findByText("Copied install command.")).toBeInTheDocument();
  expect(document.querySelector("textarea")).toBeNull();
});

test("a copy that the browser refuses says to copy by hand", async () => {
  const { user } = open(page, "/");
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("refused"));
  Object.defineProperty(document, "execCommand", { configurable: true, value: () => false });
  await user.click(screen.getByRole("button", { name: "Copy install command" }));
  expect(await screen.findByText(/could not be copied. Select it/)).toBeInTheDocument();
});
