/** Curves of a chart: eight colours that colour-blind people tell apart, then the same ones dashed. */
export const paletteSize = 16;

/** Names of the variables that hold the colours; see chart.module.css. */
export function colorVariable(index: number): string {
  return `--curve-${(index % 8) + 1}`;
}

export function isDashed(index: number): boolean {
  return index % paletteSize >= 8;
}
