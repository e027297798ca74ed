/** One requirement of a new password, and whether it is met. */
export interface Rule {
  text: string;
  met: boolean;
}

export interface Owner {
  name: string;
  username: string;
  email: string;
}

/** As the server demands. */
export const minimumLength = 10;

/** What a password that lists of leaked ones lead with stays below. */
const easyBits = 28;

/** The rules for a new password. Length is what protects it, so no kinds of characters are demanded. The server checks again. */
export function passwordRules(password: string, owner: Owner): Rule[] {
  return [
    { text: `At least ${minimumLength} characters`, met: Array.from(password).length >= minimumLength },
    { text: "Not easy to guess", met: passwordBits(password, owner) >= easyBits },
    { text: "Not your username or email", met: password !== "" && !isOwn(password, owner) },
  ];
}

function isOwn(password: string, { username, email }: Owner): boolean {
  const own = [username, email, email.split("@")[0] ?? ""].map((text) => text.toLowerCase());
  return own.includes(password.toLowerCase());
}

export type Strength = "weak" | "fair" | "good" | "strong";

const usual = ["password", "passwort", "wandb", "admin", "welcome", "letmein", "qwerty", "qwertz", "iloveyou", "secret", "changeme", "login", "test"];

/** An estimate, in bits, of what a guesser has to try: repeats, sequences, years and usual words count for little. */
export function passwordBits(password: string, owner: Owner): number {
  let rest = password.toLowerCase();
  let bits = 0;
  const known = [...usual, owner.username, ...owner.name.split(/\s+/), ...owner.email.split(/[@.]/)];
  for (const word of known.map((w) => w.toLowerCase()).filter((w) => w.length >= 4)) {
    if (rest.includes(word)) {
      rest = rest.replaceAll(word, "");
      bits += 6;
    }
  }
  rest = rest.replace(/(19|20)\d\d/g, () => {
    bits += 6;
    return "";
  });
  const alphabet = alphabetSize(password);
  let before = "";
  for (const character of rest) {
    bits += isPredictable(before, character) ? 1 : Math.log2(alphabet);
    before = character;
  }
  return bits;
}

function alphabetSize(password: string): number {
  let size = 0;
  if (/[a-z]/.test(password)) size += 26;
  if (/[A-Z]/.test(password)) size += 26;
  if (/\d/.test(password)) size += 10;
  if (/[^a-zA-Z\d]/.test(password)) size += 30;
  return Math.max(size, 10);
}

function isPredictable(before: string, character: string): boolean {
  if (before === "") return false;
  return Math.abs((character.codePointAt(0) ?? 0) - (before.codePointAt(0) ?? 0)) <= 1;
}

export function passwordStrength(password: string, owner: Owner): Strength {
  const bits = passwordBits(password, owner);
  if (passwordRules(password, owner).some(({ met }) => !met)) return "weak";
  if (bits < 40) return "weak";
  if (bits < 56) return "fair";
  return bits < 76 ? "good" : "strong";
}
