type Conditions = Record<string, unknown>;

/** Whether a run, as flat fields, meets a filter in the client's language. */
export function matches(run: Record<string, unknown>, filters: unknown): boolean {
  const filter = typeof filters === "string" && filters !== "" ? (JSON.parse(filters) as unknown) : filters;
  if (typeof filter !== "object" || filter === null) return true;
  return Object.entries(filter as Conditions).every(([key, wanted]) => {
    const parts = Array.isArray(wanted) ? (wanted as unknown[]) : [];
    if (key === "$and") return parts.every((part) => matches(run, part));
    if (key === "$or") return parts.some((part) => matches(run, part));
    if (key === "$nor") return !parts.some((part) => matches(run, part));
    return meets(run[key], wanted);
  });
}

function meets(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => meets(one, wanted));
  if (typeof wanted !== "object" || wanted === null) return value === wanted;
  return Object.entries(wanted as Conditions).every(([operator, operand]) => compare(operator, value, operand));
}

function compare(operator: string, value: unknown, operand: unknown): boolean {
  const [a, b] = [value as number, operand as number];
  switch (operator) {
    case "$eq":
      return value === operand;
    case "$ne":
      return value !== operand;
    case "$gt":
      return a > b;
    case "$gte":
      return a >= b;
    case "$lt":
      return a < b;
    case "$lte":
      return a <= b;
    case "$in":
      return (operand as unknown[]).includes(value);
    case "$exists":
      return (value !== undefined && value !== null) === operand;
    case "$regex": {
      const pattern = String(operand);
      return new RegExp(pattern.replace(/^\(\?i\)/, ""), pattern.startsWith("(?i)") ? "i" : "").test(typeof value === "string" ? value : "");
    }
    default:
      throw new Error(`unknown operator ${operator}`);
  }
}

/** Sorts by an order such as "-summary_metrics.loss"; what has no value comes last. */
export function orderBy<T extends { flat: Record<string, unknown> }>(list: T[], order: string): T[] {
  const descending = order.startsWith("-");
  const key = order.replace(/^[+-]/, "").replace(/\.value$/, "").replace(/^displayName$/, "display_name") || "created_at";
  return [...list].sort((x, y) => {
    const [a, b] = [x.flat[key] as string | undefined, y.flat[key] as string | undefined];
    if (a === undefined || b === undefined || a === b) return Number(a === undefined) - Number(b === undefined);
    return (a < b ? -1 : 1) * (descending ? -1 : 1);
  });
}
