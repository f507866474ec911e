package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"tandem/shard"
)

// AcceptLoss is what "node accept-loss" is told. It is for the only copy of something: a shard that its node led alone and whose data is damaged, or a new
// store that is to take the place of one that is lost with what it led alone. Anything else heals by itself.
type AcceptLoss struct {
	Data   string `help:"Folder of the node's data; the node must be stopped." default:"data"`
	Shards []int  `help:"Damaged shards whose loss is accepted; all of them if none is named." placeholder:"N,…"`
	DryRun bool   `name:"dry-run" help:"Say what would be done and what is left of the data, and change nothing."`
}

// acceptHelp says when the command is of use.
const acceptHelp = "Accepts the loss of what was damaged and has no other copy. A shard whose other copy is in sync heals by itself; the command is for " +
	"a shard that this node led alone and whose data is damaged (STATUS and the log name it): what can be read of it becomes its data, and the other node is sent that. " +
	"And it is for a new store that may not join because the one before it led shards alone: their other copies, which lack the last writes, become their data. " +
	"Stop the node first; look with --dry-run before."

// acceptedJump is how far the log's end is moved on when a loss is accepted, so that no other replica's log fits what is left: it is sent the whole shard.
const acceptedJump = 1 << 20

// accepting is what the stages of the command know so far.
type accepting struct {
	told   AcceptLoss
	out    io.Writer
	store  Store
	facts  Facts
	marks  map[int]shard.Mark
	shards []int // whose loss is accepted
	shard  int   // of them, the one that is under way
	left   leftover
	kept   bool // what is left was read from its file
	joined bool // the store has a part in Raft
	err    error
}

// acceptStages are what the command does, one after another.
var acceptStages = [...]func(accepting) accepting{openToAccept, chooseShards, acceptShards, acceptStore}

// unnotedStages tell whether the log has damage that no start has met yet.
var unnotedStages = [...]func(starting) starting{judgeLog}

// runAccept is what "node accept-loss" with these arguments runs.
func runAccept(args []string) {
	told := AcceptLoss{}
	parser := kong.Must(&told, kong.Name("node accept-loss"), kong.Description(acceptHelp))
	_, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err = acceptLoss(told, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// acceptLoss does the command, and writes to out what it does. Errors: ErrFolder, ErrConfig, ErrStore, or of the file system.
func acceptLoss(told AcceptLoss, out io.Writer) error {
	s := starting{room: &Room{Config: Config{Data: told.Data}}}
	for i := range shard.MaxShards {
		s.held = append(s.held, i)
	}
	for _, stage := range unnotedStages {
		s = stage(s)
	}
	if s.err == nil && s.verdict.End == shard.DamagedEnd {
		s.err = fmt.Errorf("%w: its log is damaged, and it is not known yet which shards that is about: start the node once, and look at its STATUS", ErrFolder)
	}
	a := accepting{told: told, out: out, err: s.err}
	for _, stage := range acceptStages {
		if a.err == nil {
			a = stage(a)
		}
	}
	return a.err
}

// openToAccept opens the folder, without changing anything for a dry run, and reads what is known of its damage.
func openToAccept(a accepting) accepting {
	names, err := namesIn(a.told.Data)
	if err == nil && !holdsStore(names) {
		err = fmt.Errorf("%w: there is no store in %s", ErrFolder, a.told.Data)
	}
	if err == nil {
		a.marks, err = readMarks(a.told.Data)
	}
	if err == nil {
		open := func(c Config, try shard.OpenTry) (Store, error) { return openStore(c, try, false, false) }
		if a.told.DryRun {
			open = lookIntoStore
		}
		a.store, err = open(Config{Data: a.told.Data, Shards: shard.MaxShards, CacheMB: 64}, shard.OpenTry{Log: shard.DamagedEnd, Lenient: true})
	}
	value := []byte(nil)
	if err == nil {
		value, err = getFact(a.store, factsKey)
	}
	if err == nil {
		err = json.Unmarshal(value, &a.facts)
	}
	if err == nil && a.store.raft != nil {
		saved, bad := readFacts(a.store)
		a.joined, err = len(saved) > 0, bad
	}
	a.err = err
	return a
}

// chooseShards checks that the shards that are named are damaged, and takes all that are if none is named.
func chooseShards(a accepting) accepting {
	damaged := []int{}
	for s := range a.marks {
		if s < len(a.store.families) && a.store.families[s] != nil {
			damaged = append(damaged, s)
		}
	}
	slices.Sort(damaged)
	a.shards = a.told.Shards
	for _, s := range a.shards {
		if !slices.Contains(damaged, s) {
			a.err = fmt.Errorf("%w: --shards: expected some of the damaged shards %v, found %d", ErrConfig, damaged, s)
		}
	}
	if len(a.shards) == 0 {
		a.shards = damaged
	}
	return a
}

// acceptSteps replace one shard's copy by what can be read of it.
var acceptSteps = [...]func(accepting) accepting{readShard, keepShard, renewShard, storeShard, unmarkShard}

// acceptShards makes of what can be read of each damaged shard its data, or says for a dry run what that would be.
func acceptShards(a accepting) accepting {
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if len(a.shards) > 0 {
		fmt.Fprintln(table, "shard\tusers\tlast write\tunreadable buckets\tdamage")
	}
	for _, a.shard = range a.shards {
		steps := acceptSteps[:]
		if a.told.DryRun {
			steps = acceptSteps[:1]
		}
		reason := a.marks[a.shard].Reason
		for _, step := range steps {
			if a.err == nil {
				a = step(a)
			}
		}
		if a.err != nil {
			break
		}
		fmt.Fprintf(table, "%d\t%d\tepoch %d, LSN %d\t%d of 256\t%s\n", a.shard, len(a.left.Users), a.left.Epoch, a.left.Last, a.left.Unread, reason)
	}
	if err := table.Flush(); a.err == nil {
		a.err = err
	}
	say := "the loss is accepted: what is left of these shards is their data now"
	if a.told.DryRun {
		say = "dry run: nothing was changed. What cannot be read of these shards would be lost for good where this is the only copy; a shard with another copy in sync is filled again by itself"
	}
	if len(a.shards) > 0 && a.err == nil {
		fmt.Fprintln(a.out, say)
	}
	return a
}

// acceptStore lets a store that has not joined its cluster yet take the place of the one before it, whatever that led alone.
func acceptStore(a accepting) accepting {
	switch {
	case a.joined || len(a.shards) > 0:
		if len(a.shards) == 0 {
			fmt.Fprintln(a.out, "nothing to accept: no shard here is marked as damaged, and the store has its part in the cluster")
		}
		return a
	case a.told.DryRun:
		fmt.Fprintf(a.out, "dry run: store %s of %s has no part in the cluster yet. It would be let take the place of the store before it even where that led shards alone: their other copies, which lack the last writes, would be their data then\n", a.facts.Store, a.facts.Node)
		return a
	}
	a.facts.Generation = shard.Displaces
	if a.err = keepFacts(a.store, a.facts); a.err == nil {
		fmt.Fprintf(a.out, "store %s of %s takes the place of the one before it when it starts, whatever that led alone\n", a.facts.Store, a.facts.Node)
	}
	return a
}

// leftover is what can be read of a damaged shard.
type leftover struct {
	Users       []shard.Record
	Epoch, Last uint64 // of the last write that is known; Last is its LSN
	Unread      int    // buckets of which something cannot be read
}

// keptPath is where what is left of a shard lies while its copy is replaced.
func keptPath(folder string, s int) string {
	return filepath.Join(folder, fmt.Sprintf("left-of-%02d.json", s))
}

// readShard reads bucket by bucket what can be read of a shard; or the file with what was left of it, if an earlier run of the command got no further.
func readShard(a accepting) accepting {
	a.left = leftover{}
	text, err := os.ReadFile(keptPath(a.told.Data, a.shard))
	if a.kept = err == nil && json.Unmarshal(text, &a.left) == nil; a.kept {
		return a
	}
	left, scan := leftover{}, openScan(a.store, a.shard)
	defer func() { closeScan(scan) }()
	for bucket := range 256 {
		begin := []byte{shard.UserPrefix, byte(bucket)}
		err := walkScan(scan, begin, 0, func(key, value []byte) bool {
			id, isUser := shard.KeyID(key)
			if !isUser || key[1] != byte(bucket) {
				return false
			}
			r, bad := decodeValue(value)
			if r.ID = id; bad == nil {
				left.Users = append(left.Users, r)
			}
			if bad == nil && (r.Epoch > left.Epoch || r.Epoch == left.Epoch && r.LSN > left.Last) {
				left.Epoch, left.Last = r.Epoch, r.LSN
			}
			return true
		})
		if err != nil { // an iterator that has failed once says so for ever
			left.Unread++
			closeScan(scan)
			scan = openScan(a.store, a.shard)
		}
	}
	_ = walkScan(scan, []byte{metaPrefix}, 0, func(key, value []byte) bool { // what cannot be read of it the users tell
		meta := noteMeta(snapshot{last: left.Last}, key, value)
		left.Last = meta.last
		for _, h := range meta.history {
			left.Epoch = max(left.Epoch, h.Epoch)
		}
		return key[0] == metaPrefix
	})
	a.left = left
	return a
}

// keepShard writes what is left of a shard to a file of the folder, synced, so that it outlives an end in the middle of the command.
func keepShard(a accepting) accepting {
	if !a.kept {
		text, err := json.Marshal(a.left)
		a.err = errors.Join(err, writeWhole(keptPath(a.told.Data, a.shard), text), syncFolder(a.told.Data))
	}
	return a
}

// renewShard makes an empty copy of the shard in place of the damaged one.
func renewShard(a accepting) accepting {
	renewed, err := renewFamily(a.store, a.shard)
	if a.err = err; err == nil {
		a.store = takeFamily(a.store, renewed, a.shard)
	}
	return a
}

// storeShard fills the new copy with what is left. Its history begins with the log's new end, which no other replica's log fits.
func storeShard(a accepting) accepting {
	layout, family, counts := shard.Layout{Nodes: len(strings.Split(a.facts.Ring, ",")), Shards: a.facts.Shards}, a.store.ids[a.shard], buckets{}
	for rest := a.left.Users; len(rest) > 0 && a.err == nil; {
		n := min(len(rest), 1000)
		part := recordsPart(layout, a.shard, family, rest[:n], &counts)
		a.err = writeBatch(a.store, joinParts(nil, []Part{part}))
		rest = rest[n:]
	}
	last := a.left.Last + acceptedJump
	end := shard.Effect{LSN: last, History: []shard.Position{{Epoch: max(a.left.Epoch, 1), LSN: last}}}
	if a.err == nil {
		a.err = writeBatch(a.store, joinParts(nil, []Part{wholePart(a.shard, family, &end, counts)}))
	}
	if a.err == nil {
		a.err = moveLog(a.store, a.shard)
	}
	return a
}

// unmarkShard takes the shard's mark away, and the file with what was left.
func unmarkShard(a accepting) accepting {
	delete(a.marks, a.shard)
	if a.err = writeMarks(a.told.Data, a.marks); a.err == nil {
		a.err = os.Remove(keptPath(a.told.Data, a.shard))
	}
	return a
}
