// Package mysql gives tests a real MySQL: one server a test process, and a database of its own for each test.
//
// The first call on a machine installs MySQL into the user's cache folder (about a minute, from Debian's packages, as
// root); later calls start it in about a second. Where that is impossible the test fails: a test that needs MySQL and
// passes without it would prove nothing.
package mysql
