// Package segment is the format of compacted lines: a file of columns, one per key, in blocks of rows that are sorted by
// step. A row comes out with the keys, the types and the text of every number that it went in with. It is pure: whoever
// reads a file fetches the bytes.
package segment
