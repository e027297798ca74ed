//go:build !linux

package operator

import "runtime/debug"

// trimFootprint gives back free heap; see the one for Linux, where the program runs in production.
func trimFootprint() { debug.FreeOSMemory() }
