// Package views is the view service: the nodes' agreement, by Raft, on the views of all shards, on the members and on
// the version in force. Step takes a node's part in it and an event, and returns the part after it with what is to be
// stored and sent. Around etcd's Raft core it is pure; docs/protocol.md has the rules that it keeps (R8, R13, R14, R22,
// R23).
package views
