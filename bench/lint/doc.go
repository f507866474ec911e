// Package lint holds the sources of all packages to the project's house rules. The rules are tests, and "make lint"
// runs them: "make test" leaves this package out.
//
//	house_test.go  the test of the sources, and the tests of the rules
//	load_test.go   parsing and typing of our packages
//	rules_test.go  imports, sizes, state, nested calls
//	calls_test.go  the call graph: how deep our functions call each other
//	waits_test.go  goroutines that are calls in disguise
//
// ARCHITECTURE.md ("House rules") says what the rules are. They bind sources, not tests.
package lint
