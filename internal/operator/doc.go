// Package operator keeps WeightsAndBiases resources and what they describe in step.
//
// One pass of the Reconciler has four parts: observe gathers everything (all IO), release.Decide chooses the one next
// step (pure), a release.Runner applies it beside the work queue, and one patch at the end writes the status. A pass
// never waits: the release channel is followed on goroutines of its own, charts are loaded and Helm runs beside the
// queue, and each wakes the reconciler when it has something new. A pass in which nothing changed writes nothing.
package operator
