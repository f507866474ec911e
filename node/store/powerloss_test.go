package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/node/wal"
	"tandem/shard"
)

var powerLosses = flag.Int("power.losses", 15, "how many images of a file system TestPowerLoss looks into")

const (
	writerFolder = "TANDEM_TEST_WRITER" // in the environment: this process is the writer, and writes there
	lookerFolder = "TANDEM_TEST_LOOKER" // or it looks into this folder, as a start does
	writerUsers  = 1500
	imageBytes   = 192 << 20
)

// writerEntry is the write with a sequence: it sets one of the users to that.
func writerEntry(sequence uint64, lsn uint64) shard.Entry {
	return shard.Entry{Request: [16]byte{1}, Result: shard.Updated, ID: fmt.Sprint("u", sequence*7919%writerUsers),
		Name: fmt.Sprint(sequence, " ", strings.Repeat("n", int(sequence*31%9000))), Email: "e", Epoch: 1, LSN: lsn}
}

// runWriter writes batch after batch, one user in each, and says each sequence once it is on the disk. Like a node it
// flushes and prunes. It ends when it is killed.
func runWriter(folder string) error {
	held := heldBy(testLayout, 0)
	r, err := RecoverLog(folder)
	db := DB{}
	if err == nil {
		db, err = openForTest(Options{Data: folder, Shards: testLayout.Shards, CacheMB: 1})
	}
	if err == nil {
		db, err = AddFamilies(db, held)
	}
	if err == nil {
		err = Replay(db, r)
	}
	l := Log{}
	if err == nil {
		l, err = BeginLog(folder, r, 1, held)
	}
	begun, oldest, bytes := uint64(0), uint64(1), 0
	counts, lsns := map[int]*Buckets{}, map[int]uint64{}
	s := Storing{DB: db, Log: l, Err: err}
	for s.Err == nil {
		n := writerEntry(s.Log.sequence+1, 0)
		at, _ := shard.ShardOf(testLayout, n.ID)
		at = held[at%len(held)]
		if counts[at] == nil {
			counts[at] = &Buckets{}
		}
		lsns[at]++
		n.LSN = lsns[at]
		s.Parts = []Part{EntriesPart(testLayout, at, FamilyID(db, at), []shard.Entry{n}, lsns[at] == 1, counts[at], 1)}
		before := StateOf(s.Log)
		if s = Store(s); s.Err != nil {
			break
		}
		fmt.Println(StateOf(s.Log).Sequence)
		if bytes += len(s.Batch); bytes > 3<<20 && begun == 0 {
			begun, bytes = StateOf(s.Log).Sequence, 0
			s.Err = Flush(db, false)
		}
		if begun > 0 && Flushed(db) {
			s.Log, begun = NoteFlushed(s.Log, begun), 0
		}
		if after := StateOf(s.Log); after.Segment != before.Segment && after.Segment > oldest+4 {
			s.Err = errors.Join(s.Err, PruneSegment(SegmentPath(folder, oldest), oldest%2 == 0))
			oldest++
		}
	}
	return s.Err
}

// looked is what was found in a folder.
type looked struct {
	Users map[string]uint64 // by id: the sequence that the user was set to
	Last  uint64
	Torn  bool
	Error string
}

// TestMain makes the writer of this binary, or who looks into a folder, if that is asked for.
func TestMain(m *testing.M) {
	if folder := os.Getenv(lookerFolder); folder != "" {
		users, r, err := lookInto(folder)
		l := looked{Users: users, Last: r.Last, Torn: slices.ContainsFunc(r.Pieces,
			func(p wal.Piece) bool { return p.Kind != wal.Whole })}
		if err != nil {
			l.Error = err.Error()
		}
		_ = json.NewEncoder(os.Stdout).Encode(l)
		os.Exit(0) // with RocksDB open: the process's end closes its files
	}
	if folder := os.Getenv(writerFolder); folder != "" {
		fmt.Fprintln(os.Stderr, runWriter(folder))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// run runs a command of the system.
func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// awaitStop waits until a process that was sent SIGSTOP stands still, every thread of it.
func awaitStop(t *testing.T, pid int) {
	t.Helper()
	for {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatal("the writer has ended", err)
		}
		still := true
		for _, path := range tasks {
			text, err := os.ReadFile(path)
			after := string(text[strings.LastIndex(string(text), ")")+1:])
			still = still && err == nil && strings.HasPrefix(after, " T")
		}
		if still {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// lookInto opens the store in a folder as a start does, and returns the sequence that each user was set to. Damage of
// the log is an error.
func lookInto(folder string) (users map[string]uint64, r wal.Recovery, err error) {
	held := heldBy(testLayout, 0)
	if r, err = RecoverLog(folder); err != nil {
		return nil, r, err
	}
	if v := shard.JudgeLog(LogPieces(r.Pieces), held, shard.LogKnown{}); v.End == shard.DamagedEnd {
		return nil, r, fmt.Errorf("the log is damaged: %+v", v)
	}
	db, err := openForTest(Options{Data: folder, Shards: testLayout.Shards, CacheMB: 1})
	if err != nil {
		return nil, r, err
	}
	reach, err := Applied(db)
	for _, sequence := range reach {
		if sequence > r.Last {
			err = errors.Join(err, fmt.Errorf("data up to batch %d, and the log ends at %d", sequence, r.Last))
		}
	}
	users = map[string]uint64{}
	if err = errors.Join(err, Replay(db, r)); err != nil {
		return nil, r, err
	}
	for _, s := range held {
		if !HoldsShard(db, s) {
			continue
		}
		scan := OpenScan(db, s)
		err = errors.Join(err, WalkScan(scan, []byte{shard.UserPrefix}, 0, func(key, value []byte) bool {
			id, isUser := shard.KeyID(key)
			record, bad := DecodeValue(value)
			first, _, _ := strings.Cut(record.Name, " ")
			sequence, odd := strconv.ParseUint(first, 10, 64)
			if bad != nil || odd != nil || !isUser {
				err = fmt.Errorf("a user cannot be read: %w", errors.Join(bad, odd))
			}
			users[id] = sequence
			return err == nil
		}))
		CloseScan(scan)
	}
	return users, r, err
}

// Whatever moment the power is lost at, what was acknowledged is there. The writer has a file system of its own, in an
// image behind a loop device. It is stopped at random moments, and the image copied: what the kernel has not written by
// then is not in the copy, as after a loss of power. It needs root, and loop devices.
func TestPowerLoss(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("to mount a file system takes root")
	}
	dir := t.TempDir()
	image, copied, live, dead := filepath.Join(dir, "image"), filepath.Join(dir, "copied"), filepath.Join(dir, "live"),
		filepath.Join(dir, "dead")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, imageBytes), os.Mkdir(live, 0o700),
		os.Mkdir(dead, 0o700)); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", image)
	if out, err := exec.Command("mount", "-o", "loop", image, live).CombinedOutput(); err != nil {
		t.Skipf("no loop device: %s", out)
	}
	t.Cleanup(func() { run(t, "umount", live) })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerFolder+"="+filepath.Join(live, "data"))
	if err := os.Mkdir(filepath.Join(live, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	acknowledged, begun, ended := make(chan uint64, 1), make(chan struct{}), make(chan struct{})
	acknowledged <- 0
	go func() { // the newest counts
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, _ := strconv.ParseUint(lines.Text(), 10, 64)
			if last := <-acknowledged; last == 0 {
				close(begun)
			}
			acknowledged <- n
		}
		close(ended)
	}()
	chance := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	torn, behind := 0, 0
	select {
	case <-begun: // before, there is nothing to lose
	case <-ended:
		t.Fatal("the writer has ended")
	}
	for n := range *powerLosses {
		time.Sleep(time.Duration(chance.IntN(60)) * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		awaitStop(t, cmd.Process.Pid)
		last := <-acknowledged // what was read of what it said: it may have said more
		acknowledged <- last
		run(t, "cp", "--sparse=always", image, copied)
		_ = cmd.Process.Signal(syscall.SIGCONT)
		run(t, "mount", "-o", "loop", copied, dead)
		look := exec.Command(os.Args[0])
		look.Env = append(os.Environ(), lookerFolder+"="+filepath.Join(dead, "data"))
		text, err := look.Output()
		found := looked{}
		err = errors.Join(err, json.Unmarshal(text, &found))
		run(t, "umount", dead)
		if err != nil || found.Error != "" {
			t.Fatalf("image %d, %d batches acknowledged: %v %s", n, last, err, found.Error)
		}
		for sequence := uint64(max(1, int(last)-writerUsers)); sequence <= last; sequence++ {
			if entry := writerEntry(sequence, 0); found.Users[entry.ID] < sequence {
				t.Fatalf("image %d, %d batches acknowledged: %s is as of %d, expected %d", n, last, entry.ID,
					found.Users[entry.ID], sequence)
			}
		}
		if found.Torn {
			torn++
		}
		behind += int(max(found.Last, last) - last)
	}
	last := <-acknowledged
	t.Logf("%d images, %d batches in all; %d ends were torn, %d batches were there that were not acknowledged yet",
		*powerLosses, last, torn, behind)
	if last == 0 {
		t.Error("nothing was written")
	}
}
