// Command gateway serves users over REST and speaks the wire protocol to the nodes. It keeps no data; several may run
// at once.
//
// # How a PUT travels
//
//  1. routes.go gives the call its request id and its handler.
//  2. handlers.go reads the body, and only then does the deadline begin; user.go checks it against the schema,
//     condition.go reads the preconditions.
//  3. shard.ShardOf says which shard the user belongs to, the views who leads it.
//  4. call.go sends the write to one of the leader's links and waits. After a broken connection, a try without an
//     answer, or a refusal that may pass, it sends the same request id again, until the deadline: at the replica that
//     try.go says. An outcome of any of the tries counts, but for a refusal while an earlier try may yet be done (rule
//     R20).
//  5. link.go writes all requests that are waiting in one system call, and hands each answer to who waits for it.
//  6. handlers.go makes the response of the outcome; problem.go writes it.
//
// A GET is the same without a body. A count asks a cover of the nodes (shard.Cover) for the counts of its shards; a
// list counts, cuts the page into runs within shards (list.go) and reads them all at once from the same nodes. Only
// leaders and backups in sync are asked, as few as can be. What a node gives of a shard is of one moment, in one page
// or several, with the number of the shard's users then, which takes the place of its count in the total.
//
// # Plain requests
//
// Most requests are short, come whole and want nothing special of their connection. These the front serves (front.go):
// one goroutine a connection, which reads with net/http's own parser, asks the same handlers, and writes an answer in
// one system call. net/http's server would start a goroutine for each request, which watches the connection meanwhile,
// set three deadlines, and build and sort maps of headers. What is not plain (a request beyond 4 KiB, chunks, HEAD,
// HTTP/1.0, whatever is malformed, late or odd) the front does not judge: it passes the connection on to net/http, with
// the bytes that it has read, and net/http serves all that follows on it. A test and a fuzz target send the same bytes
// to both and compare what is answered, and all tests of the gateway also run without the front (-bylibrary).
//
// # Clients that read slowly
//
// At most --lists lists are read from the nodes at once. The bytes of a list are reserved until its client has taken
// them (unread.go): lists of at most 256 KiB share a budget of a quarter of --unread-mb, longer ones the rest, first
// come, first served; who gets no reservation before the deadline gets 503 with Retry-After. A client that takes
// nothing for a second, or less than --slow-kb KiB a second, is cut off, so that its reservation is released soon.
// Other answers are small: the system takes them at once. Requests are bounded by --max-connections, 16 KiB of headers
// and 128 KiB of body each, and 10 seconds to arrive. At most 128 bodies of more than 16 KiB are read at once.
//
// # Which cluster
//
// A name and settings do not tell two clusters apart, and an address may come to belong to a node of another one. So
// every node says in its welcome to which incarnation of its cluster it belongs, and shard.ChooseCluster decides by
// what all of them have said (cluster.go): what more than half say is served; before that nothing, for a second, and
// then what the most of those say that were heard, if it is the only such. A choice stays until more than half say
// something else: then the cluster was made anew, and the views of the former one are forgotten. --incarnation decides
// instead. A connection to a node of any other incarnation carries no request, none of its views is believed, and it is
// dialled on and named as refused, here and there. So that a node which refuses this gateway can still be heard, every
// second greeting does not name the incarnation that is served.
//
// # Views, and what becomes of a request when a node dies
//
// The gateway begins with the views that a cluster is bootstrapped with. Each node tells it the views after its welcome
// and whenever one has changed; of each shard the one with the highest epoch counts (view.go). The view set is in a
// cell, a channel of one element, which readers take out and put back. Nothing rests on its being new: a replica that
// does not lead a shard passes the request on to the one that does, or says that it cannot, and then the shard's other
// replica is asked. So a gateway that is cut off from a leader is served all the same, by way of its backup.
//
// A leader that dies is replaced in some 150 ms, within the deadline of the requests that were waiting for it:
//
//	ms    leader   backup       the gateway
//	0     dies                  its connection breaks, or is silent: a try ends after --try (50 ms)
//	50             passes on,   asks the other replica, then both in turn, with pauses of 5 to 15 ms
//	               or refuses
//	90                          no pong: the connections to the dead leader are given up, what waits there fails
//	                            at once
//	150            takes over   is told the new view, and looks for it every 10 ms: asks the new leader at once
//	152            answers      the outcome, under the request id of the first try
//	240                         the deadline: 503 with Retry-After, and the last reason that tells something
//
// When both replicas say that they could not answer for 1.5 s, or there has been no connection to them for as long,
// the 503 comes at once, and does not speak of the deadline.
//
// At most two tries of a request are under way at a node, so a node that hangs is not sent ever more. A count or a list
// leaves out a node that has said nothing for a third of its time, and of one that refuses only the shards that it
// refuses, and asks another cover; when there is none, it waits for newer views, unless those that are missing have
// been away or stuck for 1.5 s.
//
// Names of nodes are looked up in the background, and a node is dialled where it was reached last while its name is not
// known to stand for another address; package wire/proc has that, and keeps the log from holding anybody up.
//
// A connection that says nothing for --silence (80 ms) although an answer is due is given up and dialled again, with
// pauses of at most 50 ms (rule R19). A view that changes nudges the connections to the two nodes concerned: one that
// is up has to answer a ping, one that waits to be dialled is dialled at once.
//
// The log says once that there is no connection to a node, for all connections to it and all dials that fail until it
// is back; a node that is refused is named again every 10 s, for an operator must act (outage.go).
//
// A 503 says that a write may have been done, unless every try was refused before it could be: no connection, a full
// queue, a deadline that had passed. That is said of all tries, the reason is of one.
//
// # Files
//
//	main.go      settings → wiring → server → stop
//	config.go    settings and their checks
//	wiring.go    how loops and handlers are wired
//	routes.go    the table of what is served
//	handlers.go  one function a call
//	user.go      JSON ↔ user, pure
//	query.go     parameters, cursors and Link headers of a list, pure
//	tag.go       entity tags, pure
//	condition.go preconditions: those of writes go to the leader, those of reads are weighed here
//	problem.go   responses and problems
//	front.go     connections, as long as their requests are plain
//	canned.go    what net/http answers by itself, said as a problem
//	call.go      asking the leader of a shard, until the deadline
//	reason.go    why a try brought no answer: the text and its classes, pure
//	try.go       failures, the retry state, and which replica is asked next and when, pure
//	count.go     asking a cover of nodes
//	list.go      pages
//	unread.go    budgets and reservations for lists that wait for their clients to take them
//	view.go      the view set: what nodes report, merged
//	cluster.go   which cluster is served
//	link.go      one connection's loop
//	outage.go    which nodes the log says there is no connection to
//	health.go    /livez, /readyz, /healthz and the probe of containers
//	metrics.go   /metrics
package main
