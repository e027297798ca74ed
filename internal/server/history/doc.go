// Package history reads what runs logged: the lines of their streams, the statistics of their keys, and samples for charts.
// It compacts lines into segments in the bucket.
package history
