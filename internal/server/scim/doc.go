// Package scim lets a directory keep users and teams: SCIM 2.0 (RFC 7643, RFC 7644) below /scim/. Users are people, groups
// are teams.
//
// Filters and patches work on a resource as the directory sees it, a tree of JSON; that part is pure. What is then different
// is written. Whoever calls a Handler has made sure that an administrator asks.
package scim
