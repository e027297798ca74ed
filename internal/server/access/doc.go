// Package access decides who may do what to the projects of an entity.
//
// The decision is a pure function of a role, the project's own openness and the action. Guard finds what a request names
// and applies it; every object of a project is reached through its project, an id alone never suffices.
package access
