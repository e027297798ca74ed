import Anser from "anser";

/** A part of a line in one look. */
export interface Piece {
  text: string;
  /** Names of colours and looks, as "fg-red bold"; the style sheet knows them in both colour schemes. */
  classes: string;
  style: { color?: string; backgroundColor?: string } | undefined;
}

const escape = String.fromCharCode(27);

/** Splits a line by the colours that a terminal would show. What is no colour, such as moves of the cursor, is left out. */
export function pieces(line: string): Piece[] {
  if (!line.includes(escape)) return [{ text: line, classes: "", style: undefined }];
  return Anser.ansiToJson(line, { use_classes: true, json: true, remove_empty: true }).map((part) => {
    const inverted = part.decorations.includes("reverse");
    const [front, back] = inverted ? [part.bg, part.fg] : [part.fg, part.bg];
    const classes = [named("fg", front), named("bg", back), ...part.decorations].filter((name) => name !== "").join(" ");
    return { text: part.content, classes, style: styleOf(front, back, part) };
  });
}

/** One of the sixteen names; others have a colour of their own. */
function named(kind: "fg" | "bg", color: string | null): string {
  const name = /^ansi-(?:bright-)?(black|red|green|yellow|blue|magenta|cyan|white)$/.exec(color ?? "")?.[1];
  return name ? `${kind}-${name}` : "";
}

function styleOf(front: string | null, back: string | null, part: Anser.AnserJsonEntry): Piece["style"] {
  const color = ownColor(front, part.fg_truecolor);
  const backgroundColor = ownColor(back, part.bg_truecolor);
  if (!color && !backgroundColor) return undefined;
  // Mixed with the text's colour, since programs choose colours for a background that they do not know.
  return { ...(color ? { color: `color-mix(in oklab, ${color} 60%, var(--mantine-color-text))` } : {}), ...(backgroundColor ? { backgroundColor: `color-mix(in oklab, ${backgroundColor} 25%, var(--surface-sunken))` } : {}) };
}

function ownColor(color: string | null, truecolor: string): string | undefined {
  if (color === "ansi-truecolor") return /^\d+, ?\d+, ?\d+$/.test(truecolor) ? `rgb(${truecolor})` : undefined;
  const index = /^ansi-palette-(\d+)$/.exec(color ?? "")?.[1];
  return index === undefined ? undefined : paletteColor(Number(index));
}

/** A colour of the terminal's 256: a cube of 6 × 6 × 6, then greys. */
function paletteColor(index: number): string {
  if (index >= 232) return `rgb(${Array(3).fill(8 + (index - 232) * 10).join(",")})`;
  const level = (digit: number) => (digit === 0 ? 0 : 55 + digit * 40);
  const place = index - 16;
  return `rgb(${level(Math.floor(place / 36))},${level(Math.floor(place / 6) % 6)},${level(place % 6)})`;
}
