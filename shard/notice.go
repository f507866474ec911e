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

// PauseGap is the time in ns between two looks of a loop that mean that this process was paused.
const PauseGap = 50 * 1000 * 1000

// RememberFor is the time in ns for which a request id stays in the window: far longer than any deadline.
const RememberFor = 10 * 1000 * 1000 * 1000

// StuckFor is the time in ns after which a replica that cannot answer says that trying again is of no use.
const StuckFor = 1500 * 1000 * 1000
