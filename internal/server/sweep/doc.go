// Package sweep holds the rules of sweeps: how the settings of a search are read, which values come next, and what the
// agents that ask are told to run.
//
// A sweep's space is a map from the unit cube to values: each parameter turns a number in [0, 1) into one of its values. The
// random search draws a point of the cube from the sweep's id and the index of the draw, so that a draw can be repeated. The
// grid counts through the values.
package sweep
