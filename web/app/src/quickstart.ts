/** The command that connects a machine with this server; host is its external URL. */
export function loginCommand(host: string): string {
  const url = (host || window.location.origin).replace(/\/+$/, "");
  return `wandb login --host=${url}`;
}
