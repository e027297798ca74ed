// Package chunk turns lines of JSON into what is stored of them: one compressed body, and statistics per key that are
// gathered in one pass without building a tree. It is pure: it knows neither HTTP nor a database.
package chunk
