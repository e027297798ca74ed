// Package history reads what runs logged: the lines of their streams, the statistics of their keys, and samples for charts.
// It compacts lines into segments in the bucket.
//
// A stream is made of parts: chunks in the database, as requests brought them, and blocks of segments. Each holds lines of
// one writer. Of a line that several parts hold the newest counts; whatever a reader is told comes from one snapshot.
package history
