// Package run holds the rules of projects and runs: how they are made, changed, found, stopped and deleted, and their
// files.
package run
