/** Where to go after signing in: the path in `next` if it lies on this server, else the start page. */
export function nextPath(search: string): string {
  const next = new URLSearchParams(search).get("next") ?? "";
  // Resolved as the browser would: "//host", "/\host" and "javascript:" all lead elsewhere.
  let url: URL;
  try {
    url = new URL(next, window.location.origin);
  } catch {
    return "/";
  }
  if (!next.startsWith("/") || url.origin !== window.location.origin) return "/";
  const path = url.pathname + url.search + url.hash;
  return path.startsWith("//") || /^\/(login|signup)(\/|$)/.test(url.pathname) ? "/" : path;
}

/** Address of the sign-in (or, before any user exists, sign-up) page that leads back to a path. */
export function signInPath(setup: boolean, back: string): string {
  const page = setup ? "/signup" : "/login";
  return back === "/" ? page : `${page}?next=${encodeURIComponent(back)}`;
}

/** Whether a path belongs to these pages; the console is a site of its own and needs a full load. */
export function isOwnPath(path: string): boolean {
  return !/^\/console([/?#]|$)/.test(path);
}
