import { screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { expectAccessible, open } from "../../tools/testing.tsx";
import { BannerList, type Banners } from "./banners.tsx";

const page = (banners: Banners | undefined) => [{ path: "/", element: <main><h1>Page</h1><BannerList banners={banners} /></main> }];
const sunday: Banners = { sunday: { type: "warning", heading: "Maintenance", message: "On Sunday.", dismissable: true } };

test("a closed notice stays closed until its text changes", async () => {
  const first = open(page(sunday), "/");
  await expectAccessible();
  await first.user.click(screen.getByRole("button", { name: /Close notice/ }));
  expect(screen.queryByText("On Sunday.")).toBeNull();
  first.unmount();

  const second = open(page(sunday), "/");
  expect(screen.queryByText("On Sunday.")).toBeNull();
  second.unmount();

  open(page({ sunday: { heading: "Maintenance", message: "On Monday.", dismissable: true } }), "/");
  expect(screen.getByText("On Monday.")).toBeInTheDocument();
});

test("a notice that may not be closed has no button", () => {
  open(page({ licence: { type: "error", message: "The licence ends soon." } }), "/");
  expect(screen.getByText("The licence ends soon.")).toBeInTheDocument();
  expect(screen.queryByRole("button")).toBeNull();
});

test("no notices take no room", () => {
  open(page(undefined), "/");
  expect(screen.queryByRole("region")).toBeNull();
});
