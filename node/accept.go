package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
)

// acceptLossFlags is what "node accept-loss" is told. It is for the only copy of something: a shard that its node led
// alone and whose data is damaged, or a new store that is to take the place of one that is lost with what it led alone.
// Anything else heals by itself.
type acceptLossFlags struct {
	Data   string `help:"Folder of the node's data; the node must be stopped." default:"data"`
	Shards []int  `help:"Damaged shards whose loss is accepted; those that this node led alone if none is named." placeholder:"N,…"`
	DryRun bool   `name:"dry-run" help:"Say what would be done and what is left of the data, and change nothing."`
}

// acceptHelp says when the command is of use.
const acceptHelp = "Accepts the loss of what was damaged and has no other copy. A shard whose other copy is in sync " +
	"heals by itself, and is left alone unless --shards names it; the command is for " +
	"a shard that this node led alone and whose data is damaged (STATUS and the log name it): what can be read of it " +
	"becomes its data, and the other node is sent that. " +
	"And it is for a new store that may not join because the one before it led shards alone: their other copies, " +
	"which lack the last writes, become their data. " +
	"Stop the node first; look with --dry-run before."

// acceptedJump is how far the log's end is moved on when a loss is accepted, so that no other replica's log fits what
// is left: it is sent the whole shard.
const acceptedJump = 1 << 20

// accepting is what the stages of the command know so far.
type accepting struct {
	told     acceptLossFlags
	out      io.Writer
	log      starting // what a start would learn of the log
	db       store.DB
	identity store.Identity
	marks    map[int]shard.Mark
	shards   []int // whose loss is accepted
	shard    int   // of them, the one that is under way
	left     store.Leftover
	bad      map[int]string // by shard, why one of its files cannot be opened
	data     string         // the folder with the store that is looked into
	copied   string         // that of a dry run, which is a copy; "" if there is none
	folder   string         // of the copy without such files, "" if there is none
	salvaged store.DB       // and that copy, open
	joined   bool           // the store has a part in Raft
	alone    []bool         // by shard, that this node led it alone in the last that it knows; nil if it knows nothing
	passed   int            // damaged shards that are left alone
	err      error
}

// acceptStages are what the command does, one after another.
var acceptStages = [...]func(accepting) accepting{onLog(judgeLog), refuseDamagedLog, openToAccept, knowViews,
	chooseShards,
	salvageFiles, acceptShards, acceptStore}

// onLog makes a stage of a start, which looks at the log, one of the command.
func onLog(stage func(starting) starting) func(accepting) accepting {
	return func(a accepting) accepting {
		a.log.wiring = &wiring{Node: Node{Config: config{Data: a.told.Data}}}
		for i := range shard.MaxShards {
			a.log.held = append(a.log.held, i)
		}
		a.log = stage(a.log)
		a.err = a.log.err
		return a
	}
}

// runAccept is what "node accept-loss" with these arguments runs.
func runAccept(args []string) {
	told := acceptLossFlags{}
	parser := kong.Must(&told, kong.Name("node accept-loss"), kong.Description(acceptHelp))
	_, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err = acceptLoss(told, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// acceptLoss does the command, and writes to out what it does. Errors: ErrFolder, errConfig, ErrStore, or of the file
// system.
func acceptLoss(told acceptLossFlags, out io.Writer) error {
	a := accepting{told: told, out: out}
	defer func() {
		for _, copied := range []string{a.folder, a.copied} {
			if copied != "" {
				_ = os.RemoveAll(copied)
			}
		}
	}()
	for _, stage := range acceptStages {
		if a.err == nil {
			a = stage(a)
		}
	}
	return a.err
}

// refuseDamagedLog refuses a log with damage that no start has met yet.
func refuseDamagedLog(a accepting) accepting {
	if a.log.verdict.End == shard.DamagedEnd {
		a.err = fmt.Errorf("%w: its log is damaged, and it is not known yet which shards that is about: start the "+
			"node once, and look at its STATUS", store.ErrFolder)
	}
	return a
}

// openToAccept opens the folder, without changing anything for a dry run, and reads what is known of its damage.
func openToAccept(a accepting) accepting {
	names, err := store.NamesIn(a.told.Data)
	isManifest := func(n string) bool { return strings.HasPrefix(n, "MANIFEST-") }
	if err == nil && !slices.ContainsFunc(names, isManifest) {
		err = fmt.Errorf("%w: there is no store in %s, expected the data folder of a node", store.ErrFolder,
			a.told.Data)
	}
	if err == nil {
		err = store.InUse(a.told.Data)
	}
	if err == nil {
		a.marks, err = store.ReadMarks(a.told.Data)
	}
	if err == nil {
		a.data = a.told.Data
		if a.told.DryRun { // what the log has beyond the tables goes into a copy of links to their files
			a.copied, err = store.LinkedCopy(a.told.Data)
			a.data = a.copied
		}
	}
	if err == nil {
		a.db, err = store.Open(store.Options{Data: a.data, Shards: shard.MaxShards, CacheMB: 64}, true, false, false)
	}
	if err == nil {
		err = store.Replay(a.db, a.log.recovery)
	}
	noted := []byte(nil)
	if err == nil {
		a.bad, err = store.BadFiles(a.db)
	}
	if err == nil {
		noted, err = store.GetLocal(a.db, store.MarksKey)
	}
	if err == nil && noted != nil && !slices.Contains(names, store.MarksName) {
		err = fmt.Errorf("%w: its file %s is gone, which names the damaged shards: start the node once, and all of "+
			"them count as damaged", store.ErrFolder, store.MarksName)
	}
	if err == nil {
		a.identity, err = store.ReadIdentity(a.db)
	}
	a.err = err
	return a
}

// knowViews notes whether the store has a part in Raft, and which shards it led alone. What is damaged of that part
// tells neither: the store joins anew.
func knowViews(a accepting) accepting {
	if !store.HoldsRaft(a.db) {
		return a
	}
	saved, err := store.ReadSaved(a.db)
	if store.IsDiskError(err) {
		a.err = err
		return a
	}
	if err != nil {
		fmt.Fprintln(a.out, "Raft's saved state is damaged; the store joins anew when it starts:", err)
	}
	a.joined = len(saved) > 0 || err != nil
	names := strings.Split(a.identity.Ring, ",")
	alone, bad := views.LedAlone(saved, shard.Layout{Nodes: len(names), Shards: a.identity.Shards},
		slices.Index(names, a.identity.Node), views.EntryRules)
	if err == nil && bad == nil && a.joined {
		a.alone = alone
	}
	return a
}

// chooseShards checks that the shards that are named are damaged. If none is named it takes those that this node led
// alone: of the others the whole copy is elsewhere, and what is left here must not take its place.
func chooseShards(a accepting) accepting {
	damaged := []int{}
	for s, m := range a.marks {
		if s < shard.MaxShards && (store.HoldsShard(a.db, s) || m.Accepting) {
			damaged = append(damaged, s)
		}
	}
	slices.Sort(damaged)
	a.shards = a.told.Shards
	for _, s := range a.shards {
		if !slices.Contains(damaged, s) {
			a.err = fmt.Errorf("%w: --shards: expected some of the damaged shards %v, found %d", errConfig, damaged, s)
		}
	}
	if len(a.shards) > 0 {
		return a
	}
	others := []int{}
	for _, s := range damaged {
		if a.marks[s].Accepting || s < len(a.alone) && a.alone[s] {
			a.shards = append(a.shards, s)
		} else {
			others = append(others, s)
		}
	}
	if len(others) > 0 {
		why := "by what this node knows it did not lead them alone"
		if a.alone == nil {
			why = "this node does not know whether it led them alone"
		}
		fmt.Fprintf(a.out, "left alone: shards %v are damaged, too, but %s: start it, and they are filled again from "+
			"the other node where that has all. If that one is lost, name them in --shards: what can be read of them "+
			"here becomes their data then, whatever the other node has\n", others, why)
	}
	a.passed = len(others)
	return a
}

// acceptSteps replace one shard's copy by what can be read of it.
var acceptSteps = [...]func(accepting) accepting{readShard, keepShard, renewShard, storeShard, unmarkShard}

// acceptShards makes of what can be read of each damaged shard its data, or says for a dry run what that would be.
func acceptShards(a accepting) accepting {
	table, odd := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0), []string{}
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
		fmt.Fprintf(table, "%d\t%d\tepoch %d, LSN %d\t%d of 256\t%s\n", a.shard, len(a.left.Users), a.left.Epoch,
			a.left.Last, a.left.Unread, reason)
		if a.left.Beyond > 0 {
			odd = append(odd, fmt.Sprintf("shard %d has %d users more than the counts of its buckets name: some that were "+
				"deleted are among what is left", a.shard, a.left.Beyond))
		}
	}
	if err := table.Flush(); a.err == nil {
		a.err = err
	}
	for _, line := range odd {
		fmt.Fprintln(a.out, line)
	}
	say := "the loss is accepted: what is left of these shards is their data now"
	if a.told.DryRun {
		say = "dry run: nothing was changed. What cannot be read of these shards would be lost for good"
	}
	if len(a.shards) > 0 && a.err == nil {
		fmt.Fprintln(a.out, say)
	}
	return a
}

// acceptStore lets a store that has not joined its cluster yet take the place of the one before it, whatever that led
// alone.
func acceptStore(a accepting) accepting {
	switch {
	case a.joined || len(a.shards) > 0 || a.passed > 0:
		if len(a.shards)+a.passed == 0 {
			fmt.Fprintln(a.out, "nothing to accept: no start of this node has marked a shard as damaged, and the "+
				"store has its part in the cluster. Damage that no start has met is not looked for: start the node "+
				"once, and look at its STATUS")
		}
		return a
	case a.told.DryRun:
		fmt.Fprintf(a.out, "dry run: store %s of %s has no part in the cluster yet. It would be let take the place "+
			"of the store before it even where that led shards alone: their other copies, which lack the last "+
			"writes, would be their data then\n", a.identity.Store, a.identity.Node)
		return a
	}
	if a.identity.Generation != shard.Displaces {
		a.identity.Generation, a.identity.Before = shard.Displaces, a.identity.Generation
	}
	if a.err = store.KeepIdentity(a.db, a.identity); a.err == nil {
		fmt.Fprintf(a.out, "store %s of %s takes the place of the one before it when it starts, whatever that led "+
			"alone\n", a.identity.Store, a.identity.Node)
	}
	return a
}
