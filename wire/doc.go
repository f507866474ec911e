// Package wire is what Tandem's processes say to each other: frames of msgpack over TCP. It turns a Message into bytes
// and bytes into a Message, and holds no connection, no state and no goroutine. Other languages need only this page to
// speak it.
//
// # Files
//
//	message.go  a frame as Go has it, its kinds, codes and bits
//	codec.go    which fields each kind has, in which order, and how numbers and texts are read
//	fields.go   how the composed fields are written and read
//	greeting.go what the greeting has, in which version
//	encode.go   a message → a frame
//	decode.go   a frame's body → a message
//	check.go    the look at a body before anything is decoded
//	frame.go    frames on a connection: format byte, length, versions
//
// # A frame, byte by byte
//
// A connection is one stream of msgpack values, two for each frame: a uint32 that is the length of the body, always in
// its five-byte form, and the body, an array whose first elements are the kind and the request id. So any msgpack tool
// reads a capture, and a frame always starts with the byte 0xce. This asks for the user 13AE742, in shard 3 of 24:
//
//	ce 00 00 00 0c 94 05 02 03 a7 31 33 41 45 37 34 32
//
//	ce               msgpack's format byte of a uint 32, which follows
//	00 00 00 0c      the body has 12 bytes, big-endian; at most 1 MiB (1048576) is allowed
//	94               the body: an array of 4 elements
//	05               kind 5, get
//	02               request id 2; the answer will carry it
//	03               shard 3
//	a7 31 33 … 32    id, a string of 7 bytes: 13AE742
//
// and this is the answer, an outcome, which bears data and therefore a checksum as its last element:
//
//	ce 00 00 00 20 96 07 02 01 01 96 a7 31 33 41 45 37 34 32 a3 41 64 61 a5 61 64 61 40 78 07 01 2a ce 5d 44 98 57
//
//	96 07 02         an array of 6 elements, kind 7, to request 2
//	01 01            result 1 (found), 1 node touched
//	96 a7 31 … 2a    record: id, name, email, group, epoch, lsn
//	ce 5d 44 98 57   CRC32C of the body's bytes before it
//
// The first frame of a connection, from whoever dialled, is hello; the other side answers welcome, or an error with the
// reason and closes. Any frame can be typed by hand. Hello and then a ping, to a node of a cluster of the nodes db-0,
// db-1 and db-2 in that order and 24 shards; f3 2a … 57 is the hash of "db-0,db-1,db-2":
//
//	ce 00 00 00 2f 93 01 01 9e 03 03 a6 74 61 6e 64 65 6d a7 67 61 74 65 77 61 79 a7 62 79 2d 68 61 6e 64 a0 c4 00
//	  cf f3 2a 34 5b 60 dc 6f 57 18 00 00 00 00 00
//	ce 00 00 00 03 92 03 02
//
//	{ printf '\xce\x00\x00\x00\x2f\x93\x01\x01\x9e\x03\x03\xa6tandem\xa7gateway\xa7by-hand\xa0\xc4\x00'
//	  printf '\xcf\xf3\x2a\x34\x5b\x60\xdc\x6f\x57\x18\x00\x00\x00\x00\x00'
//	  printf '\xce\x00\x00\x00\x03\x92\x03\x02'; } | nc -N 127.0.0.1 7400 | od -A d -t x1z
//
// # Versions
//
// Each side says in its greeting which versions of the protocol it speaks, from least to most. If the two ranges meet,
// all frames behind the greeting are of the latest version that both speak, and each is read strictly as that version
// has it; else the connection is refused by name. So processes of neighbouring versions work together, whoever dials.
// What a version may change:
//
//   - the fields behind kind and request id: each has a first version, and may have a last one. In this version there
//     is one layout
//   - the end of a greeting: it is written before the other side is known, with all that the sender's latest version
//     has. Who knows only an earlier one passes over what is behind its own elements. So a greeting only ever grows at
//     its end
//   - never: the format byte and the length, kind and request id, the greeting's first two elements, and the kinds
//     error and hello, which are understood before a version is agreed on
//
// # Requests, answers and streams
//
// The request id is chosen by the side that dialled and is unique among its requests under way on that connection.
// Answers come in any order; each request has exactly one, either the kind named below or an error, but for list. The
// frames of a stream (from ask to snapend) carry request id 0, belong to the shard that they name, and keep their
// order. What is sent without being asked for (leases, Raft's messages, views) carries request id 0 too.
//
// A list is answered by one page, or by several that carry its request id: each but the last says that more follow.
// Together they have at most limit records, in order, and all of them, with users, are of one moment of the shard. What
// is between two pages of a list are frames of other requests. Nothing of a list is sent before the replica knows that
// it may be given out, so that each page counts when it comes; an error after some pages says that the rest is not to
// be had, and the list is asked for anew.
//
// # The frame table
//
// Fields stand in this order behind kind and request id. "crc" names the kinds whose last element is a checksum.
// (gw is a gateway or any other client.)
//
//	kind  name         crc  direction          fields
//	0     error        -    any                code text
//	1     hello        -    dialler → node     greeting
//	2     welcome      -    node → dialler     greeting clock founders known
//	3     ping         -    any                -
//	4     pong         -    any                clock text
//	5     get          -    gw → replica       shard id
//	6     write        crc  gw → replica       shard deadline request op fields record match unless
//	7     outcome      crc  replica → gw       result touched record
//	8     count        -    gw → replica       shards
//	9     counts       -    replica → gw       counts
//	10    list         -    gw → replica       shard offset after limit
//	11    page         crc  replica → gw       shard users more records
//	12    ask          -    leader → backup    shard epoch
//	13    position     -    backup → leader    shard epoch lsn lastepoch
//	14    append       crc  leader → backup    shard epoch lsn applied entries
//	15    stored       -    backup → leader    shard epoch lsn
//	16    applied      -    leader → backup    shard epoch lsn
//	17    streamerror  -    backup → leader    shard epoch code text
//	18    snapbegin    -    leader → backup    shard epoch lsn
//	19    snapdata     crc  leader → backup    shard epoch records
//	20    snapend      crc  leader → backup    shard epoch lsn history entries
//	21    leaseping    -    node → node        start at lease state claims lastentries
//	22    leasepong    -    node → node        at claims
//	23    raft         crc  node → node        data
//	24    views        crc  node → gw          views
//
// What each is for:
//
//	error        a request failed; code 1: the connection is closed too
//	hello        first frame of a connection
//	welcome      answers hello
//	ping         asks for a pong
//	pong         answers ping with the sender's clock, and with why it takes no part; empty if it does
//	get          reads one user; a backup passes it on to its leader
//	write        creates, updates or deletes one user; passed on likewise
//	outcome      answers get and write
//	count        asks for the user counts of shards
//	counts       answers count
//	list         asks for a page of one shard
//	page         answers list, with further pages while more is true
//	ask          a stream begins: where does your log end?
//	position     the end of its log, all of it stored
//	append       entries in LSN order, the first at lsn
//	stored       stored and synced up to lsn
//	applied      applied up to lsn
//	streamerror  the stream cannot go on; code and text say why
//	snapbegin    the whole shard as of lsn follows
//	snapdata     records of the snapshot
//	snapend      the snapshot is whole; with lsn 0 and entries: more of the window follows
//	leaseping    asks for leases, and says how the node is
//	leasepong    the ping's own at, and the leases granted
//	raft         a message of Raft
//	views        after welcome, and whenever a view has changed
//
// # The fields
//
//	shard epoch lsn applied touched offset limit
//	                        unsigned integers
//	users                   an unsigned integer: the users of the whole shard
//	lastepoch               an unsigned integer: the epoch of the last write in the log, 0 if it is empty
//	code op fields state result
//	                        unsigned integers below 256; see Code, Op, HasName …, IsUnhealthy …, Result
//	clock deadline          nanoseconds on a boot-time clock: the sender's, the receiver's
//	start                   number of the process that pings: it grows with every start of its store
//	lease                   nanoseconds for which the node that pings takes what it is promised
//	at                      nanoseconds on the boot-time clock of who pings: when it pinged
//	id text                 strings
//	request                 16 bytes that name a write through all its tries
//	after                   bytes: the place before the page; nil or empty when offset counts
//	more                    a boolean: another page of the same list follows
//	data                    bytes; nil or empty for none
//	greeting                [least most cluster role name build incarnation ring shards lease grace store start
//	                        nonce], see below
//	known                   [start nonce]: which start of the dialler's store the node's cluster knows; zeros for none
//	founders                [store store …], at most 64: what the cluster was bootstrapped with; empty before that
//	record                  [id name email group epoch lsn]; group is a signed 64-bit integer
//	match unless            [] for none, [1] for a user of any version, or
//	                        [2 epoch lsn epoch lsn …], at most 16 pairs, for a user of one of these versions: the write
//	                        is done only if the user is among those that match names, not among those that unless names
//	shards                  [shard shard …], at most 4096
//	counts                  [shard users shard users …], at most 4096 pairs
//	history                 [epoch lsn epoch lsn …], at most 4096 pairs: from which LSN on the log is of which epoch
//	claims                  [shard epoch shard epoch …], at most 4096 pairs
//	lastentries             [shard epoch lastepoch lsn …], at most 1024 fours: of each shard in whose view of that epoch
//	                        the sender led before it restarted, where its log ends: at lsn, in the epoch lastepoch
//	views                   [epoch leader backup insync …] by shard, at most 1024 fours; insync is a boolean
//	records                 [record record …], at most 1000
//	entries                 [request result record wall …], at most 4096 fours; wall is the ms since 1970 when the
//	                        leader sequenced the write
//
// Integers may stand in any of msgpack's integer formats; Tandem writes the shortest. Nothing else is converted: nil, a
// float, a number below zero or text where a field wants something else is refused by name, and so is a frame with too
// many or too few elements: a change of this table after a release is a new version.
//
// # The greeting
//
//	least most         unsigned integers: the versions of the protocol that the sender speaks
//	cluster name build strings: the cluster's name, the sender's, and what program it is, for people
//	role               "gateway" (any client) or "node"
//	incarnation        16 bytes that a cluster gets when it is bootstrapped, a UUID; none while the sender knows none
//	ring               unsigned integer: xxhash64 (seed 0) of the nodes' names in ring order, joined by ","
//	shards             unsigned integer: how many
//	lease grace        nanoseconds: how long the sender takes what it is promised, and keeps what it has promised;
//	                   0 from a gateway
//	store              unsigned integer: member id of the sender's store; 0 from a gateway
//	start nonce        unsigned integers: the number of the start of its store, and a random one of this process;
//	                   0 from a gateway
//
// Two greetings that do not fit are refused by an error with a code of its own for each reason (versions, cluster,
// incarnation, ring, shards, lease times, name) and a text that names what both sides have.
//
// # The checksum
//
// TCP's own checksum is weak, and a flipped bit in a user's record would be stored on two nodes and look genuine for
// ever. So the kinds that bear such data end in a CRC32C (Castagnoli) over all bytes of the body before it, written as
// a msgpack uint32 in its five-byte form. A wrong one is ErrChecksum, and the connection is dropped: what else was
// damaged is unknown.
//
// # Hostile input
//
// The msgpack library allocates what a length field claims and recurses as deep as arrays nest: eleven bytes can ask
// for 32 GiB, and a deep nest overflows the stack, which no Go program survives. So ReadFrame refuses a length over
// MaxFrame and grows its buffer only with the bytes that have arrived, and Decode first runs Check: one loop, without
// recursion or allocation, that wants exactly one array, at most MaxDepth (8) deep, every length within the bytes left,
// nothing trailing, no maps and no extensions. Errors say at which byte of the body (from 0) and what was expected. The
// receiver answers with an error frame that repeats that text, and closes.
//
// # Text on the same port
//
// A first byte that is an ASCII letter is no frame: the node then reads lines and answers in JSON, so that
//
//	printf 'GET 13AE742\n' | nc -N 127.0.0.1 7400
//
// works from any shell. HELP lists the commands; all of them only read. That side lives in package node.
package wire
