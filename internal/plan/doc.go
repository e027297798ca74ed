// Package plan says what a change is going to do before it is done: objects, fields, images, restarts and rights that
// differ between what runs and what was rendered. It is pure, and nothing that it shows or stores beside the rendered text
// itself holds a credential.
package plan
