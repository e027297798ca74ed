// Package sweep holds the rules of sweeps: what their agents are told to run next.
package sweep
