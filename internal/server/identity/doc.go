// Package identity signs people in at an OpenID Connect provider, and checks the identity tokens of programs.
//
// The code flow with PKCE is the only one. What belongs to one attempt is kept in the browser that makes it, so that any
// replica can finish what another has begun. A provider that does not answer is asked again with the next attempt; nothing
// else waits for it.
package identity
