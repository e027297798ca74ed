// Package account decides who somebody is and what an account may look like: users, passwords, API keys and sessions.
//
// Passwords are kept as argon2id hashes, API keys and session tokens as SHA-256 of random values; none of them can be read
// back. A check for an unknown user costs as much as one for a known user. What the package returns to its callers names
// the failing field and the remedy, and never tells whether an account exists to somebody who is not signed in.
package account
