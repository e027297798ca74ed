// Package graph answers the GraphQL of the official client: the schema is in schema/, and each resolver decodes, asks a
// package that holds the rules, and encodes.
//
// The package is generated from the schema (generated.go, model/models_gen.go); resolvers are written by hand. What the
// client demands beyond the standard, such as empty operation names, is the business of Handler.
package graph

//go:generate go tool gqlgen generate
