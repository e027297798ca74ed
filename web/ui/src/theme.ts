import { Anchor, Badge, type CSSVariablesResolver, type MantineColorsTuple, createTheme, defaultVariantColorsResolver } from "@mantine/core";

const brand: MantineColorsTuple = [
  "#eff1fc",
  "#dde1f7",
  "#b9c1ee",
  "#97a4ec",
  "#7e8ee8",
  "#5669dd",
  "#4a5cd3",
  "#3d4dbd",
  "#3241a3",
  "#26307a",
];

// Cool greys in place of the library's neutral ones: from text (0) over borders (4) to the canvas (8).
const dark: MantineColorsTuple = [
  "#d7dbe5",
  "#b9c0cd",
  "#98a1b3",
  "#6f788c",
  "#384053",
  "#2b3242",
  "#222836",
  "#1a1f2b",
  "#12161f",
  "#0c0f16",
];

/** Text on a light tint of a colour. */
const inks: Record<string, string> = {
  brand: "#26307a",
  blue: "#134a86",
  green: "#1d632c",
  yellow: "#744000",
  red: "#a01818",
};

export const theme = createTheme({
  colors: { brand, dark },
  primaryColor: "brand",
  primaryShade: { light: 6, dark: 5 },
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily: "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
  headings: {
    fontWeight: "650",
    sizes: {
      h1: { fontSize: "1.625rem", lineHeight: "1.25" },
      h2: { fontSize: "1.125rem", lineHeight: "1.35" },
      h3: { fontSize: "1rem", lineHeight: "1.4" },
    },
  },
  components: {
    Badge: Badge.extend({ styles: { root: { textTransform: "none", fontWeight: 600 } } }),
    // Links stand in running text, where colour alone does not tell them apart.
    Anchor: Anchor.extend({ defaultProps: { underline: "always" } }),
  },
  // The library's text on tinted and filled backgrounds misses 4.5 : 1 for some colours.
  variantColorResolver: (input) => {
    const colors = defaultVariantColorsResolver(input);
    const name = input.color ?? input.theme.primaryColor;
    const ink = inks[name];
    if (input.variant === "light" && ink) {
      return {
        ...colors,
        background: `light-dark(var(--mantine-color-${name}-0), color-mix(in srgb, var(--mantine-color-${name}-7) 22%, var(--surface)))`,
        color: `light-dark(${ink}, var(--mantine-color-${name}-2))`,
        border: `1px solid light-dark(var(--mantine-color-${name}-2), color-mix(in srgb, var(--mantine-color-${name}-7) 45%, var(--surface)))`,
      };
    }
    if (input.variant === "subtle" && ink) return { ...colors, color: `light-dark(${ink}, var(--mantine-color-${name}-4))` };
    if (input.variant === "filled" && name === "red") {
      return { ...colors, background: "var(--mantine-color-red-9)", hover: "#b02525" };
    }
    return colors;
  },
});

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--canvas": "#f6f7f9",
    "--surface": "#ffffff",
    "--surface-sunken": "#f1f3f6",
    "--line": "#e0e4ea",
    "--focus-ring": "var(--mantine-color-brand-6)",
    "--mantine-color-dimmed": "#5a6375",
    "--mantine-color-placeholder": "#6d7687",
    "--mantine-color-text": "#1b2130",
    "--mantine-color-anchor": "var(--mantine-color-brand-7)",
    "--mantine-color-error": "#c92a2a",
    "--mantine-color-default-border": "#cfd5de",
    "--good": "#2b8a3e",
    "--busy": "#1971c2",
    "--warn": "#c76a05",
    "--bad": "#c92a2a",
    "--idle": "#6d7687",
  },
  dark: {
    "--canvas": "var(--mantine-color-dark-8)",
    "--surface": "var(--mantine-color-dark-7)",
    "--surface-sunken": "var(--mantine-color-dark-9)",
    "--line": "var(--mantine-color-dark-5)",
    "--focus-ring": "var(--mantine-color-brand-3)",
    "--mantine-color-body": "var(--mantine-color-dark-7)",
    "--mantine-color-dimmed": "var(--mantine-color-dark-2)",
    "--mantine-color-placeholder": "#8690a3",
    "--mantine-color-text": "#dfe3ec",
    "--mantine-color-anchor": "var(--mantine-color-brand-3)",
    "--mantine-color-error": "#ff8787",
    "--good": "#51cf66",
    "--busy": "#4dabf7",
    "--warn": "#fcb040",
    "--bad": "#ff7b7b",
    "--idle": "#98a1b3",
  },
});
