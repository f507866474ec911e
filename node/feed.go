package main

import (
	"slices"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
	"tandem/wire/proc"
)

const (
	feedBatch = 512                 // entries that a shard is fed at a time: the backup stores them before more follow
	feedQueue = 2 * shard.MaxShards // feeds of one stream, and of the one before
	feedWait  = 5 * time.Second     // for a receiver that does not read
	feedIdle  = time.Second         // without a feed to do, after which the write log is closed
)

// feed is what a replica asks for: that its backup be fed what it lacks.
type feed struct {
	shard int
	fx    replica.Effect
}

// runFeeds is the loop that feeds the backups at a node from the write log, each shard in turn, and rests for as long
// as it worked and as the setting wants, so that it gives way to requests (rule R17). What a leader that has flipped
// holds back its new writes for (rule R7) waits for no turn.
func runFeeds(node *Node, handles *Handles, storage *Storage, peers *Peers, peer int) {
	link, rest := peers.Links[peer], time.NewTimer(feedIdle)
	var waiting []feed
	var asks chan logAsk // to the reader; nil while the log is closed
	rested, always := true, make(chan struct{})
	close(always)
	for {
		first := slices.IndexFunc(waiting, func(f feed) bool { return f.fx.AtOnce })
		var turn chan<- struct{}
		var atOnce <-chan struct{}
		switch {
		case len(link.Feeds) > 0: // what is asked for at the same time is announced first
		case first >= 0:
			atOnce = always
		case rested && len(waiting) > 0:
			turn = link.Turn
		}
		select {
		case f := <-link.Feeds:
			if asks == nil {
				asks = make(chan logAsk, feedQueue)
				go runReader(node, storage, asks)
			}
			asks <- logAsk{shard: f.shard, first: f.fx.LSN}
			waiting = slices.DeleteFunc(waiting, func(old feed) bool { return old.shard == f.shard }) // of a former stream
			waiting = append(waiting, f)
		case <-atOnce:
			feedShard(node, handles, link, asks, waiting[first])
			waiting = slices.Delete(waiting, first, first+1)
		case turn <- struct{}{}:
			began := proc.Clock()
			size := feedShard(node, handles, link, asks, waiting[0])
			<-link.Turn
			rest.Reset(max(time.Duration(proc.Clock()-began), paceOf(node.Config, size)))
			waiting, rested = waiting[1:], false
		case <-rest.C:
			if rested && asks != nil && len(waiting) == 0 {
				close(asks)
				asks = nil
			}
			rested = true
			rest.Reset(feedIdle)
		}
	}
}

// feedShard sends a backup the next of what it lacks of the log, from fx.LSN up to at most fx.Applied, and reports how
// far it came. It returns how many bytes that were.
func feedShard(node *Node, handles *Handles, link *linkHandle, asks chan<- logAsk, f feed) (size int) {
	report, found := &replica.Event{Kind: replica.FeedFailed, Shard: f.shard, Stream: f.fx.Stream, Epoch: f.fx.Epoch},
		make(chan logAnswer, 1)
	asks <- logAsk{f.shard, f.fx.History, f.fx.LSN, f.fx.Applied, feedBatch, found}
	answer := <-found
	if answer.err != nil {
		node.Log.Info("the backup lacks writes that the log no longer has; it is sent the whole shard", "shard",
			f.shard, "reason", answer.err)
	} else {
		for _, m := range cutAppend(f.shard, f.fx.Epoch, 0, answer.entries) {
			sent := post(link, f.fx.Stream, m)
			if size += sent; sent == 0 {
				break
			}
		}
		report.Kind, report.LSN = replica.FeedDone, f.fx.LSN+uint64(len(answer.entries))-1
	}
	handles.ByShard[f.shard].In <- []*replica.Event{report}
	return size
}

// post sends a frame of a repair, and returns about how many bytes it has; 0 if the receiver does not read: the link is
// broken or about to be, and the next stream begins with a comparison.
func post(link *linkHandle, stream uint64, m *wire.Message) (size int) {
	select {
	case link.Out <- []outbound{{Stream: stream, Message: m}}:
	case <-time.After(feedWait):
		return 0
	}
	size = entrySize
	for i := range m.Entries {
		size += entrySize + len(m.Entries[i].ID) + len(m.Entries[i].Name) + len(m.Entries[i].Email)
	}
	for i := range m.Records {
		size += entrySize + len(m.Records[i].ID) + len(m.Records[i].Name) + len(m.Records[i].Email)
	}
	return size
}

// paceOf returns how long so many bytes of a repair take at least.
func paceOf(c config, size int) time.Duration {
	return time.Duration(size) * time.Second / time.Duration(c.RepairMB<<20)
}
