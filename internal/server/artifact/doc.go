// Package artifact holds the rules of artifacts: types, collections, versions, manifests, aliases and lineage.
package artifact
