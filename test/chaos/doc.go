// Package chaos hurts the operator: its own program runs as a process against a real API server, and is killed, paused,
// cut off and lied to at every moment that matters. What has to hold afterwards is what a person expects of upgrades to
// sleep through: one release, the newest specification, nothing lost.
//
// Nothing but the tests changes objects beside the operator: they play the vendor (channel and chart repository over
// HTTP), the kubelet and the controllers of Deployments and Jobs. A proxy between a process and the API server sees every
// request, so that a process can be killed before or after exactly the n-th write.
package chaos
