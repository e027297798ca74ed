// Package admin is the administrator's API: JSON over HTTP that makes and removes users, teams, organisations and service
// accounts. The commands of `server admin` print the same objects.
//
// Whoever calls a Handler has made sure that an administrator asks.
package admin
