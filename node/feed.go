package main

import (
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
)

const (
	feedBatch = 512                 // entries that a shard is fed at a time: the backup stores them before more follow
	feedFew   = 512                 // so few go first
	feedQueue = 2 * shard.MaxShards // wishes of one stream, and of the one before
	feedWait  = 5 * time.Second     // for a receiver that does not read
	feedIdle  = time.Second         // without a wish, after which the write log is closed
)

// feed is a replica's wish that its backup be fed what it lacks.
type feed struct {
	shard int
	fx    shard.Effect
}

// few tells whether a leader may be holding back its new writes until this is done, as it does when it has flipped (rule R7).
func few(f feed) bool { return f.fx.Applied-f.fx.LSN < feedFew }

// runFeeds is the loop that feeds the backups at a node from the write log, each shard in turn, and rests for as long as it worked and as the setting
// wants, so that it gives way to requests (rule R17). Those that lack little do not wait for that.
func runFeeds(room *Room, peer int) {
	link, rest := room.Links[peer], time.NewTimer(feedIdle)
	var waiting []feed
	var asks chan logAsk // to the reader; nil while the log is closed
	free := true         // the rest is over
	for {
		select {
		case f := <-link.Feeds:
			if asks == nil {
				asks = make(chan logAsk, feedQueue)
				go runReader(room, asks)
			}
			asks <- logAsk{shard: f.shard, first: f.fx.LSN}
			waiting = addFeed(waiting, f)
		case <-rest.C:
			if free && asks != nil {
				close(asks)
				asks = nil
			}
			free = true
			rest.Reset(feedIdle)
		}
		for len(link.Feeds) == 0 && len(waiting) > 0 && (free || few(waiting[0])) {
			began := clock()
			size := feedShard(room, link, asks, waiting[0])
			rest.Reset(max(time.Duration(clock()-began), paceOf(room.Config, size)))
			waiting, free = waiting[1:], false
		}
	}
}

// addFeed puts a wish in its place: in the place of an older one of its shard, and before those that lack more if it lacks few.
func addFeed(waiting []feed, f feed) []feed {
	waiting = slices.DeleteFunc(waiting, func(old feed) bool { return old.shard == f.shard })
	at := len(waiting)
	if few(f) {
		at = 0
		for at < len(waiting) && few(waiting[at]) {
			at++
		}
	}
	return slices.Insert(waiting, at, f)
}

// feedShard sends a backup the next of what it lacks of the log, from fx.LSN up to at most fx.Applied, and reports how far it came. It returns how
// many bytes that were.
func feedShard(room *Room, link *Link, asks chan<- logAsk, f feed) (size int) {
	report, found := &shard.Event{Kind: shard.FeedFailed, Shard: f.shard, Stream: f.fx.Stream, Epoch: f.fx.Epoch}, make(chan logAnswer, 1)
	asks <- logAsk{f.shard, f.fx.History, f.fx.LSN, f.fx.Applied, feedBatch, found}
	answer := <-found
	if answer.err != nil {
		room.Log.Info("the backup lacks writes that the log no longer has; it is sent the whole shard", "shard", f.shard, "reason", answer.err)
	} else {
		for _, m := range cutAppend(f.shard, f.fx.Epoch, 0, answer.entries) {
			size += post(link, f.fx.Stream, m)
		}
		report.Kind, report.LSN = shard.FeedDone, f.fx.LSN+uint64(len(answer.entries))-1
	}
	room.Desks[f.shard].In <- []*shard.Event{report}
	return size
}

// post sends a frame of a repair, and returns about how many bytes it has.
func post(link *Link, stream uint64, m *wire.Message) (size int) {
	select {
	case link.Out <- []letter{{stream, m}}:
	case <-time.After(feedWait): // the link is broken or about to be; the next stream begins with a comparison
	}
	for i := range m.Entries {
		size += entrySize + len(m.Entries[i].ID) + len(m.Entries[i].Name) + len(m.Entries[i].Email)
	}
	for i := range m.Records {
		size += entrySize + len(m.Records[i].ID) + len(m.Records[i].Name) + len(m.Records[i].Email)
	}
	return size
}

// paceOf returns how long so many bytes of a repair take at least.
func paceOf(c Config, size int) time.Duration {
	return time.Duration(size) * time.Second / time.Duration(c.RepairMB<<20)
}
