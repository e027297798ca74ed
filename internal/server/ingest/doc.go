// Package ingest takes metrics from the client: it reads a file_stream request in one pass, writes it together with those of
// other runs in one durable transaction, and answers then. Where more comes than it can write, it lets clients wait.
package ingest
