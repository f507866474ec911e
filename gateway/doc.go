// Command gateway serves users over REST and speaks the wire protocol to the nodes. It keeps no data; several may run at once.
//
// # How a PUT travels
//
//  1. routes.go gives the call its request id and its handler.
//  2. handlers.go reads the body, and only then does the deadline begin; user.go checks it against the schema, tag.go the If-Match header.
//  3. shard.Place says which shard the user belongs to, the view who leads it.
//  4. call.go sends the write to one of the leader's links and waits; after a broken connection, a try without an answer or a refusal that may
//     pass, it sends the same request id again, until the deadline. An answer to any of the tries counts.
//  5. link.go writes all requests that are waiting in one system call, and hands each answer to who waits for it.
//  6. handlers.go makes the response of the outcome; problem.go writes it.
//
// A GET is the same without a body. A count asks a cover of the nodes (shard.Cover) for the counts of its shards; a list counts, cuts the page into
// runs within shards (list.go) and reads them all at once from the same nodes.
//
// # Files
//
//	main.go      settings → room → server → stop
//	config.go    settings and their checks
//	room.go      how loops and handlers are wired
//	routes.go    the table of what is served
//	handlers.go  one function a call
//	user.go      JSON ↔ user, pure
//	query.go     parameters, cursors and Link headers of a list, pure
//	tag.go       entity tags, pure
//	problem.go   responses and problems
//	call.go      asking nodes: retries, covers
//	list.go      pages
//	link.go      one connection's loop
//	health.go    /healthz and the probe of containers
//	metrics.go   /metrics
//	clock.go     the boot-time clock
package main
