// Package server is W&B Server: it wires accounts, GraphQL and the web application into HTTP, and owns their life from
// start to shutdown.
//
// Handlers decode, ask the package that holds the rules, and encode. Addresses in answers come from the configured external
// URL, never from the request: what stands in front ends TLS and may rename the host.
package server
