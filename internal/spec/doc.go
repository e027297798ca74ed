// Package spec resolves the layers of a specification into the one that is installed.
//
// Four layers fold once, lowest to highest: operator defaults, release channel, user (System Console), custom resource.
// The package is pure: no clock, no network, no cluster; inputs are never changed, and the same layers always give the
// same result. Every leaf of the result knows the layer that set it.
package spec
