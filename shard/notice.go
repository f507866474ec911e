package shard

// Notice is what a replica tells the lease session with the node that holds the other one.
type Notice uint8

// The notices; each is of an epoch.
const (
	BackupTimedOut Notice = iota + 1 // the backup does not store: the leader asks to lead alone
	AckRequired                      // the leader treats the backup as in sync: it answers nothing without it (rule R7)
	CaughtUp                         // the backup has all: the leader asks that it be in sync
	Drained                          // nothing is pending any more: the leadership can be handed over
	LogsCompared                     // the leader has found that this backup's log fits
	CopyDamaged                      // this node's data of the shard cannot be trusted
	CopyRestored                     // it can again
)
