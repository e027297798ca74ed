// Package quota bounds what an entity stores, without ever losing anything of a run that has begun.
//
// The one door that a quota closes is the beginning of a new run: what a client was told to be accepted goes on to its end, and
// what is refused stays with the client, which can send it when there is room. What an entity stores is measured in the
// background and not counted where data comes in, so a quota acts some minutes late.
package quota
