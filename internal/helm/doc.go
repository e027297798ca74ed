// Package helm installs, upgrades, inspects and removes Helm releases in process. It is the only package that imports
// the Helm SDK: nothing of the SDK's types leaves it.
//
// One Client serves every release of a process. Discovery, the REST mapper, capabilities and parsed charts are shared
// across calls, since they are most of what a Helm action costs.
package helm
